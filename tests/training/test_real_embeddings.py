"""Logistic regression on real embeddings reaches what scikit-learn does on the same folds (see the data's README)."""

from __future__ import annotations

import numpy as np
import pytest

from reno_sweeps.corpora import manifest
from reno_sweeps.encoders.file import vectors
from reno_sweeps.folds import make_splits
from reno_sweeps.records import FoldFinished, Key, Model, Protocol, seed_from
from reno_sweeps.training.trainer import Data, train_cohort

FILES = {"gpvad": "embeddings_gpvad_crnn.npz", "silero": "embeddings_silero_vad_state.npz"}


@pytest.fixture(scope="module")
def emogator(shared_data):
    """The real corpus with two encoders' embeddings."""
    corpus = manifest.read(shared_data / "emogator6" / "manifest.csv")
    paths = [clip.path for clip in corpus.clips]
    embeddings = {name: vectors(corpus.root / file, paths) for name, file in FILES.items()}
    return corpus, Data(embeddings, np.array([corpus.classes.index(c.label) for c in corpus.clips]), corpus.classes)


def _macro_f1(emogator, selection: str, decay: float) -> float:
    """Mean over the given five folds, in percent."""
    corpus, data = emogator
    values = {"training.weight_decay": decay}
    splits = make_splits(corpus, Protocol(selection=selection)).splits
    models = [
        Model(Key("t", 0, k), "linear", tuple(FILES), values, seed_from(0, 0, k), s) for k, s in enumerate(splits)
    ]
    results = [e.result for e in train_cohort(models, data) if isinstance(e, FoldFinished)]
    return 100 * float(np.mean([result.test["macro_f1"] for result in results]))


@pytest.mark.slow
def test_linear_trained_on_four_folds_reaches_scikit_learns_score(emogator):
    best = max(_macro_f1(emogator, "paper", decay) for decay in (0.0, 0.1, 1.0))

    assert best == pytest.approx(56.7, abs=1.5)


@pytest.mark.slow
def test_linear_that_stops_on_held_out_speakers_comes_close(emogator):
    assert 52.5 <= _macro_f1(emogator, "validation", 0.1) <= 57
