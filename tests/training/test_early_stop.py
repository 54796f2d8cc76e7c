"""A model's patience."""

from __future__ import annotations

from reno_sweeps.training.early_stop import EarlyStop


def run(scores: list[float], patience: int) -> tuple[EarlyStop, list[bool], list[bool]]:
    """Epochs of scores: the state, which were the best so far, and after which it had waited long enough."""
    stop = EarlyStop(patience)
    better, waited = [], []
    for epoch, score in enumerate(scores, start=1):
        better.append(stop.observe(epoch, score))
        waited.append(stop.waited)
    return stop, better, waited


def test_the_lowest_score_is_the_best():
    stop, better, _ = run([3.0, 2.0, 2.5], 5)

    assert (stop.best, stop.best_epoch, better) == (2.0, 2, [True, True, False])


def test_it_waits_as_many_epochs_as_its_patience():
    assert run([1.0, 2.0, 2.0], 1)[2] == [False, True, True]
    assert run([1.0, 2.0, 2.0], 2)[2] == [False, False, True]


def test_an_equal_score_is_no_better():
    assert run([1.0, 1.0], 5)[0].best_epoch == 1


def test_a_score_that_is_no_number_is_never_the_best():
    assert run([1.0, float("nan")], 5)[0].best_epoch == 1
