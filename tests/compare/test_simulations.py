"""How often the tests err when training sets really overlap: 500 simulated studies of each kind."""

from __future__ import annotations

import numpy as np
import pytest

from reno_sweeps.compare.bayes import correlated_t
from reno_sweeps.compare.corrected_t import corrected_t, fold_mean
from tests.compare.simulated import cross_validated, nearest_clip, nearest_mean

RUNS = 500
NAIVE = 0.0  # ratio of test to training clips as if no clip were trained on twice


def rejections(a, b, ratio=None):
    """Share of the studies [studies, repeats, folds] that call the two different at 5 %, or refuse to say."""
    found = [corrected_t(one, other, ratio=ratio) for one, other in zip(a, b, strict=True)]
    return np.mean([one.p is None or one.p <= 0.05 for one in found])


@pytest.mark.parametrize("learner", [nearest_mean, nearest_clip])
@pytest.mark.parametrize("signal", [0.0, 0.2, 0.5, 1.0])
def test_under_the_null_the_corrected_test_rejects_at_most_seven_in_a_hundred(signal, learner):
    a, b = cross_validated(RUNS, signals=(signal, signal), clips=60, seed=1, learner=learner)

    assert rejections(a, b) <= 0.07


def test_the_naive_test_finds_differences_that_are_not_there():
    a, b = cross_validated(RUNS, signals=(0.2, 0.2), seed=1)

    assert rejections(a, b, NAIVE) > 0.08
    assert rejections(a, b) < rejections(a, b, NAIVE) / 2


def test_repeating_cross_validation_makes_the_naive_test_absurd_and_not_the_corrected_one():
    a, b = cross_validated(RUNS, signals=(0.5, 0.5), repeats=10, seed=1)

    assert rejections(a, b, NAIVE) > 0.4
    assert rejections(a, b) <= 0.07


def test_an_unstable_learner_repeated_often_stretches_the_correction():
    """The share of tested clips is only a guess at the correlation: here it is more, and documented."""
    a, b = cross_validated(RUNS, signals=(1, 1), clips=60, repeats=5, seed=1, learner=nearest_clip)

    assert rejections(a, b) <= 0.13
    assert rejections(a, b, NAIVE) > 0.4


def test_folds_of_one_study_are_correlated_as_the_correction_has_it():
    """Variance of the mean difference over studies, to what a single study believes: naive too small, corrected not."""
    a, b = cross_validated(3000, signals=(0.2, 0.2), seed=2)
    gaps = (a - b)[:, 0]
    true = gaps.mean(1).var()
    believed = gaps.var(axis=1, ddof=1).mean()

    assert believed * (1 / 5) < 0.8 * true
    assert 0.9 * true < believed * (1 / 5 + 1 / 4) < 2 * true


@pytest.mark.parametrize(("signals", "least"), [((0.9, 0.3), 0.8), ((1.2, 0.2), 0.97)])
def test_a_known_difference_is_found(signals, least):
    a, b = cross_validated(200, signals=signals, clips=200, seed=3)

    assert rejections(a, b) >= least


def test_repeats_lend_power():
    once, often = (cross_validated(200, signals=(0.6, 0.35), clips=200, repeats=n, seed=4) for n in (1, 10))

    assert rejections(*often) > rejections(*once) + 0.1


def test_intervals_of_a_mean_cover_the_accuracy_of_the_method():
    every, _ = cross_validated(4000, signals=(0.5, 0.5), seed=5)
    true = every.mean()
    ends = [fold_mean(one).interval for one in every[:RUNS]]

    assert np.mean([low <= true <= high for low, high in ends]) >= 0.94


def test_bayes_is_seldom_sure_of_a_difference_that_is_not_there():
    a, b = cross_validated(RUNS, signals=(0.2, 0.2), seed=6)
    found = [correlated_t(one, other).posterior for one, other in zip(a, b, strict=True)]

    assert np.mean([max(one.left, one.right) >= 0.95 for one in found]) <= 0.07
