"""Masks: the right share, the right scale, each model's own."""

from __future__ import annotations

import pytest
import torch

from reno_sweeps.training.dropout import Masks, keep


def masks(rates: list[float], seeds: list[int], step: int = 0) -> Masks:
    made = Masks(rates, seeds)
    made.begin(torch.full((len(seeds),), float(step)))
    return made


def lowbias32(x: int) -> int:
    """The hash as its author writes it, on whole numbers."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


def plain(seed: int, step: int, site: int, entry: int, rate: float) -> bool:
    """Whether an entry is kept, by the rule in plain whole numbers."""
    low, high = seed % 2**32, seed // 2**32 % 2**32
    first = lowbias32((low + lowbias32((step * 0x9E3779B9 + site * 0x85EBCA6B) % 2**32)) % 2**32)
    second = lowbias32(high ^ first)
    x = entry ^ first
    x = (x ^ x >> 16) * 0x7FEB352D % 2**32 ^ second
    x = (x ^ x >> 15) * 0x846CA68B % 2**32
    return (x + 2**31) % 2**32 >= round(rate * 2**32)  # as signed numbers compare


def test_masks_are_those_of_the_rule_in_whole_numbers():
    seeds, steps, rates = [2**64 - 3, 0x123456789ABCDEF0], [7, 70_000], [0.25, 0.7]
    made = Masks(rates, seeds)
    made.begin(torch.tensor(steps, dtype=torch.float32))
    for site in range(3):
        kept = made(torch.ones(2, 37, 3)).flatten(1) > 0
        expected = [[plain(seeds[m], steps[m], site, i, rates[m]) for i in range(111)] for m in range(2)]

        assert kept.tolist() == expected


def test_steps_places_models_and_neighbouring_seeds_drop_independently():
    n, rate = 200_000, 0.5
    drawn = []
    for seed in (5, 6):
        for step in (0, 1):
            one = masks([rate], [seed], step)
            drawn += [one(torch.ones(1, n))[0] > 0 for _ in range(2)]
    kept = torch.stack(drawn).double() - 0.5
    shifted = kept[:, 1:] * kept[:, :-1]
    correlations = (kept @ kept.T / n * 4).fill_diagonal_(0)

    assert correlations.abs().max().item() < 5 / n**0.5
    assert shifted.mean(1).abs().max().item() * 4 < 5 / n**0.5


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
