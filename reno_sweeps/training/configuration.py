"""From what was searched and fixed to one model's configuration: its head, its encoders, every parameter's value.

Torch-free: the config checks spaces with it, the search turns proposals into models with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import ModuleType

from reno_sweeps import catalogue
from reno_sweeps.records import Cell, Sweep
from reno_sweeps.space import Distribution, Parameter, Value, applies, build, parameters
from reno_sweeps.training import params as training

NAMES = ("head", "encoders")  # what may be searched beside parameters

# What begins the second encoder of a pair. A '+' followed by anything else belongs to a path: file:c++/a.npz+mfcc.
_NEXT = re.compile(r"\+(?=(?:file|hf):|[A-Za-z0-9_-]+(?:@[a-z_]+=[^+@]*)*(?:\+|$))")


@cache
def parameters_of(head: str) -> dict[str, Parameter]:
    """Every parameter of a head by dotted name: its own, its losses', and the training's, in this order."""
    module = catalogue.load("heads", head)
    rooms = [module.Params, *(catalogue.load("losses", loss).Params for loss in module.LOSSES), training.Params]
    return {name: parameter for room in rooms for name, parameter in parameters(room).items()}


@cache
def encoders_of(head: str) -> tuple[int, ...]:
    """How many encoders a head takes: (1,), (2,) or (1, 2)."""
    return tuple(catalogue.load("heads", head).ENCODERS)


def resolve(head: str, proposal: Mapping[str, Value], fixed: Mapping[str, Value]) -> dict[str, Value]:
    """Every parameter of the head with its proposed value, else its fixed one, else its default; and no other name."""
    known = parameters_of(head)
    return {name: p.plain(proposal.get(name, fixed.get(name, p.default))) for name, p in known.items()}


def refuse(head: str, values: Mapping[str, Value]) -> str | None:
    """Why values that are each allowed do not go together, in one sentence; None where they do."""
    module: ModuleType = catalogue.load("heads", head)
    try:
        module.check(build(module.Params, values))
    except ValueError as problem:
        return str(problem)
    return None


def split_pair(choice: str) -> tuple[str, ...]:
    """The encoders of a searched choice: 'mfcc+log-mel' is ('mfcc', 'log-mel'), 'mfcc' is ('mfcc',).

    A '+' divides where 'file:', 'hf:' or a plain id (letters, digits, '-', '_', '@option=…') up to the next '+' or
    the end follows it; elsewhere it belongs to a path.
    """
    return tuple(_NEXT.split(choice))


def cell_of(cell: Cell, proposal: Mapping[str, Value]) -> Cell:
    """The head and the encoders of one proposal: the cell's own unless they are searched."""
    head, encoders = proposal.get("head"), proposal.get("encoders")
    return Cell(
        head if isinstance(head, str) else cell.head,
        split_pair(encoders) if isinstance(encoders, str) else cell.encoders,
    )


def heads_of(sweep: Sweep, cell: Cell) -> tuple[str, ...]:
    """The heads that a cell's trials may have: its own, or those that are searched."""
    searched = sweep.search.get("head")
    return (cell.head,) if searched is None else tuple(str(head) for head in searched.choices() or ())


def search_of(sweep: Sweep, cell: Cell) -> dict[str, Distribution]:
    """What is searched in one cell, parents of conditions first: names that none of its heads has are left out.

    A condition on what this cell does not search is settled here: met, it disappears; not met, the name does.
    """
    known = set(NAMES).union(*(parameters_of(head) for head in heads_of(sweep, cell)))
    settled = {**sweep.fixed, "head": cell.head, "encoders": "+".join(cell.encoders)}
    settled = {name: value for name, value in settled.items() if name not in sweep.search}
    kept = {n: d for n, one in sweep.search.items() if n in known and (d := _settle(one, settled)) is not None}
    while orphans := [n for n, d in kept.items() if any(parent not in kept for parent, _ in d.when)]:
        for name in orphans:
            del kept[name]
    return parents_first(dict(sorted(kept.items())))  # a file's order is no part of its question


def parents_first(search: Mapping[str, Distribution]) -> dict[str, Distribution]:
    """The same search, each name after those that its conditions ask for, else in the given order.

    Raises ValueError, the names of the circle, where conditions run in one.
    """
    found: dict[str, Distribution] = {}
    waiting = dict(search)
    while waiting:
        ready = [n for n, d in waiting.items() if all(parent not in waiting for parent, _ in d.when)]
        if not ready:
            raise ValueError(", ".join(waiting))
        found[ready[0]] = waiting.pop(ready[0])
    return found


def _settle(distribution: Distribution, settled: Mapping[str, Value]) -> Distribution | None:
    """The distribution without its conditions on settled names; None where one of them is not met."""
    decided = tuple(pair for pair in distribution.when if pair[0] in settled)
    if not applies(replace(distribution, when=decided), settled):
        return None
    return replace(distribution, when=tuple(pair for pair in distribution.when if pair[0] not in settled))
