"""What must hold between the parts of a space: heads divide channels, a metric has its direction, a grid is finite."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping

from reno_sweeps import catalogue
from reno_sweeps.config._shape import SpaceShape
from reno_sweeps.config._yaml import Document
from reno_sweeps.records import Budget, Cell, Objective, Protocol, Sweep
from reno_sweeps.space import Distribution, Float, Value, applies, parameters
from reno_sweeps.training.configuration import heads_of, refuse, resolve, search_of

_MOST_COMBINATIONS = 5_000  # of sizes that are tried out; beyond it each size is tried alone
_LARGEST_GRID = 100_000  # Optuna lists a grid in memory
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
MINIMIZED = ("cross_entropy",)


def protocol(document: Document, shape: SpaceShape) -> Protocol:
    """The protocol; refuses what contradicts itself."""
    asked = shape.protocol
    if asked.selection == "nested" and asked.n_folds < 3:
        what = f"selection nested searches on the {asked.n_folds - 1} other fold: at least 3 folds are needed"
        raise document.error(("protocol", "n_folds"), what, "Write n_folds: 5")
    if asked.folds == "given" and asked.repeats > 1:
        what = "given folds are the same in every repeat: repeats is 1"
        raise document.error(("protocol", "repeats"), what, "Remove repeats, or write folds: stratified")
    return Protocol(**asked.model_dump())


def objective(document: Document, shape: SpaceShape) -> Objective:
    """The objective; its direction follows the metric and may not contradict it."""
    asked = shape.objective
    direction = "minimize" if asked.metric in MINIMIZED else "maximize"
    if asked.direction not in {None, direction}:
        what = f"{asked.metric} is better {'below' if asked.metric in MINIMIZED else 'above'}: direction is {direction}"
        raise document.error(("objective", "direction"), what, "Remove direction: it follows the metric")
    return Objective(asked.metric, direction)


def budget(document: Document, shape: SpaceShape) -> Budget:
    """The budget; 64 trials unless given, one where nothing is searched."""
    asked = shape.budget
    if asked.ahead != "auto" and not 1 <= asked.ahead <= 100_000:
        raise document.error(("budget", "ahead"), f"budget.ahead is auto or at least 1, not {asked.ahead}")
    trials = asked.trials or (64 if shape.search else 1)
    if not shape.search and trials > 1:
        what = f"nothing is searched: {trials} trials would all be the same"
        raise document.error(("budget", "trials"), what, "Write trials: 1, or search something")
    seconds = None if asked.time is None else _seconds_at(document, asked.time)
    ahead = None if asked.ahead == "auto" else asked.ahead
    return Budget(trials, seconds, asked.sampler, asked.pruner, ahead, asked.seed)


def _seconds_at(document: Document, time: str | float) -> float:
    """`budget.time` in seconds; a UserError with its line."""
    try:
        return seconds(time)
    except ValueError as problem:
        raise document.error(("budget", "time"), str(problem), "For example: 90s, 30m, 2h, 1h30m") from None


def seconds(time: str | float) -> float:
    """Seconds of '90s', '30m', '2h', '1h30m' or a plain number; a ValueError, one sentence, for anything else."""
    if isinstance(time, str) and _DURATION.fullmatch(time.strip()):
        parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", time)
        total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    elif isinstance(time, (int, float)) and not isinstance(time, bool):
        total = float(time)
    else:
        raise ValueError(f"time is a duration, not the text '{time}'")
    if not 0 < total < math.inf:
        raise ValueError(f"time is above 0 seconds, not {time}")
    return total


def examine(document: Document, sweep: Sweep) -> None:
    """Refuse values that are each allowed but do not go together."""
    for cell in sweep.cells:
        for head in heads_of(sweep, cell):
            _examine_head(document, sweep, cell, head)
    if sweep.budget.sampler == "grid":
        _examine_grid(document, sweep)


def _examine_head(document: Document, sweep: Sweep, cell: Cell, head: str) -> None:
    """Try every combination of sizes on the head's own check; blame the key that its sentence names."""
    own = parameters(catalogue.load("heads", head).Params)
    sizes = {n: d for n, d in search_of(sweep, cell).items() if n in own and not isinstance(d, Float)}
    for proposal in _proposals(sizes, {**sweep.fixed, "head": head}):
        why = refuse(head, resolve(head, proposal, sweep.fixed))
        if why is not None:
            blamed = [("search", n) for n in proposal if n in why] + [("fixed", n) for n in sweep.fixed if n in why]
            tried = ", ".join(f"{name} {value}" for name, value in proposal.items())
            places = blamed or [("search", n) for n in proposal] or [("head", "")]
            more = f"Tried: {tried}" if tried else ""
            raise document.error(
                places[0], f"{head}: {why}", more, "Every combination must fit: change it, or use when"
            )


def _proposals(sizes: Mapping[str, Distribution], settled: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """Every combination of sizes that can be proposed; where they are too many, each size alone."""
    if math.prod(d.count() or 1 for d in sizes.values()) > _MOST_COMBINATIONS:
        for name, distribution in sizes.items():
            yield from ({name: v} for v in itertools.islice(distribution.choices() or (), _MOST_COMBINATIONS))
        return
    for values in itertools.product(*(d.choices() or () for d in sizes.values())):
        chosen: dict[str, Value] = {}
        for (name, distribution), value in zip(sizes.items(), values, strict=True):
            if applies(distribution, {**dict(distribution.when), **settled, **chosen}):
                chosen[name] = value
        yield chosen


def _examine_grid(document: Document, sweep: Sweep) -> None:
    """A grid lists points: refuse a continuum, and more points than memory holds."""
    for name, distribution in sweep.search.items():
        if distribution.count() is None:
            what = f"sampler grid needs a finite list: {name} is a continuum"
            raise document.error(("search", name), what, "Give it a step, or type: categorical with choices")
    points = math.prod(distribution.count() or 1 for distribution in sweep.search.values())
    if points > _LARGEST_GRID:
        what = f"the grid has {points} points, more than {_LARGEST_GRID}"
        raise document.error(("budget", "sampler"), what, "Take larger steps, or sampler: random")
