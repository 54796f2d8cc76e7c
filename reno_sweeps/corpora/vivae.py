"""VIVAE: vocalisations of six affects at four intensities, eleven speakers; the full set alone."""

from __future__ import annotations

import re
from pathlib import Path

from reno_sweeps.corpora._facts import CorpusFacts, Origin
from reno_sweeps.corpora._named import Judged, holds, own_root, sorted_out, stem
from reno_sweeps.corpora._tones import write_tones
from reno_sweeps.records import Clip, Corpus, Skipped

ID = "vivae"
ORIGIN = Origin("https://zenodo.org/records/4066235", "VIVAE.zip", record=4066235)
FACTS = CorpusFacts(
    title="VIVAE: vocalisations of six affects, from low to peak intensity",
    licence="CC BY-NC 4.0, but its record decides",
    source=ORIGIN.page,
    synthetic=False,
    how="--corpus vivae --root DIR",
)
EMOTIONS = {"achievement": 161, "anger": 174, "fear": 176, "pain": 185, "pleasure": 202, "surprise": 187}  # clips
EXPECTED = {"clips": 1085, "speakers": 11, "classes": EMOTIONS}
CORE = "core_set (copies from full_set)"
_NAME = re.compile(rf"(S\d\d)_({'|'.join(EMOTIONS)})_(low|moderate|strong|peak)_\d+", re.ASCII)


def read(root: Path) -> Corpus:
    """The clips of full_set; core_set's are copies of 480 of them, and would leak across folds.

    `root` may be the folder that holds full_set, one or two levels above it, or full_set itself.
    """
    own = own_root(ID, root, lambda folder: holds(folder, "full_set"), ("full_set",), "full_set/*.wav")
    return sorted_out(ID, own, ("full_set", "core_set"), _judged)


def miniature(root: Path) -> Path:
    """Fourteen tones in the archive's layout, the core set beside; items of one, two and three digits."""
    names = [f"S{s:02d}_{e}_low_{item}" for s in (1, 2, 11) for e in ("anger", "pain") for item in ("01", "102")]
    files = [f"VIVAE/full_set/{name}.wav" for name in [*names, "S02_fear_peak_7"]]
    write_tones(root, [*files, "VIVAE/core_set/S01_anger_low_01.wav"])
    return root


def _judged(path: str) -> Judged:
    if path.startswith("core_set/"):
        return CORE
    found = _NAME.fullmatch(stem(path))
    if not found:
        return Skipped(path, "its name is not <speaker>_<emotion>_<intensity>_<item> (S01_achievement_low_01.wav)")
    return Clip(path, found[2], found[1])
