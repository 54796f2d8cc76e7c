"""Each class: counts over folds together, F1 over the folds that have it."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any

import pytest

from reno_sweeps.reports import by_class

CLASSES = ("anger", "joy", "pain")


def test_recall_and_precision_are_those_of_all_folds_together(trials: list[Any]) -> None:
    anger = by_class.rows(trials[1].scores, CLASSES)[0]

    # the folds together: [[7, 2, 1], [1, 8, 1], [2, 0, 8]]
    assert (anger["clips"], anger["answered"], anger["recall"], anger["precision"]) == (10, 10, 0.7, 0.7)


def test_f1_has_its_spread_over_folds(trials: list[Any]) -> None:
    joy = by_class.rows(trials[1].scores, CLASSES)[1]
    folds = [score.test_f1[1] for score in trials[1].scores]

    assert joy["f1"] == pytest.approx(fmean(folds))
    assert joy["f1_sd"] == pytest.approx(stdev(folds))
    assert (joy["f1_lowest_fold"], joy["f1_highest_fold"]) == (min(folds), max(folds))


def test_a_class_that_a_fold_lacks_counts_in_the_others_alone(hand: Any) -> None:
    present, absent = hand.score(0, ((2, 0), (0, 2))), hand.score(1, ((2, 0), (0, 0)))

    assert [row["f1"] for row in by_class.rows([present, absent], ("a", "b"))] == [1.0, 1.0]
    assert [row["f1"] for row in by_class.rows([absent], ("a", "b"))] == [1.0, None]


def test_what_was_never_tested_or_answered_is_empty_not_zero(hand: Any) -> None:
    shown = by_class.shown(by_class.rows([hand.score(0, ((2, 0), (0, 0)))], ("a", "b")))

    assert shown[0]["recall %"] == "100.0"
    assert (shown[1]["recall %"], shown[1]["precision %"], shown[1]["F1 %"], shown[1]["sd"]) == ("", "", "", "")
