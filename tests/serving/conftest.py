"""A small corpus of tones, a model trained on it, and its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reno_sweeps.corpora import folder as folders
from reno_sweeps.embeddings.extract import extract
from reno_sweeps.encoders import encoder_facts
from reno_sweeps.records import Corpus, FoldFinished, FoldResult, Key, Model, Split
from reno_sweeps.serving import encoders
from reno_sweeps.training import export
from reno_sweeps.training.configuration import resolve
from reno_sweeps.training.trainer import Data, train_cohort

HEARS = ("mfcc", "log-mel")


@dataclass(frozen=True)
class Trained:
    """What training left: the folder, and its own probabilities of every clip."""

    folder: Path
    corpus: Corpus
    arrays: dict[str, Any]
    result: FoldResult

    @property
    def files(self) -> list[Path]:
        return [self.corpus.root / clip.path for clip in self.corpus.clips]


def train_in(place: Path, head: str = "linear", hears: tuple[str, ...] = HEARS, **facts: Any) -> Trained:
    """A few epochs on eight tones, exported."""
    corpus = folders.read(folders.miniature(place / "tones"))
    arrays = dict(extract(corpus, hears, place / "cache").arrays)
    labels = np.array([corpus.classes.index(clip.label) for clip in corpus.clips])
    everyone = tuple(range(len(labels)))
    values = resolve(head, {}, {"trunk.positions": 4})
    model = Model(Key("register"), head, hears, values, 7, Split(everyone, (), everyone), epochs=3)
    events = train_cohort([model], Data(arrays, labels, corpus.classes))
    result = next(event.result for event in events if isinstance(event, FoldFinished))
    known = [encoders.described(e, encoder_facts(e)) for e in hears]
    export.save(
        place / "model",
        weights=result.weights,
        head=head,
        values=values,
        encoders=known,
        classes=corpus.classes,
        dims=[arrays[e].shape[1] for e in hears],
        extra=facts,
    )
    return Trained(place / "model", corpus, arrays, result)


@pytest.fixture(scope="session", name="train_in")
def _train_in() -> Callable[..., Trained]:
    return train_in


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Linear on mfcc and log-mel."""
    return train_in(tmp_path_factory.mktemp("linear"))


@pytest.fixture(scope="session")
def vectors_model(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The same, registered to take embeddings."""
    return train_in(tmp_path_factory.mktemp("vectors"), input="embeddings")
