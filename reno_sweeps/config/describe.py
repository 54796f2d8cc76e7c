"""What a sweep asks for, in rows for people, and what it would cost: `reno-sweep space check` prints both."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from reno_sweeps.config import _shape
from reno_sweeps.records import Cell, Sweep
from reno_sweeps.space import Categorical, Distribution, Float, Int, Parameter, Value, spell
from reno_sweeps.training.configuration import NAMES, heads_of, parameters_of, search_of

_SECTIONS: dict[str, type[BaseModel]] = {
    "protocol": _shape.ProtocolShape,
    "objective": _shape.ObjectiveShape,
    "budget": _shape.BudgetShape,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One key of a space: what it is, what it would be, what it is here."""

    name: str
    kind: str  # float, int, bool, text
    default: str
    here: str  # the range searched, the value fixed, or empty: the default
    searched: bool
    heads: str  # the heads of this sweep that have it; empty for what is no parameter
    help: str


def describe(sweep: Sweep) -> list[Row]:
    """Every key that a file may have, with what this sweep makes of it; parameters of this sweep's heads only."""
    return [*_file_rows(sweep), *_name_rows(sweep), *_parameter_rows(sweep)]


def _file_rows(sweep: Sweep) -> list[Row]:
    """The keys of protocol, objective and budget."""
    rows = []
    for section, shape in _SECTIONS.items():
        values = dataclasses.asdict(getattr(sweep, section))
        values["time"] = values.get("seconds")
        for key, info in shape.model_fields.items():
            default = "" if info.default is None else spell(info.default)
            here = default if values[key] is None else spell(values[key])
            kind = "text" if default == "" or isinstance(info.default, str) else type(info.default).__name__
            rows.append(_row(f"{section}.{key}", kind, default, here, str(info.description)))
    return rows


def _name_rows(sweep: Sweep) -> list[Row]:
    """Name, corpus and cells, and head and encoders where they are searched."""
    about = _shape.SpaceShape.model_fields
    cells = "; ".join(f"{cell.head}: {', '.join(cell.encoders)}" for cell in sweep.cells)
    rows = [
        _row("name", "text", "", sweep.name, str(about["name"].description)),
        _row("corpus", "text", "demo", sweep.corpus, str(about["corpus"].description)),
        _row("root", "text", "", sweep.root or "", str(about["root"].description)),
        _row("cells", "text", "reno: mfcc, log-mel", cells, "Heads and the encoders that they are trained on."),
    ]
    named = [name for name in NAMES if name in sweep.search]
    return rows + [
        _row(name, "text", "", span(sweep.search[name]), str(about[name].description), searched=True) for name in named
    ]


def _parameter_rows(sweep: Sweep) -> list[Row]:
    """The parameters of this sweep's heads, each once."""
    heads = list(dict.fromkeys(head for cell in sweep.cells for head in heads_of(sweep, cell)))
    having: dict[str, list[str]] = {}
    known: dict[str, Parameter] = {}
    for head in heads:
        for name, parameter in parameters_of(head).items():
            having.setdefault(name, []).append(head)
            known.setdefault(name, parameter)
    rows = []
    for name, parameter in known.items():
        searched = name in sweep.search
        here = span(sweep.search[name]) if searched else spell(sweep.fixed[name]) if name in sweep.fixed else ""
        rows.append(
            Row(
                name,
                parameter.kind.__name__.replace("str", "text"),
                spell(parameter.default),
                here,
                searched,
                ", ".join(having[name]),
                parameter.help,
            )
        )
    return rows


def _row(name: str, kind: str, default: str, here: str, about: str, *, searched: bool = False) -> Row:
    return Row(name, kind, default, here, searched, "", about)


def span(distribution: Distribution) -> str:
    """A distribution in a few words: '0.05 … 1, log', 'one of 1, 2, 4', with its conditions."""
    if isinstance(distribution, Categorical):
        words = f"one of {', '.join(map(spell, distribution.values))}"
    else:
        step = f", step {distribution.step:g}" if distribution.step and distribution.step != _unit(distribution) else ""
        words = f"{distribution.low:g} … {distribution.high:g}{step}{', log' if distribution.log else ''}"
    conditions = _conditions(distribution.when)
    return f"{words}; when {conditions}" if conditions else words


def _unit(distribution: Float | Int) -> int | None:
    return 1 if isinstance(distribution, Int) else None


def _conditions(when: tuple[tuple[str, Value], ...]) -> str:
    """'trunk.kind is conv, head is concat or reno'."""
    asked: dict[str, list[str]] = {}
    for name, value in when:
        asked.setdefault(name, []).append(spell(value))
    return ", ".join(f"{name} is {' or '.join(values)}" for name, values in asked.items())


def cost(sweep: Sweep) -> dict[str, Any]:
    """What the sweep would train: cells, trials in all, models (trial × fold × repeat), and remarks.

    A cell in which nothing is searched has one trial; a grid no more than its points.
    """
    steps = sweep.protocol.n_folds * sweep.protocol.rounds
    trials = [trials_of(sweep, cell) for cell in sweep.cells]
    found = {
        "cells": len(sweep.cells),
        "trials": sum(trials),
        "folds": sweep.protocol.n_folds,
        "repeats": sweep.protocol.repeats,
        "seeds": sweep.protocol.seeds,
        "trainings": sum(trials) * steps,
    }
    if sweep.protocol.selection == "nested":
        nested = nested_trainings(sweep)
        found |= {"nested_trainings": nested, "trainings": found["trainings"] + nested}
    return {**found, "remarks": _remarks(sweep, steps)}


def nested_trainings(sweep: Sweep) -> int:
    """n_folds × (trials × (n_folds − 1) + 1) for every cell, repeat and seed (method.md, section 5)."""
    folds, rounds = sweep.protocol.n_folds, sweep.protocol.rounds
    return sum(rounds * folds * (trials_of(sweep, cell) * (folds - 1) + 1) for cell in sweep.cells)


def trials_of(sweep: Sweep, cell: Cell) -> int:
    """How many trials of a cell can differ, up to the budget."""
    search = search_of(sweep, cell)
    if not search:
        return 1
    if sweep.budget.sampler != "grid":
        return sweep.budget.trials
    return min(sweep.budget.trials, math.prod(distribution.count() or 1 for distribution in search.values()))


def _remarks(sweep: Sweep, steps: int) -> list[str]:
    """What a reader should know before starting."""
    remarks = []
    if sweep.budget.pruner == "wilcoxon":
        saved = f"{max(0, steps - 4)} in {steps}"
        remarks.append(f"pruner wilcoxon compares folds and needs four: of a trial's folds it saves at most {saved}")
    if sweep.protocol.selection == "nested":
        inner = sweep.protocol.n_folds - 1
        remarks.append(
            f"selection nested searches once over all folds and once inside each of {steps} outer folds, on {inner} "
            "inner folds: only its figure is unbiased"
        )
    if sweep.protocol.selection == "paper":
        remarks.append("selection paper stops and selects on the test fold: its scores are optimistic")
    return remarks
