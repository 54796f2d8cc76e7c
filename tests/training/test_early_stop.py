"""Each model's patience and best weights, independent of its neighbours."""

from __future__ import annotations

import torch

from reno_sweeps.training.early_stop import EarlyStop


def run(scores: list[list[float]], patience: list[int]) -> tuple[EarlyStop, list[list[bool]]]:
    """Epochs of scores, a column a model; the weights of epoch e are full of e."""
    stop = EarlyStop({"w": torch.zeros(len(patience), 2)}, patience)
    waited = []
    for epoch, row in enumerate(scores, start=1):
        waited.append(stop.observe(epoch, row, {"w": torch.full((len(patience), 2), float(epoch))}).tolist())
    return stop, waited


def test_each_model_keeps_the_weights_of_its_own_best_epoch():
    stop, _ = run([[3.0, 1.0], [2.0, 2.0], [2.5, 3.0]], [5, 5])

    assert stop.best.tolist() == [2.0, 1.0]
    assert stop.best_epoch.tolist() == [2, 1]
    assert stop.weights["w"].tolist() == [[2.0, 2.0], [1.0, 1.0]]


def test_each_model_waits_for_its_own_patience():
    _, waited = run([[1.0, 1.0], [2.0, 2.0], [2.0, 2.0]], [1, 2])

    assert waited == [[False, False], [True, False], [True, True]]


def test_an_equal_score_is_no_better():
    stop, _ = run([[1.0], [1.0]], [5])

    assert stop.best_epoch.tolist() == [1]


def test_a_score_that_is_no_number_is_never_the_best():
    stop, _ = run([[1.0], [float("nan")]], [5])

    assert stop.best_epoch.tolist() == [1]
