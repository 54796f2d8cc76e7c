"""Findings in plain language: the winner and by how much, no evidence, equivalence, or why nothing was tested."""

from __future__ import annotations

import pytest

from reno_sweeps.compare.corrected_t import corrected_t, fold_mean
from reno_sweeps.compare.finding import Finding, Posterior
from reno_sweeps.compare.verdict import single, verdict

BETTER = Finding("test", "assumed.", 0.021, 5, "folds", 0.95, (0.004, 0.038), 0.021)
UNSURE = Finding("test", "assumed.", 0.004, 5, "folds", 0.95, (-0.012, 0.02), 0.53)


def believing(left, rope, right):
    return Finding("test", "assumed.", 0.02, 5, "folds", 0.95, (0, 0.1), posterior=Posterior(left, rope, right, 0.01))


def test_the_better_one_is_named_with_points_and_interval():
    assert verdict(BETTER, "reno", "linear") == (
        "reno is better by 2.1 points, 95 % interval 0.4 to 3.8 (test, 5 folds, p = 0.021)"
    )


def test_the_other_way_round_says_the_same():
    worse = Finding("test", "assumed.", -0.021, 5, "folds", 0.95, (-0.038, -0.004), 0.021)

    assert verdict(worse, "linear", "reno") == verdict(BETTER, "reno", "linear")


def test_no_evidence_is_said_with_the_difference_and_its_interval():
    assert verdict(UNSURE, "reno", "linear") == (
        "no evidence of a difference: reno − linear = +0.4 points, 95 % interval −1.2 to 2.0 (test, 5 folds, p = 0.53)"
    )


def test_holms_p_decides_and_is_said():
    said = verdict(BETTER, "reno", "linear", adjusted=0.084, comparisons=4)

    assert said.startswith("no evidence of a difference: reno − linear = +2.1 points")
    assert said.endswith("p = 0.021; 0.084 by Holm's correction for 4 comparisons)")


def test_a_loss_is_better_below():
    loss = Finding("test", "assumed.", -0.1234, 5, "folds", 0.95, (-0.2, -0.05), 0.0001)

    assert verdict(loss, "reno", "linear", metric="test_cross_entropy") == (
        "reno is better by 0.123, 95 % interval 0.050 to 0.200 (test, 5 folds, p < 0.001)"
    )


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((0.01, 0.02, 0.97), "reno is better by more than 1.0 points with probability 97 %"),
        ((0.999, 0.001, 0.0), "linear is better by more than 1.0 points with probability > 99 %"),
        ((0.02, 0.96, 0.02), "reno and linear are practically equal: within ±1.0 points with probability 96 %"),
        ((0.002, 0.398, 0.6), "undecided: reno better 60 %, within ±1.0 points 40 %, linear better < 1 %"),
    ],
)
def test_a_posterior_is_said_as_probability(parts, said):
    assert verdict(believing(*parts), "reno", "linear") == said


def test_a_posterior_of_a_loss_is_turned():
    assert verdict(believing(0.97, 0.03, 0), "reno", "linear", metric="cross_entropy") == (
        "reno is better by more than 0.010 with probability 97 %"
    )


def test_what_was_refused_is_said_with_its_reason():
    found = corrected_t([[0.81, 0.61]], [[0.79, 0.59]])

    assert verdict(found, "reno", "linear") == (
        "not tested: all 2 folds differ by exactly the same amount, so there is no spread to judge it by "
        "(reno − linear = +2.0 points)"
    )


def test_equal_scores_are_no_evidence():
    found = corrected_t([[0.5, 0.6, 0.7]], [[0.5, 0.6, 0.7]])

    assert verdict(found, "a", "b") == (
        "no evidence of a difference: a − b = 0.0 points (corrected resampled t-test, 3 folds, p = 1.00)"
    )


def test_a_tiny_difference_is_not_said_to_be_zero():
    tiny = Finding("test", "assumed.", 0.0002, 5, "folds", 0.95, (0.0001, 0.0003), 0.001)

    assert verdict(tiny, "a", "b").startswith("a is better by 0.02 points, 95 % interval 0.01 to 0.03")


def test_a_difference_without_a_test_has_its_interval():
    shown = Finding("test", "assumed.", -0.021, 5, "folds", 0.9, (-0.05, 0.01))

    assert verdict(shown, "a", "b") == "a − b = −2.1 points, 90 % interval −5.0 to 1.0"


def test_a_single_score_has_its_interval_or_the_reason_why_not():
    assert single(Finding("test", "assumed.", 0.567, 5, "folds", 0.95, (0.541, 0.59))) == (
        "56.7 %, 95 % interval 54.1 to 59.0"
    )
    assert single(fold_mean([[1.0, 1.0]])) == "100.0 % (no interval: all folds score the same)"
    assert single(Finding("test", "assumed.", 1.2, 5, "folds", 0.95, (1.1, 1.3)), metric="cross_entropy") == (
        "1.200, 95 % interval 1.100 to 1.300"
    )
