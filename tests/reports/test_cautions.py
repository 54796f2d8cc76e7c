"""What a user must be warned of is said, and nothing where all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reno_sweeps.records import Budget, Cell, FoldScore, Sweep, Trial
from reno_sweeps.reports.cautions import cautions, collapsed
from reno_sweeps.reports.summary import summarise
from reno_sweeps.space import Categorical, Float

SEARCH = {
    "training.lr": Float(low=1e-4, high=1e-2, log=True),
    "attention.heads": Categorical((1, 2, 4)),
}
SWEEP = Sweep("s", "demo", (Cell("reno", ("mfcc", "log-mel")),), SEARCH, budget=Budget(trials=16))
GOOD = ((8, 2), (1, 9))
ONE_CLASS = ((10, 0), (10, 0))


def score(fold: int, test: float, confusion: Any = GOOD) -> FoldScore:
    metrics = {"accuracy": test, "macro_f1": test, "uar": test, "cross_entropy": 1.0}
    return FoldScore(
        repeat=0, fold=fold, best_epoch=1, epochs=2, seed=1, sizes={"train": 60, "validation": 20, "test": 20},
        validation=metrics, test=metrics, test_f1=(test, test), test_confusion=confusion, curves={}, parameters=9,
        seconds=1.0, finished=10.0, file=f"folds/{fold}", sha256="",
    )  # fmt: skip


def trial(number: int, objective: float, lr: float = 1e-3, test: float = 0.8, confusion: Any = GOOD) -> Trial:
    scores = tuple(score(fold, test + 0.01 * fold, confusion) for fold in range(3))
    proposal = {"training.lr": lr, "attention.heads": 1}
    return Trial(number, 0, "complete", proposal, scores, objective=objective, started=0.0, finished=10.0)


WELL = [trial(n, 0.8 if n == 2 else 0.7) for n in range(16)]


def said(trials: list[Trial], linear: float | None = None, sweep: Sweep = SWEEP) -> list[str]:
    found = summarise(sweep, trials, {}, asked=16, place={"sweep": "s", "corpus": "demo", "synthetic": True})
    if linear is not None:
        found["baselines"] = {"linear": {"test": {"macro_f1": {"mean": linear, "std": 0.0, "folds": [linear] * 3}}}}
    return cautions(sweep, trials, found)


def test_nothing_is_said_where_all_is_well() -> None:
    assert said(WELL, linear=0.75) == []
    assert said([]) == []


@pytest.mark.parametrize(
    ("trials", "linear", "words"),
    [
        ([*WELL[:-1], trial(15, 0.1, confusion=ONE_CLASS)], None, "1 of 16 complete trials collapsed"),
        ([*WELL[:2], trial(2, 0.8, confusion=ONE_CLASS), *WELL[3:]], None, "the best trial itself in 3 of 3 folds"),
        (WELL, 0.9, "reno is below linear: 81.0 % against 90.0 %"),
        ([*WELL[:2], trial(2, 0.8, lr=1.1e-4), *WELL[3:]], None, "training.lr, 0.00011, is at the lowest end"),
        ([*WELL[:2], trial(2, 0.8, lr=9.9e-3), *WELL[3:]], None, "is at the highest end"),
        ([*WELL[:-1], trial(15, 0.83)], None, "has not converged: its last 4 trials improved val macro-F1 by 3.0 %"),
    ],
)
def test_each_thing_that_is_amiss_is_said_once(trials: list[Trial], linear: float | None, words: str) -> None:
    found = said(trials, linear)

    assert len(found) == 1
    assert words in found[0]


def test_folds_that_disagree_are_said_with_their_range() -> None:
    own = tuple(score(fold, value) for fold, value in enumerate((0.5, 0.7, 0.9)))
    found = said([*WELL[:2], replace(WELL[2], scores=own), *WELL[3:]])

    assert len(found) == 1
    assert "from 50.0 to 90.0 % macro-F1" in found[0]


def test_a_range_without_ends_has_no_edge_and_few_trials_no_convergence() -> None:
    assert said([trial(0, 0.1), trial(1, 0.8)]) == []


def test_a_fold_with_one_class_of_truth_has_not_collapsed() -> None:
    assert not collapsed(score(0, 1.0, ((9, 0), (0, 0))))
    assert not collapsed(score(0, 1.0, ()))
    assert collapsed(score(0, 0.5, ONE_CLASS))
