"""A small sweep by hand: three classes, two folds, five trials of which one was pruned and one failed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reno_sweeps.metrics import accuracy, f1_by_class, macro_f1, uar
from reno_sweeps.records import Budget, Cell, FoldScore, Protocol, Sweep, Trial
from reno_sweeps.reports.summary import linear_owner, summarise
from reno_sweeps.space import Categorical, Float

CLASSES = ("anger", "joy", "pain")
COUNTS = (((4, 1, 0), (1, 3, 1), (0, 0, 5)), ((3, 1, 1), (0, 5, 0), (2, 0, 3)))


def make_score(fold: int = 0, confusion: tuple[tuple[int, ...], ...] = COUNTS[0], repeat: int = 0) -> FoldScore:
    counts = np.array(confusion)
    test = {"accuracy": accuracy(counts), "macro_f1": macro_f1(counts), "uar": uar(counts), "cross_entropy": 0.9}
    curve = (0.3, 0.5, 0.6)
    return FoldScore(
        repeat=repeat,
        fold=fold,
        best_epoch=2,
        epochs=3,
        seed=2**62 + fold,
        sizes={"train": 12, "validation": 3, "test": 15},
        validation={"accuracy": 0.6, "macro_f1": 0.5, "uar": 0.55, "cross_entropy": 0.95},
        test=test,
        test_f1=f1_by_class(counts),
        test_confusion=confusion,
        curves={
            "loss": curve,
            "cross_entropy": (1.1, 0.9, 0.8),
            "divergence": (0.4, 0.2, 0.1),
            "val_macro_f1": curve,
            "val_accuracy": curve,
            "val_uar": curve,
            "val_cross_entropy": (1.0, 0.95, 0.97),
        },
        parameters=1000,
        seconds=1.25,
        finished=100.0,
        file=f"folds/{fold}.npz",
        sha256="0" * 64,
    )


def make_trial(number: int, objective: float | None, state: str = "complete", **changes: Any) -> Trial:
    proposal = {"renyi.beta": 1.5 + number, "attention.heads": 2 if number % 2 else 4}
    scores = tuple(make_score(fold, COUNTS[fold]) for fold in range(2)) if state == "complete" else ()
    trial = Trial(number, 0, state, proposal, scores, (), objective, started=10.0, finished=20.0)
    return replace(trial, **changes)


def make_sweep(**changes: Any) -> Sweep:
    search = {"renyi.beta": Float(1.05, 10.0, log=True), "attention.heads": Categorical((1, 2, 4))}
    cells = (Cell("reno", ("mfcc", "log-mel")),)
    sweep = Sweep("tiny", "clips", cells, search, {"training.epochs": 3}, Protocol(n_folds=2), budget=Budget(trials=5))
    return replace(sweep, **changes)


def make_summary(sweep: Sweep, trials: list[Trial], corpus: str = "clips", **facts: Any) -> dict[str, Any]:
    place = {"sweep": "tiny-1a2b", "experiment_id": "1", "parent_run_id": "r1", "tracking_uri": "sqlite:////x/m.db"}
    place |= {"storage": "sqlite:////x/s.db", "corpus": corpus}
    owner = linear_owner(sweep.cells[0].encoders)
    linear = {f"extra:{owner}:{fold}": make_score(fold, COUNTS[1]).to_dict() for fold in range(2)}
    majority = {m: {"mean": 0.2, "std": 0.0, "folds": [0.2, 0.2]} for m in ("accuracy", "macro_f1", "uar")}
    known = {**linear, "majority": majority, "seconds": {"total": 75.0, "embedding": 3.0, "training": 60.0}, **facts}
    return summarise(sweep, trials, known, asked=sweep.budget.trials, place=place)


@pytest.fixture(scope="session")
def hand() -> SimpleNamespace:
    """The makers, for a test that needs its own: hand.sweep(…), hand.trial(…), hand.score(…), hand.summary(…)."""
    return SimpleNamespace(sweep=make_sweep, trial=make_trial, score=make_score, summary=make_summary, counts=COUNTS)


@pytest.fixture
def sweep() -> Sweep:
    return make_sweep()


@pytest.fixture
def trials() -> list[Trial]:
    return [
        make_trial(0, 0.50),
        make_trial(1, 0.62),
        make_trial(2, None, "pruned", reason="worse than the median at epoch 2"),
        make_trial(3, None, "failed", reason="loss is NaN at epoch 1 of fold 0"),
        make_trial(4, 0.55),
    ]


@pytest.fixture
def summary(sweep: Sweep, trials: list[Trial]) -> dict[str, Any]:
    refit = {f"extra:refit 1:{fold}": make_score(fold, COUNTS[0]).to_dict() for fold in range(2)}
    return make_summary(sweep, trials, **refit)
