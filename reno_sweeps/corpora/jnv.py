"""JNV: Japanese nonverbal vocalisations, four speakers, six emotions."""

from __future__ import annotations

import re
from pathlib import Path

from reno_sweeps.corpora._facts import CorpusFacts, Origin
from reno_sweeps.corpora._named import Judged, own_root, sorted_out, stem
from reno_sweeps.corpora._tones import write_tones
from reno_sweeps.records import Clip, Corpus, Skipped

ID = "jnv"
ORIGIN = Origin(
    "https://sites.google.com/site/shinnosuketakamichi/research-topics/jnv_corpus", "jnv_corpus_ver3.zip"
)  # Xin, Takamichi, Saruwatari; Speech Communication 156, 2024
FACTS = CorpusFacts(
    title="JNV: Japanese nonverbal vocalisations",
    licence="CC BY-SA 4.0, but its page decides",
    source=ORIGIN.page,
    synthetic=False,
    how="--corpus jnv --root DIR; four speakers: folds by speaker are four at most",
)
EXPECTED = {"clips": 420, "speakers": 4}
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise")
_SPEAKER = re.compile(r"[FM]\d", re.ASCII)
_NAME = re.compile(rf"([FM]\d)_({'|'.join(EMOTIONS)})_\d+_[RF]", re.ASCII)


def read(root: Path) -> Corpus:
    """Every clip `<speaker>/<speaker>_<emotion>_<nn>_<R|F>.wav`.

    `root` may be the folder that holds the speakers' folders, or one or two levels above it.
    """
    own = own_root(ID, root, _holds_speakers, (), "F1/F1_angry_00_F.wav")
    return sorted_out(ID, own, (".",), _judged)


def miniature(root: Path) -> Path:
    """Sixteen tones in the corpus's layout: two emotions, both kinds of session, four speakers."""
    speakers, kinds = ("F1", "F2", "M1", "M2"), ("00_R", "00_F")
    write_tones(root, [f"JNV/{s}/{s}_{e}_{kind}.wav" for s in speakers for e in ("happy", "sad") for kind in kinds])
    return root


def _holds_speakers(folder: Path) -> bool:
    return any(_NAME.match(file.name) for file in folder.glob("[FM][0-9]/*") if _SPEAKER.fullmatch(file.parent.name))


def _judged(path: str) -> Judged:
    found = _NAME.fullmatch(stem(path))
    if not found:
        return Skipped(path, "its name is not <speaker>_<emotion>_<nn>_<R|F> (F1_angry_00_F.wav)")
    folder = path.split("/", 1)[0]
    if folder != found[1]:
        return Skipped(path, f"its name says speaker {found[1]}, its folder is {folder}")
    return Clip(path, found[2], found[1])
