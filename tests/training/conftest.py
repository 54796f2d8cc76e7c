"""Small real material for training: clusters that a head can learn, and models on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from reno_sweeps.records import EpochEnded, FoldFinished, FoldResult, Key, Model, Split
from reno_sweeps.training.trainer import Data, train_cohort

CLIPS, CLASSES, DIMS = 120, 3, {"a": 20, "b": 12}


@pytest.fixture
def data() -> Data:
    """Two encoders' embeddings of three gaussian clusters, forty clips each."""
    return clusters(0)


def clusters(seed: int) -> Data:
    source = np.random.default_rng(seed)
    labels = np.arange(CLIPS) % CLASSES
    centres = {name: source.normal(size=(CLASSES, width)) * 1.5 for name, width in DIMS.items()}
    found = {
        name: (c[labels] + source.normal(size=(CLIPS, c.shape[1]))).astype(np.float32) for name, c in centres.items()
    }
    return Data(found, labels, ("anger", "fear", "joy"))


@pytest.fixture
def model() -> Callable[..., Model]:
    """A model on the clusters, small unless told: 66 clips train, so that the last of the batches of 13 has one."""

    def make(head: str = "fcn", owner: str = "trial 0", fold: int = 0, seed: int = 1, **changes: object) -> Model:
        values = {"training.epochs": 4, "training.batch_size": 13, **changes.pop("values", {})}
        if changes.pop("small", True):
            values = {"trunk.positions": 4, "align.width": 32} | values
        encoders = ("a", "b") if head in {"concat", "reno"} else ("a",)
        split = Split(tuple(range(66)), tuple(range(66, 93)), tuple(range(93, 120)))
        known = {"head": head, "encoders": encoders, "values": values, "seed": seed, "split": split, **changes}
        return Model(key=Key(owner, fold=fold), **known)

    return make


@pytest.fixture
def finish() -> Callable[..., dict[Key, FoldResult]]:
    """Train models to their end: result by key."""

    def run(models: Sequence[Model], data: Data) -> dict[Key, FoldResult]:
        return {e.key: e.result for e in train_cohort(models, data) if isinstance(e, FoldFinished)}

    return run


@pytest.fixture
def curves() -> Callable[..., dict[Key, list[dict[str, float]]]]:
    """Train models to their end: metrics of every epoch by key."""

    def run(models: Sequence[Model], data: Data) -> dict[Key, list[dict[str, float]]]:
        found: dict[Key, list[dict[str, float]]] = {}
        for event in train_cohort(models, data):
            if isinstance(event, EpochEnded):
                found.setdefault(event.key, []).append(dict(event.metrics))
        return found

    return run
