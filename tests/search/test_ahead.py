"""A cohort at a time is no random search: TPE that knows results late, against TPE that waits for each, and chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import median

import pytest

from reno_sweeps.records import Budget, Objective, Trial
from reno_sweeps.search.study import Proposer
from reno_sweeps.space import Distribution, Float, Value

SEEDS = range(20)
Space, Function = Mapping[str, Distribution], Callable[[Mapping[str, Value]], float]

PLAIN = {name: Float(0.0, 1.0) for name in "abcd"}
SCALED = {
    "lr": Float(1e-5, 1e-1, log=True),
    "decay": Float(1e-4, 1.0, log=True),
    "dropout": Float(0.0, 1.0),
    "weight": Float(0.0, 1.0),
}


def plain(at: Mapping[str, Value]) -> float:
    """A quadratic whose best, 0, lies off the middle."""
    return sum((at[name] - best) ** 2 for name, best in zip("abcd", (0.2, 0.7, 0.4, 0.9), strict=True))


def scaled(at: Mapping[str, Value]) -> float:
    """The same in the logarithms of two."""
    logs = (math.log10(at["lr"]) + 3, math.log10(at["decay"]) + 1)
    return sum((log / 4) ** 2 for log in logs) + (at["dropout"] - 0.3) ** 2 + (at["weight"] - 0.8) ** 2


def regret(space: Space, function: Function, sampler: str, ahead: int, seed: int, trials: int) -> float:
    """The least value that a search finds."""
    proposer = Proposer(
        space, Budget(sampler=sampler, seed=seed), Objective(direction="minimize"), ahead=ahead, epochs=1
    )
    found: list[Mapping[str, Value]] = []
    for _ in range(trials):
        found.append(proposer.propose(lambda i: Trial(i, 0, "complete", found[i], objective=function(found[i]))))
    return min(map(function, found))


def kept(space: Space, function: Function, trials: int, *aheads: int) -> list[float]:
    """The share of sequential TPE's gain over chance that TPE keeps so many trials ahead; of medians over the seeds."""

    def middle(sampler: str, ahead: int) -> float:
        return median(regret(space, function, sampler, ahead, seed, trials) for seed in SEEDS)

    chance, sequential = middle("random", 1), middle("tpe", 1)
    return [(chance - middle("tpe", ahead)) / (chance - sequential) for ahead in aheads]


@pytest.mark.slow
@pytest.mark.parametrize(("space", "function"), [(PLAIN, plain), (SCALED, scaled)])
def test_of_64_trials_eight_or_sixteen_ahead_keep_most_of_what_tpe_gains_over_chance(space, function):
    """Measured: 1.00 and 0.85 of it on the plain function, 0.94 and 0.89 on the scaled one (chance: none of it)."""
    eight, sixteen = kept(space, function, 64, 8, 16)

    assert eight > 0.9
    assert sixteen > 0.8


@pytest.mark.slow
def test_thirty_two_ahead_need_more_trials_and_are_still_far_from_chance():
    """Measured: 0.87 of the gain after 128 trials (0.3 after 64, of which the first 32 know nothing)."""
    (thirty_two,) = kept(SCALED, scaled, 128, 32)

    assert thirty_two > 0.8
