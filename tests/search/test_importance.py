"""Importance: the parameter that decides is told from one that does nothing; too few trials say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from reno_sweeps.records import Cell, Objective, Sweep, Trial
from reno_sweeps.search.importance import LEAST, importances
from reno_sweeps.space import Categorical, Float

SEARCH = {
    "training.lr": Float(low=1e-4, high=1e-2, log=True),
    "training.dropout": Float(low=0.0, high=0.5),
    "trunk.kind": Categorical(("conv", "linear")),
    "trunk.positions": Categorical((8, 16), when=(("trunk.kind", "conv"),)),
}


def trials(n: int, cells: int = 1) -> list[Trial]:
    """The learning rate decides; every fifth trial was pruned."""
    dice = np.random.default_rng(0)
    made = []
    for number in range(n):
        lr, dropout = float(10 ** dice.uniform(-4, -2)), float(dice.uniform(0, 0.5))
        proposal = {"training.lr": lr, "training.dropout": dropout, "trunk.kind": ("conv", "linear")[number % 2]}
        if number % 2 == 0:
            proposal["trunk.positions"] = 8
        state, value = ("pruned", None) if number % 5 == 4 else ("complete", 0.5 + 0.1 * np.log10(lr))
        made.append(Trial(number, number % cells, state, proposal, (), objective=value))
    return made


def sweep(direction: str = "maximize", cells: int = 1) -> Sweep:
    metric = "macro_f1" if direction == "maximize" else "cross_entropy"
    return Sweep("s", "demo", (Cell("reno", ("a", "b")),) * cells, SEARCH, objective=Objective(metric, direction))


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_what_decides_comes_first_and_the_shares_sum_to_one(direction: str) -> None:
    found = importances(sweep(direction), trials(60))

    assert next(iter(found)) == "training.lr"
    assert found["training.lr"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0)
    assert "trunk.positions" not in found  # half of the trials do not have it


def test_the_cell_with_most_trials_is_looked_at() -> None:
    some = [t for t in trials(60, cells=2) if t.cell == 1 or t.number < 20]
    found = importances(sweep(cells=2), some)

    assert next(iter(found)) == "training.lr"
    assert "trunk.positions" not in found  # the second cell's trials are all linear


def test_few_trials_or_equal_ones_say_nothing() -> None:
    assert importances(sweep(), trials(LEAST)) == {}
    assert importances(sweep(), []) == {}
    equal = [Trial(n, 0, "complete", t.proposal, (), objective=0.5) for n, t in enumerate(trials(30))]
    assert importances(sweep(), equal) == {}
