"""Holm's adjusted p-values: the step-down rule itself, and a family-wise error that stays at its level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.compare.holm import holm
from reno_sweeps.records import UserError

PS = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_an_example_by_hand():
    """Sorted .005, .01, .03, .04 times 4, 3, 2, 1 is .02, .03, .06, .04; no step falls below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@given(PS, st.sampled_from([0.01, 0.05, 0.2]))
def test_adjusted_below_alpha_is_what_the_step_down_rule_rejects(p, alpha):
    rejected = set()
    for step, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] * (len(p) - step) > alpha:
            break
        rejected.add(int(place))

    assert {place for place, adjusted in enumerate(holm(p)) if adjusted <= alpha} == rejected


@given(PS)
def test_it_lies_between_the_p_and_bonferronis(p):
    adjusted = holm(p)

    assert all(own <= new <= min(1, own * len(p)) for own, new in zip(p, adjusted, strict=True))


@given(PS, st.randoms())
def test_the_order_is_irrelevant(p, random):
    order = list(range(len(p)))
    random.shuffle(order)

    assert holm([p[i] for i in order]) == pytest.approx([holm(p)[i] for i in order])


def test_under_the_null_one_false_alarm_in_twenty_families():
    families = np.random.default_rng(0).uniform(size=(2000, 5))
    alarms = np.mean([min(holm(p)) <= 0.05 for p in families])
    uncorrected = (families.min(1) <= 0.05).mean()

    assert alarms < 0.065
    assert uncorrected > 0.2


def test_none_and_one_are_unchanged():
    assert holm([]) == ()
    assert holm([0.03]) == (0.03,)


@pytest.mark.parametrize("p", [[1.2], [-0.1], [float("nan")], [[0.1]]])
def test_what_is_no_p_is_refused(p):
    with pytest.raises(UserError, match="between 0 and 1"):
        holm(p)
