"""A resolved space file asks the very question that the sweep asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reno_sweeps.config.sweep_file import Overrides, load
from reno_sweeps.records import Sweep
from reno_sweeps.reports.space_file import resolved

SHIPPED = sorted(file.name for file in (Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
OWN = {
    "conditions": "search:\n  trunk.kind: {type: categorical, choices: [conv, linear]}\n"
    "  trunk.positions: {type: int, low: 8, high: 32, step: 8, when: {trunk.kind: conv}}\n",
    "searched head": "search:\n  head: {type: categorical, choices: [reno, concat]}\n"
    "  training.lr: {type: float, low: 1e-4, high: 1e-2, log: true}\n",
    "searched encoders": 'head: [reno, concat]\nsearch:\n  encoders: {type: categorical, choices: ["a+b", "a+c"]}\n',
    "words that look like values": 'name: "1e-6"\nfixed: {training.grad_clip: null, renyi.symmetric: true}\n',
    "budget": "budget: {trials: 3, time: 90, ahead: 4, seed: 7, sampler: random, pruner: median}\n"
    "search:\n  training.lr: {type: float, low: 1e-4, high: 1e-2}\n",
}


def read_back(sweep: Sweep, folder: Path) -> Sweep:
    file = folder / "space.yaml"
    file.write_text(resolved(sweep))
    return load(str(file))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_space_is_read_back_as_it_was(name: str, tmp_path: Path) -> None:
    sweep = load(name)

    assert read_back(sweep, tmp_path) == sweep


@pytest.mark.parametrize("name", OWN)
def test_every_kind_of_space_is_read_back_as_it_was(name: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN[name])
    sweep = load(str(file))

    assert read_back(sweep, tmp_path) == sweep


@pytest.mark.parametrize(
    "options",
    [
        {"corpus": "vivae", "root": "/data/vivae", "selection": "paper", "folds": 4, "fold_seed": 3, "seed": 9},
        {"encoders": ("file:/data/a b.npz", "hf:microsoft/wavlm-base@layer=9"), "trials": 2, "seconds": 60.0},
        {"weights": {"log-mel": "/w: #1.npz"}},
        {"corpus": '/data/lau\u2028gh \x85 "ter" \U0001f602'},
    ],
)
def test_what_the_command_line_changed_is_in_the_file(options: dict[str, Any], tmp_path: Path) -> None:
    sweep = load("rd_params", Overrides(**options))

    assert read_back(sweep, tmp_path) == sweep
