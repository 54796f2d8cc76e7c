"""A sweep as a space file: the whole question in one file, the command line's changes included."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from reno_sweeps.records import Sweep
from reno_sweeps.space import Distribution, distribution_to_dict

NAME = "space.yaml"
_ODD = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")


def resolved(sweep: Sweep) -> str:
    """YAML that `run --space` reads back as this very sweep. Values are JSON, which YAML contains."""
    lines = ["# The whole question, with the options of the command line: reno-sweep run --space space.yaml"]
    for key, value in _content(sweep).items():
        if isinstance(value, Mapping):
            lines += [f"{key}:", *[f"  {_plain(name)}: {_plain(inner)}" for name, inner in value.items()]]
        else:
            lines.append(f"{key}: {_plain(value)}")
    return "\n".join(lines) + "\n"


def _content(sweep: Sweep) -> dict[str, Any]:
    """The keys of a space file, without those that would be empty."""
    budget = {key: value for key, value in asdict(sweep.budget).items() if key not in {"seconds", "ahead"}}
    budget |= {"ahead": "auto" if sweep.budget.ahead is None else sweep.budget.ahead}
    budget |= {} if sweep.budget.seconds is None else {"time": sweep.budget.seconds}
    content = {
        "name": sweep.name,
        "corpus": sweep.corpus,
        "root": sweep.root,
        **_cells(sweep),
        "weights": dict(sweep.weights),
        "search": {name: _distribution(distribution) for name, distribution in sweep.search.items()},
        "fixed": dict(sweep.fixed),
        "protocol": asdict(sweep.protocol),
        "objective": asdict(sweep.objective),
        "budget": budget,
    }
    return {key: value for key, value in content.items() if value not in (None, {})}


def _cells(sweep: Sweep) -> dict[str, Any]:
    """Heads and encoders, each once: what is searched stands under search alone."""
    searched = {"head", "encoders"} & set(sweep.search)
    if len(sweep.cells) > 1 and not searched:
        return {"cells": [{"head": cell.head, "encoders": list(cell.encoders)} for cell in sweep.cells]}
    heads = [cell.head for cell in sweep.cells]
    said = {"head": heads[0] if len(heads) == 1 else heads, "encoders": list(sweep.cells[0].encoders)}
    return {key: value for key, value in said.items() if key not in searched}


def _distribution(distribution: Distribution) -> dict[str, Any]:
    return {key: value for key, value in distribution_to_dict(distribution).items() if value is not None}


def _plain(value: Any) -> str:
    """JSON in which nothing is left that YAML reads as a line break or refuses."""
    return _ODD.sub(lambda sign: f"\\u{ord(sign[0]):04x}", json.dumps(value, ensure_ascii=False))
