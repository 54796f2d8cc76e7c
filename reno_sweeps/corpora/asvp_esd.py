"""ASVP-ESD: emotional vocalisations from films and the web, 129 speakers, 13 classes; the non-speech clips alone."""

from __future__ import annotations

import re
from pathlib import Path

from reno_sweeps.corpora._facts import CorpusFacts, Origin
from reno_sweeps.corpora._named import Judged, holds, own_root, sorted_out, stem
from reno_sweeps.corpora._tones import write_tones
from reno_sweeps.records import Clip, Corpus, Skipped

ID = "asvp-esd"
ORIGIN = Origin("https://zenodo.org/records/7132783", "ASVP-ESD-Update.zip", record=7132783)
FACTS = CorpusFacts(
    title="ASVP-ESD: emotional vocalisations from films and the web, non-speech",
    licence=f"as its record says: {ORIGIN.page}",  # sources disagree (CC BY 4.0; research only): nothing is claimed
    source=ORIGIN.page,
    synthetic=False,
    how="--corpus asvp-esd --root DIR; asvp-esd@include_bonus=yes adds Bonus (babies' cries)",
)
FLAGS = ("include_bonus",)  # what may stand behind '@', yes or no
EMOTIONS = {
    "01": "boredom",  # sighs
    "02": "neutral",
    "03": "happy",  # laughter
    "04": "sad",  # crying
    "05": "angry",
    "06": "fearful",  # screams
    "07": "disgust",
    "08": "surprised",  # gasps
    "09": "excited",
    "10": "pleasure",
    "11": "pain",  # groans
    "12": "disappointment",
    "13": "breath",
}
_COUNTS = (447, 281, 1172, 964, 389, 1001, 709, 1094, 131, 330, 778, 77, 172)  # of codes 01 to 13
EXPECTED = {"clips": 7545, "speakers": 129, "classes": dict(zip(EMOTIONS.values(), _COUNTS, strict=True))}
FIELDS = range(8, 13)  # MM-VC-EM-IN-ST-AC-AG-SO[-LA][-similarity][-take][-77|66]
SPEECH, BONUS = "speech (the corpus is its non-speech clips)", "Bonus (add it with @include_bonus=yes)"
_NUMBER = re.compile(r"\s*\d+\s*", re.ASCII)  # five names hold a space: '14 -03'


def read(root: Path, include_bonus: bool = False) -> Corpus:
    """The non-speech clips of Audio and, where asked, of Bonus.

    `root` may be the folder that holds Audio, one or two levels above it, or Audio itself. Speaker is the name's sixth
    field: 171 clips lie in a folder called just `actor_`. Stray ages and intensities are the clips' own business.
    """
    own = own_root(ID, root, lambda folder: holds(folder, "Audio"), ("Audio", "Bonus"), "Audio/actor_<n>/*.wav")

    def judged(path: str) -> Judged:
        clip = _parsed(path)
        return BONUS if isinstance(clip, Clip) and path.startswith("Bonus/") and not include_bonus else clip

    return sorted_out(f"{ID}-bonus" if include_bonus else ID, own, ("Audio", "Bonus"), judged)


def miniature(root: Path) -> Path:
    """Fifteen tones: two emotions and a breath of four speakers, beside speech, Bonus and the corpus's odd names."""
    names = [f"actor_{s}/03-02-{emotion}-01-01-{s}-02-02-00" for s in (11, 12, 101, 102) for emotion in ("03", "04")]
    names += [f"actor_/03-02-13-01-{take}-11-02-02-02-13" for take in ("01", "02")]
    names += ["actor_12/03-02-03-021-02-12-106-02-00-13-77", "actor_12/03-01-03-01-01-12-02-02-00"]
    bonus = ["actor_150/03-02-04-01-52-150-04-01-00-14 -03", "actor_200/03-01-17-01-02-200-05-02-01-12"]
    write_tones(root, [f"Audio/{name}.wav" for name in names] + [f"Bonus/{name}.wav" for name in bonus])
    return root


def _parsed(path: str) -> Judged:
    fields = stem(path).split("-")
    if len(fields) not in FIELDS:
        return Skipped(path, f"its name has {len(fields)} fields, not 8 to 12 (03-02-08-02-81-36-03-03-01.wav)")
    if not all(map(_NUMBER.fullmatch, fields)):
        return Skipped(path, "its name is not numbers between hyphens (03-02-08-02-81-36-03-03-01.wav)")
    channel, emotion, actor = (fields[n].strip() for n in (1, 2, 5))
    if channel not in {"01", "02"}:
        return Skipped(path, f"vocal channel {channel} is neither 01 (speech) nor 02 (non-speech)")
    if emotion not in EMOTIONS:
        return Skipped(path, f"emotion {emotion} is none of 01 to 13")
    return Clip(path, EMOTIONS[emotion], f"{int(actor):02d}") if channel == "02" else SPEECH
