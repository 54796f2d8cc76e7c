"""McNemar's exact p is the binomial's, its interval covers, and clips on which both agree tell nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reno_sweeps.compare.mcnemar import mcnemar
from reno_sweeps.records import UserError


def judged(only_a, only_b, both, neither):
    """Truth and predictions of two classifiers with so many clips of each kind."""
    right_a = np.repeat([1, 0, 1, 0], [only_a, only_b, both, neither])
    right_b = np.repeat([0, 1, 1, 0], [only_a, only_b, both, neither])
    truth = np.arange(len(right_a)) % 3
    return truth, np.where(right_a, truth, (truth + 1) % 3), np.where(right_b, truth, (truth + 2) % 3)


COUNTS = st.tuples(*[st.integers(0, 40)] * 4).filter(any)


@given(COUNTS)
def test_p_is_a_fair_coins(counts):
    only_a, only_b, *_ = counts
    expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1

    assert mcnemar(*judged(*counts)).p == pytest.approx(expected)


@given(COUNTS)
def test_the_estimate_is_the_difference_of_accuracies(counts):
    truth, a, b = judged(*counts)

    assert mcnemar(truth, a, b).estimate == pytest.approx((a == truth).mean() - (b == truth).mean())


@given(COUNTS)
def test_swapping_negates(counts):
    truth, a, b = judged(*counts)
    there, back = mcnemar(truth, a, b), mcnemar(truth, b, a)

    assert back.p == pytest.approx(there.p)
    assert (back.estimate, back.effect) == pytest.approx((-there.estimate, -there.effect))
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]))


def test_clips_on_which_both_are_right_or_wrong_do_not_change_p():
    few, many = mcnemar(*judged(9, 2, 0, 1)), mcnemar(*judged(9, 2, 500, 300))

    assert few.p == pytest.approx(many.p)
    assert few.effect == pytest.approx(many.effect) == pytest.approx(9 / 11 - 0.5)
    assert many.remark == "11 clips that only one of the two got right (9 to 2)"


def test_the_interval_covers_the_true_difference():
    generator = np.random.default_rng(0)
    kinds = generator.multinomial(100, [0.2, 0.1, 0.5, 0.2], size=400)
    covered = [low <= 0.1 <= high for low, high in (mcnemar(*judged(*counts)).interval for counts in kinds)]

    assert 0.93 <= np.mean(covered) <= 0.985


def test_of_many_clips_the_interval_is_that_of_the_mean_of_their_differences():
    truth, a, b = judged(5000, 1000, 3000, 1000)
    per_clip = (a == truth) * 1.0 - (b == truth)
    expected = stats.norm.interval(0.9, per_clip.mean(), per_clip.std() / np.sqrt(len(truth)))

    assert mcnemar(truth, a, b, level=0.9).interval == pytest.approx(expected, abs=3e-4)


def test_type_one_error_stays_at_its_level():
    kinds = np.random.default_rng(0).multinomial(120, [0.15, 0.15, 0.5, 0.2], size=500)

    assert np.mean([mcnemar(*judged(*counts)).p <= 0.05 for counts in kinds]) <= 0.07


def test_equal_predictions_are_no_evidence():
    found = mcnemar([0, 1, 2], [0, 1, 1], [0, 1, 1])

    assert (found.p, found.estimate, found.effect) == (1.0, 0.0, 0.0)
    assert found.interval[0] < 0 < found.interval[1]


@pytest.mark.parametrize(
    ("a", "said"),
    [
        ([0, 1], "a: 2 clips, truth has 3"),
        ([[0, 1, 2]], r"a: shape \[1, 3\]"),
        ([0.0, 1.0, 2.0], "whole numbers from 0, not float64"),
        ([0, 1, -1], "whole numbers from 0"),
        (["joy", "joy", "awe"], "whole numbers from 0"),
    ],
)
def test_what_is_no_prediction_of_the_same_clips_is_refused(a, said):
    with pytest.raises(UserError, match=said):
        mcnemar([0, 1, 2], a, [0, 1, 2])
