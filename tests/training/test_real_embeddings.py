"""Logistic regression on real embeddings reaches what scikit-learn does on the same folds (see the data's README)."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from reno_sweeps.records import FoldFinished, Key, Model, Split, seed_from
from reno_sweeps.training.trainer import Data, train_cohort

FILES = {"gpvad": "embeddings_gpvad_crnn.npz", "silero": "embeddings_silero_vad_state.npz"}


@pytest.fixture(scope="module")
def corpus(shared_data):
    """The emogator6 embeddings in the manifest's order, with each clip's fold and speaker."""
    folder = shared_data / "emogator6"
    with (folder / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    classes = tuple(sorted({row["label"] for row in rows}))
    labels = np.array([classes.index(row["label"]) for row in rows])
    embeddings = {name: _ordered(folder / file, [row["path"] for row in rows]) for name, file in FILES.items()}
    folds, speakers = (np.array([row[column] for row in rows]) for column in ("fold", "speaker"))
    return Data(embeddings, labels, classes), folds.astype(int), speakers


def _ordered(path, wanted: list[str]) -> np.ndarray:
    stored = np.load(path, allow_pickle=False)
    place = {str(name): i for i, name in enumerate(stored["ids"])}
    return stored["X"][[place[name] for name in wanted]].astype(np.float32)


def _split(fold: int, folds: np.ndarray, speakers: np.ndarray, selection: str) -> Split:
    """Paper: four folds train, the fifth stops and tests. Validation: a fifth of the training speakers stops."""
    test, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
    if selection == "paper":
        return Split(tuple(rest), tuple(test), tuple(test))
    known = np.random.default_rng([0, fold]).permutation(np.unique(speakers[rest]))
    held = np.isin(speakers[rest], known[: len(known) // 5])
    return Split(tuple(rest[~held]), tuple(rest[held]), tuple(test))


def _macro_f1(corpus, selection: str, values: dict) -> float:
    data, folds, speakers = corpus
    models = [
        Model(
            Key("t", fold=k), "linear", tuple(FILES), values, seed_from(0, 0, k), _split(k, folds, speakers, selection)
        )
        for k in range(5)
    ]
    results = [e.result for e in train_cohort(models, data) if isinstance(e, FoldFinished)]
    return 100 * float(np.mean([result.test["macro_f1"] for result in results]))


@pytest.mark.slow
def test_linear_trained_on_four_folds_reaches_scikit_learns_score(corpus):
    best = max(_macro_f1(corpus, "paper", {"training.weight_decay": decay}) for decay in (0.0, 0.1, 1.0))

    assert best == pytest.approx(56.7, abs=1.5)


@pytest.mark.slow
def test_linear_that_stops_on_held_out_speakers_comes_close(corpus):
    assert 52.5 <= _macro_f1(corpus, "validation", {"training.weight_decay": 0.1}) <= 57
