"""A trial's curve: mean over folds by epoch, as far as every fold has come."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from reno_sweeps.records import Key
from reno_sweeps.search.running import Running


@pytest.fixture
def running() -> Running:
    return Running(17, "val_macro_f1", {(0, 0), (0, 1), (1, 0)})


@pytest.fixture
def finished(fold_score):
    """A finished fold with this curve, whose best value is its objective."""

    def make(place, *values):
        score = fold_score(place[1], place[0], value=max(values))
        return replace(score, curves={"val_macro_f1": values})

    return make


def advance(running: Running, place, *values, first: int = 1) -> None:
    for epoch, value in enumerate(values, start=first):
        running.epoch(place, epoch, {"val_macro_f1": value, "loss": 9.0})


def test_keys_are_those_of_the_models_still_training(running, finished):
    running.leave((0, 1))
    running.finish(finished((0, 0), 0.5))

    assert running.keys == {Key("trial 17", 1, 0)}


def test_there_is_no_curve_before_every_fold_has_an_epoch(running):
    advance(running, (0, 0), 0.1, 0.2)
    advance(running, (0, 1), 0.3)

    assert running.curve() == ()


def test_the_curve_goes_as_far_as_the_slowest_fold(running):
    advance(running, (0, 0), 0.1, 0.2, 0.3)
    advance(running, (0, 1), 0.3)
    advance(running, (1, 0), 0.8, 0.8)

    assert running.curve() == pytest.approx((0.4,))


def test_a_fold_that_stopped_early_goes_on_with_its_best_value(running, finished):
    advance(running, (0, 0), 0.3, 0.3, 0.3)
    advance(running, (1, 0), 0.3, 0.3, 0.3, 0.3)
    running.finish(finished((0, 1), 0.6, 0.0))

    assert running.curve() == pytest.approx((0.4, 0.2, 0.4))  # 0.6, 0.0, then 0.6 again, beside 0.3 and 0.3


def test_when_all_have_finished_the_longest_counts(running, finished):
    running.finish(finished((0, 0), 0.9))
    running.finish(finished((0, 1), 0.3, 0.6))
    running.finish(finished((1, 0), 0.0, 0.0, 0.0))

    assert running.curve() == pytest.approx((0.4, 0.5, 0.5))


def test_folds_that_were_stopped_stay_in_the_curve(running, finished):
    advance(running, (0, 0), 0.1, 0.2, 0.3)
    advance(running, (0, 1), 0.1, 0.2)
    running.finish(finished((1, 0), 0.4, 0.4, 0.4))
    before = running.curve()
    running.leave((0, 0))
    running.leave((0, 1))

    assert before == running.curve() == pytest.approx((0.2, 0.8 / 3))


def test_a_pruned_trial_keeps_the_curve_up_to_its_verdict(running):
    for place in list(running.left):
        advance(running, place, 0.1, 0.2, 0.3, 0.4)
    running.last = 2

    assert running.curve() == pytest.approx((0.1, 0.2))


def test_epochs_told_twice_by_a_restarted_worker_change_nothing(running):
    for place in list(running.left):
        advance(running, place, 0.1, 0.2, 0.3)
    before = running.curve()
    advance(running, (0, 0), 0.1, 0.2)

    assert running.curve() == before


def test_the_curve_does_not_depend_on_the_order_of_folds_to_the_last_bit(finished):
    values = {(0, 0): 0.1, (0, 1): 0.7, (0, 2): 1e-17, (0, 3): 0.3}
    curves = set()
    for order in itertools.permutations(values):
        one = Running(0, "val_macro_f1", set(values))
        for place in order:
            one.finish(finished(place, values[place]))
        curves.add(one.curve())

    assert len(curves) == 1


def test_metrics_without_the_objective_are_passed_over(running):
    running.epoch((0, 0), 1, {"loss": 1.0})

    assert running.values == {}


def test_the_objective_of_a_finished_fold_is_that_of_its_best_epoch(fold_score):
    one = Running(0, "val_cross_entropy", {(0, 0)})
    one.finish(fold_score())

    assert one.finished == {(0, 0): 5e-324}
