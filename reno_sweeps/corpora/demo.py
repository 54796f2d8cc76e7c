"""Synthetic vocalisations, always at hand: 6 emotions × 8 speakers × 5 takes from our own source-filter model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from reno_sweeps.corpora._checks import checked
from reno_sweeps.corpora._facts import CorpusFacts
from reno_sweeps.corpora._tones import write_wave
from reno_sweeps.files import replacing
from reno_sweeps.records import Clip, Corpus, digest

ID = "demo"
FACTS = CorpusFacts(
    title="demo: synthetic vocalisations",
    licence="Apache-2.0, as the code that makes them",
    source="a source-filter model, seeded; no human voice",
    synthetic=True,
    how="--corpus demo",
)
VERSION, SEED = 1, 2025  # raise VERSION when the sound of any clip changes: it is part of the content and the folder
FOLDER = f"demo-v{VERSION}"  # in the cache
EMOTIONS = ("amusement", "anger", "disgust", "fear", "sadness", "surprise")
SPEAKERS = tuple(f"s{number}" for number in range(1, 9))
TAKES = 5


def read(root: Path) -> Corpus:
    """The 240 clips, whether or not they are synthesised yet."""
    clips = tuple(Clip(path, emotion, speaker) for path, emotion, speaker, _ in _takes())
    content = digest({"corpus": ID, "version": VERSION, "seed": SEED})
    return checked(Corpus(ID, root, clips, synthetic=True, content=content))


def synthesise(root: Path) -> int:
    """Write the clips that are missing below `root`, each whole or not at all; how many were written."""
    missing = [take for take in _takes() if not (root / take[0]).is_file()]
    if missing:
        from reno_sweeps.corpora import _voice

        for path, emotion, speaker, take in missing:
            with replacing(root / path) as temporary:
                write_wave(temporary, _voice.vocalise(emotion, speaker, take, SEED).tobytes())
    return len(missing)


def miniature(root: Path) -> Path:
    """The corpus itself: it is small and made in seconds."""
    synthesise(root)
    return root


def _takes() -> Iterator[tuple[str, str, str, int]]:
    """Path, emotion, speaker and number of every take."""
    for emotion, speaker, take in itertools.product(EMOTIONS, SPEAKERS, range(1, TAKES + 1)):
        yield f"{emotion}/{speaker}_{emotion}_{take}.wav", emotion, speaker, take
