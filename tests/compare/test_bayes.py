"""The posterior of a difference is that of the paper's model, and its three parts are probabilities."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.compare.bayes import correlated_t
from reno_sweeps.compare.corrected_t import corrected_t
from reno_sweeps.records import UserError


@st.composite
def paired(draw):
    """Scores [repeats, folds] of two heads, a few points apart."""
    shape = draw(st.integers(1, 3)), draw(st.integers(2, 10))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    b = generator.uniform(0.4, 0.6, shape)
    return b + generator.normal(draw(st.floats(-0.05, 0.05)), 0.02, shape), b


def by_brute_force(gap, rope, ratio):
    """P(below −rope), P(above rope): likelihood of equally correlated normals × 1/σ on a grid of mean and log σ."""
    n, share = len(gap), ratio / (1 + ratio)
    inverse = np.linalg.inv((1 - share) * np.eye(n) + share)
    centre, spread = gap.mean(), gap.std(ddof=1)
    means = centre + spread * np.linspace(-40, 40, 8001)
    logs = np.log(spread) + np.linspace(-3, 5, 801)
    away = gap - means[:, None]
    squares = np.einsum("mi,ij,mj->m", away, inverse, away)
    density = np.exp(-n * logs - squares[:, None] / (2 * np.exp(2 * logs)) + n * np.log(spread))  # dlogσ holds 1/σ
    weight = density.sum(1) / density.sum()
    return weight[means < -rope].sum(), weight[means > rope].sum()


@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.5])
def test_it_is_the_model_of_the_paper_integrated_by_brute_force(ratio):
    gap = np.array([0.021, -0.004, 0.013, 0.034, 0.006])
    found = correlated_t([0.5 + gap], [np.full(5, 0.5)], ratio=ratio, rope=0.01).posterior
    left, right = by_brute_force(gap, 0.01, ratio)

    assert (found.left, found.right) == pytest.approx((left, right), abs=2e-3)


@given(paired(), st.floats(0, 0.1))
def test_the_three_parts_are_probabilities_of_sum_one(scores, rope):
    found = correlated_t(*scores, rope=rope).posterior

    assert min(found.left, found.rope, found.right) >= 0
    assert found.left + found.rope + found.right == pytest.approx(1)


@given(paired())
def test_swapping_exchanges_left_and_right(scores):
    a, b = scores
    there, back = correlated_t(a, b), correlated_t(b, a)

    assert (back.posterior.left, back.posterior.right) == pytest.approx((there.posterior.right, there.posterior.left))
    assert back.estimate == pytest.approx(-there.estimate)


@given(paired())
def test_without_a_rope_it_is_the_corrected_t_test_read_as_probability(scores):
    bayes, classic = correlated_t(*scores, rope=0), corrected_t(*scores)

    assert 2 * min(bayes.posterior.left, bayes.posterior.right) == pytest.approx(classic.p, abs=1e-9)
    assert bayes.posterior.rope == pytest.approx(0, abs=1e-12)
    assert bayes.interval == pytest.approx(classic.interval)


@given(paired())
def test_a_wider_rope_holds_more(scores):
    within = [correlated_t(*scores, rope=rope).posterior.rope for rope in (0, 0.005, 0.01, 0.05, 1.0)]

    assert within == sorted(within)


@given(paired(), st.floats(1e-3, 1e3))
def test_scores_and_rope_in_percent_give_the_same_probabilities(scores, factor):
    a, b = scores
    found = dataclasses.astuple(correlated_t(a, b, rope=0.01).posterior)[:3]
    scaled = dataclasses.astuple(correlated_t(a * factor, b * factor, rope=0.01 * factor).posterior)[:3]

    assert scaled == pytest.approx(found, abs=1e-6)


def test_many_steady_folds_of_no_difference_are_equivalent():
    generator = np.random.default_rng(0)
    b = generator.uniform(0.4, 0.6, (10, 10))
    found = correlated_t(b + generator.normal(0, 0.005, b.shape), b)

    assert found.posterior.rope > 0.95


def test_equal_scores_lie_within_any_rope():
    found = correlated_t([[0.5, 0.6]], [[0.5, 0.6]], rope=0)

    assert (found.posterior.left, found.posterior.rope, found.posterior.right) == (0, 1, 0)
    assert found.interval is None
    assert found.remark


def test_differences_without_spread_are_refused():
    found = correlated_t([[0.5, 0.6]], [[0.4, 0.5]])

    assert found.posterior is None
    assert "exactly the same amount" in found.refused


@pytest.mark.parametrize("rope", [-0.01, float("inf"), float("nan")])
def test_a_rope_is_a_width(rope):
    with pytest.raises(UserError, match="rope"):
        correlated_t([[0.5, 0.6]], [[0.4, 0.3]], rope=rope)
