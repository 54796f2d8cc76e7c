"""Signed ranks over corpora: scipy's p, Hodges and Lehmann's median, and a refusal where nothing could be shown."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reno_sweeps.compare.signed_rank import signed_rank, smallest_p
from reno_sweeps.records import UserError


@st.composite
def paired(draw, least=6):
    """Scores [corpora] of two heads."""
    n = draw(st.integers(least, 15))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    return generator.uniform(0.3, 0.9, n), generator.uniform(0.3, 0.9, n)


def by_counting(gap):
    """Two-sided p from every pattern of signs of the given ranks."""
    ranks = stats.rankdata(np.abs(gap))
    sums = np.array([ranks[list(signs)].sum() for signs in itertools.product([True, False], repeat=len(gap))])
    own = ranks[gap > 0].sum()
    return min(1, 2 * min((sums <= own + 1e-9).mean(), (sums >= own - 1e-9).mean()))


@given(paired())
def test_p_is_scipys_exact_one(scores):
    a, b = scores

    assert signed_rank(a, b).p == pytest.approx(stats.wilcoxon(a, b, method="exact").pvalue)


def test_with_ties_every_pattern_of_signs_is_counted():
    gap = np.array([0.02, -0.02, -0.02, 0.02, 0.02, 0.04, 0.02])
    found = signed_rank(0.5 + gap, np.full(7, 0.5))

    assert found.p == pytest.approx(by_counting(np.round(gap, 6)))
    assert found.p != pytest.approx(stats.wilcoxon(np.round(gap, 6), method="exact").pvalue)


@given(paired())
def test_swapping_negates(scores):
    a, b = scores
    there, back = signed_rank(a, b), signed_rank(b, a)

    assert (back.estimate, back.effect) == pytest.approx((-there.estimate, -there.effect))
    assert back.p == pytest.approx(there.p)
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))


@given(paired(), st.floats(-1, 1), st.floats(0.01, 100))
def test_shift_and_scale_change_neither_p_nor_effect(scores, shift, factor):
    a, b = scores
    found, moved = signed_rank(a, b), signed_rank((a + shift) * factor, (b + shift) * factor)

    assert (moved.p, moved.effect) == pytest.approx((found.p, found.effect))
    assert moved.estimate == pytest.approx(found.estimate * factor, abs=1e-9 * factor)


@given(paired())
def test_the_interval_is_the_exact_test_inverted(scores):
    a, b = scores
    low, high = signed_rank(a, b).interval
    eps = 1e-6

    assert stats.wilcoxon(a - b - low + eps, method="exact").pvalue <= 0.05
    assert stats.wilcoxon(a - b - low - eps, method="exact").pvalue > 0.05
    assert stats.wilcoxon(a - b - high - eps, method="exact").pvalue <= 0.05
    assert stats.wilcoxon(a - b - high + eps, method="exact").pvalue > 0.05


@pytest.mark.parametrize("pairs", range(1, 10))
def test_the_smallest_p_is_that_of_all_signs_alike(pairs):
    gap = np.arange(1.0, pairs + 1)

    assert smallest_p(pairs) == pytest.approx(stats.wilcoxon(gap, method="exact").pvalue)


def test_five_pairs_are_refused_for_they_cannot_give_less_than_0_0625():
    with pytest.raises(UserError, match=r"5 pairs can't give p < 0\.0625, and 0\.05 is asked\n6 corpora are the least"):
        signed_rank(np.arange(5.0), np.zeros(5))
    assert signed_rank(np.arange(1.0, 7), np.zeros(6)).p == pytest.approx(0.03125)


def test_several_comparisons_need_more_corpora():
    with pytest.raises(UserError, match=r"\(times 3 by Holm's correction\)[^\n]*\n7 corpora are the least"):
        signed_rank(np.arange(6.0), np.zeros(6), comparisons=3)
    with pytest.raises(UserError, match="0 comparisons"):
        signed_rank(np.arange(6.0), np.zeros(6), comparisons=0)
    assert signed_rank(np.arange(1.0, 8), np.zeros(7), comparisons=3).p < 0.05 / 3


def test_a_laxer_level_asks_for_fewer_corpora():
    assert signed_rank(np.arange(1.0, 6), np.zeros(5), level=0.9).p == pytest.approx(0.0625)


def test_equal_corpora_are_left_out_of_p_and_said():
    gap = np.array([0.0, 0.01, 0.02, 0.03, -0.04, 0.05, 0.06])
    found = signed_rank(0.5 + gap, np.full(7, 0.5))

    assert found.p == pytest.approx(stats.wilcoxon(gap[1:], method="exact").pvalue)
    assert found.n == 7
    assert found.remark == "equal on 1 of 7 corpora; the smallest possible p is 0.031"


def test_all_equal_is_no_evidence():
    found = signed_rank(np.full(6, 0.5), np.full(6, 0.5))

    assert (found.p, found.estimate, found.effect) == (1.0, 0.0, 0.0)
    assert found.remark == "equal on all corpora"


def test_winning_everywhere_has_an_effect_of_one():
    found = signed_rank([0.5, 0.6, 0.7, 0.8, 0.55, 0.65], [0.4, 0.3, 0.5, 0.6, 0.5, 0.64])

    assert found.effect == pytest.approx(1)
    assert found.interval[0] > 0


def test_type_one_error_stays_at_its_level():
    gaps = np.random.default_rng(0).standard_t(3, (500, 8)) / 100
    rejected = np.mean([signed_rank(0.5 + gap, np.full(8, 0.5)).p <= 0.05 for gap in gaps])

    assert 0.01 < rejected <= 0.07


def test_what_cannot_be_paired_is_refused():
    with pytest.raises(UserError, match="cannot be paired"):
        signed_rank(np.zeros(6), np.zeros(7))
    with pytest.raises(UserError, match="b: the score of corpus 2"):
        signed_rank(np.zeros(6), [0, 0, np.nan, 0, 0, 0])
