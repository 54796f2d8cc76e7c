"""Masks: the right share, the right scale, each model's own."""

from __future__ import annotations

import pytest
import torch

from reno_sweeps.training.dropout import Masks, keep


def masks(rates: list[float], seeds: list[int]) -> Masks:
    return Masks(rates, [torch.Generator().manual_seed(s) for s in seeds])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_share_is_dropped_and_the_mean_stays(rate):
    dropped = masks([rate], [0])(torch.ones(1, 100_000))

    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
    assert dropped.max().item() == pytest.approx(1 / (1 - rate))
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)


def test_each_models_masks_are_those_it_has_alone():
    x = torch.ones(2, 7, 5)
    together = masks([0.3, 0.6], [1, 2])(x)
    alone = [masks([0.3], [1])(x[:1]), masks([0.6], [2])(x[1:])]

    assert torch.equal(together, torch.cat(alone))


def test_a_rate_given_by_the_head_replaces_the_models_own():
    assert torch.equal(masks([0.9], [3])(torch.ones(1, 50), 0.2), masks([0.2], [3])(torch.ones(1, 50)))


def test_nothing_is_dropped_at_rate_zero_or_in_evaluation():
    x = torch.ones(1, 5)

    assert torch.equal(masks([0.0], [0])(x), x)
    assert torch.equal(keep(x, 0.5), x)


def test_every_precision_drops_the_same_entries():
    single, double = (masks([0.5], [4])(torch.ones(1, 999, dtype=t)) for t in (torch.float32, torch.float64))

    assert torch.equal(single == 0, double == 0)
    assert double.dtype == torch.float64
