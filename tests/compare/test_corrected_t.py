"""The corrected t-test is the paired t-test where nothing overlaps, wider where folds share clips, and lawful."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reno_sweeps.compare.corrected_t import corrected_t, fold_mean
from reno_sweeps.records import UserError


@st.composite
def paired(draw):
    """Scores [repeats, folds] of two heads."""
    shape = draw(st.integers(1, 4)), draw(st.integers(2, 10))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    return generator.uniform(0.2, 0.9, shape), generator.uniform(0.2, 0.9, shape)


@given(paired())
def test_without_overlap_it_is_scipys_paired_t_test(scores):
    a, b = scores
    found = corrected_t(a, b, ratio=0, level=0.9)
    expected = stats.ttest_rel(a.ravel(), b.ravel())

    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.9)), rel=1e-6)


@given(paired())
def test_overlap_widens_by_the_root_of_one_plus_n_times_the_ratio(scores):
    a, b = scores
    corrected, naive = corrected_t(a, b), corrected_t(a, b, ratio=0)
    wide, narrow = np.ptp(corrected.interval), np.ptp(naive.interval)

    assert wide / narrow == pytest.approx(np.sqrt(1 + a.size / (a.shape[1] - 1)))
    assert corrected.p >= naive.p
    assert corrected.estimate == naive.estimate


def test_it_is_the_formula_of_the_paper():
    """Five differences 1 … 5 points: mean 3, variance 2.5, t = 3/√((1/5 + 1/4) · 2.5) with 4 degrees of freedom."""
    b = np.array([[50.0, 52, 51, 55, 53]])
    found = corrected_t(b + np.arange(1, 6), b)

    assert found.estimate == pytest.approx(3)
    assert found.p == pytest.approx(2 * stats.t.sf(3 / np.sqrt(0.45 * 2.5), 4))
    assert found.effect == pytest.approx(3 / np.sqrt(2.5))


@given(paired())
def test_swapping_negates(scores):
    a, b = scores
    there, back = corrected_t(a, b), corrected_t(b, a)

    assert back.estimate == pytest.approx(-there.estimate)
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))
    assert back.p == pytest.approx(there.p)
    assert back.effect == pytest.approx(-there.effect)


@given(paired(), st.floats(-2, 2))
def test_a_shift_of_both_changes_nothing(scores, shift):
    a, b = scores
    found, shifted = corrected_t(a, b), corrected_t(a + shift, b + shift)

    assert shifted.estimate == pytest.approx(found.estimate, abs=1e-9)
    assert shifted.p == pytest.approx(found.p, abs=1e-6)


@given(paired(), st.floats(1e-6, 1e6))
def test_percent_or_share_give_the_same_p_and_effect(scores, factor):
    a, b = scores
    found, scaled = corrected_t(a, b), corrected_t(a * factor, b * factor)

    assert scaled.estimate == pytest.approx(found.estimate * factor)
    assert scaled.interval == pytest.approx(tuple(factor * end for end in found.interval), abs=1e-9 * factor)
    assert (scaled.p, scaled.effect) == pytest.approx((found.p, found.effect), abs=1e-9)


@given(paired(), st.permutations(range(4)))
def test_the_order_of_folds_is_irrelevant(scores, order):
    slope = np.arange(8).reshape(2, 4) / 100
    a, b = np.resize(scores[0], (2, 4)) + slope, np.resize(scores[1], (2, 4)) - slope

    assert corrected_t(a[:, order], b[:, order]).p == pytest.approx(corrected_t(a, b).p)


@given(paired())
def test_p_is_below_alpha_where_the_interval_leaves_zero_out(scores):
    found = corrected_t(*scores)
    low, high = found.interval

    assert (found.p < 0.05) == (low > 0 or high < 0)


def test_equal_scores_are_no_evidence_and_have_no_interval():
    found = corrected_t([[0.5, 0.6, 0.7]], [[0.5, 0.6, 0.7]])

    assert (found.p, found.estimate, found.effect, found.interval) == (1.0, 0.0, 0.0, None)
    assert "the same in every fold" in found.remark
    assert not found.refused


def test_differences_without_spread_are_refused_whatever_their_rounding():
    found = corrected_t([[0.81, 0.61, 0.3]], [[0.79, 0.59, 0.28]])

    assert found.estimate == pytest.approx(0.02)
    assert (found.p, found.interval, found.effect) == (None, None, None)
    assert "all 3 folds differ by exactly the same amount" in found.refused


def test_one_fold_is_refused():
    with pytest.raises(UserError, match="no spread"):
        corrected_t([[0.5]], [[0.6]], ratio=0.25)


def test_unequal_shapes_and_missing_scores_are_refused():
    with pytest.raises(UserError, match="cannot be paired"):
        corrected_t([[0.5, 0.6]], [[0.5, 0.6, 0.7]])
    with pytest.raises(UserError, match="b: the score of repeat 0, fold 1"):
        corrected_t([[0.5, 0.6]], [[0.5, np.nan]])


def test_a_finding_says_what_it_stands_on():
    found = corrected_t([[0.5, 0.6, 0.8]], [[0.4, 0.3, 0.5]])

    assert (found.n, found.unit, found.level) == (3, "folds", 0.95)
    assert found.method == "corrected resampled t-test"
    assert found.assumption.count(".") == 1
    assert found.assumption.endswith(".")


def test_repeats_come_with_their_remark():
    once, twice = [[0.5, 0.6, 0.8]], [[0.5, 0.6, 0.8], [0.4, 0.7, 0.6]]

    assert not corrected_t(once, [[0.4, 0.3, 0.5]]).remark
    assert "with repeats" in corrected_t(twice, [[0.4, 0.3, 0.5], [0.5, 0.5, 0.5]]).remark
    assert "with repeats" in fold_mean(twice, against=0.3).remark


@given(paired())
def test_a_mean_has_the_interval_of_its_difference_from_zero(scores):
    a, _ = scores
    mean, gap = fold_mean(a), corrected_t(a, np.zeros_like(a))

    assert mean.estimate == pytest.approx(a.mean())
    assert mean.interval == pytest.approx(gap.interval)
    assert mean.p is None


def test_a_published_figure_is_compared_as_exact():
    a = [[0.61, 0.58, 0.6, 0.57, 0.63]]
    found = fold_mean(a, against=0.7)
    low, high = fold_mean(a).interval

    assert found.estimate == pytest.approx(np.mean(a) - 0.7)
    assert found.p < 0.05
    assert found.interval == pytest.approx((low - 0.7, high - 0.7))
    assert fold_mean(a, against=(low + high) / 2).p > 0.9


def test_folds_that_all_score_the_same_have_a_mean_and_no_interval():
    found = fold_mean([[1.0, 1.0, 1.0]])

    assert (found.estimate, found.interval) == (1.0, None)
    assert "all folds score the same" in found.remark


def test_a_figure_to_compare_with_is_finite():
    with pytest.raises(UserError, match="finite"):
        fold_mean([[0.5, 0.6]], against=float("nan"))
