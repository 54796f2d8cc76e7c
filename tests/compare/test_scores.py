"""Score arrays are paired only where they can be, and what differs by rounding alone is equal."""

from __future__ import annotations

import numpy as np
import pytest

from reno_sweeps.compare import scores
from reno_sweeps.records import UserError


def test_ragged_folds_have_the_ratio_of_cross_validation():
    test = [21, 20, 20, 19, 23]
    seen = [sum(test) - own for own in test]

    assert scores.ratio_from_sizes(test, seen) == pytest.approx(1 / 4)
    assert scores.ratio_from_sizes(test * 3, seen * 3) == pytest.approx(1 / 4)
    assert scores.ratio_of(5, None) == 1 / 4


def test_a_hold_out_of_a_third_has_a_ratio_of_a_half():
    assert scores.ratio_from_sizes([30], [60]) == 0.5
    assert scores.ratio_of(1, 0.5) == 0.5


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.1, 0.2, 0.3], r"reno: shape \[3\]"),
        ([[]], r"reno: shape \[1, 0\]"),
        ([[0.5, 0.6], [0.7]], "reno: no table of numbers"),
        ([["high", "low"]], "reno: no table of numbers"),
        ([[0.5, np.nan], [0.4, np.inf]], r"the score of repeat 0, fold 1 is nan \(2 of 4"),
        ([[0.5, None]], "repeat 0, fold 1 is nan"),
    ],
)
def test_what_is_no_table_of_finished_folds_is_refused(values, said):
    with pytest.raises(UserError, match=said):
        scores.matrix(values, "reno")


def test_a_corpus_without_a_score_is_named_by_its_place():
    with pytest.raises(UserError, match="reno: the score of corpus 1 is nan"):
        scores.row([0.5, np.nan], "reno")
    with pytest.raises(UserError, match="one score a corpus"):
        scores.row([[0.5]], "reno")


def test_other_shapes_are_never_paired():
    with pytest.raises(UserError, match=r"\[1, 5\] and \[1, 4\] cannot be paired"):
        scores.difference(np.ones((1, 5)), np.ones((1, 4)))
    with pytest.raises(UserError, match=r"\[1, 5\] and \[5, 1\]"):
        scores.difference(np.ones((1, 5)), np.ones((5, 1)))


def test_differences_equal_but_for_rounding_are_equal():
    gap = scores.difference(np.array([0.81, 0.61, 0.3]), np.array([0.79, 0.59, 0.28]))

    assert 0.81 - 0.79 != 0.3 - 0.28
    assert len(set(gap.tolist())) == 1
    assert gap == pytest.approx([0.02] * 3, rel=1e-9)


def test_what_is_given_is_not_changed():
    given = np.array([[0.5, 0.6]])
    scores.matrix(given)[0, 0] = 9

    assert given[0, 0] == 0.5


@pytest.mark.parametrize("ratio", [-0.1, np.inf, np.nan])
def test_a_ratio_that_no_split_has_is_refused(ratio):
    with pytest.raises(UserError, match="ratio of test to training"):
        scores.ratio_of(5, ratio)


def test_one_fold_a_repeat_needs_its_ratio_said():
    with pytest.raises(UserError, match="one fold a repeat"):
        scores.ratio_of(1, None)


@pytest.mark.parametrize(("test", "seen"), [([], []), ([10, 10], [40]), ([0], [10]), ([10], [0])])
def test_impossible_fold_sizes_are_refused(test, seen):
    with pytest.raises(UserError, match="fold sizes"):
        scores.ratio_from_sizes(test, seen)


@pytest.mark.parametrize("level", [0, 1, 95, np.nan])
def test_a_level_is_a_share(level):
    with pytest.raises(UserError, match="level"):
        scores.checked_level(level)
