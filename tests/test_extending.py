"""The head that docs/extending.md adds is found, searched and trained, and keeps every head's promises."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import reno_sweeps.heads
from reno_sweeps import catalogue, space
from reno_sweeps.config.sweep_file import load
from reno_sweeps.records import FoldFinished, Key, Model, Split
from reno_sweeps.training.configuration import resolve
from reno_sweeps.training.data import Data
from reno_sweeps.training.trainer import train_cohort

DOCUMENT = Path(__file__).parents[1] / "docs" / "extending.md"
DIMS, CLASSES = (20, 12), 4


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example as a file among the heads, for the time of a test."""
    (tmp_path / "gated.py").write_text(block("python"), encoding="utf-8")
    monkeypatch.setattr(reno_sweeps.heads, "__path__", [*reno_sweeps.heads.__path__, str(tmp_path)])
    offered = catalogue.names
    monkeypatch.setattr(catalogue, "names", lambda room: (*offered(room), *(["gated"] if room == "heads" else [])))
    yield catalogue.load("heads", "gated")
    sys.modules.pop("reno_sweeps.heads.gated", None)


def keep(x: torch.Tensor, rate: float | None = None) -> torch.Tensor:
    """Nothing is dropped."""
    return x


def test_its_models_have_logits_of_their_own_and_gradients_at_every_weight(gated: ModuleType) -> None:
    params = space.build(gated.Params, {"gate.width": 8})
    alone = [gated.init(params, DIMS, CLASSES, torch.Generator().manual_seed(m), torch.float64) for m in range(3)]
    weights = {name: torch.stack([w[name] for w in alone]).requires_grad_() for name in alone[0]}
    inputs = tuple(torch.randn(3, 5, dim, dtype=torch.float64) for dim in DIMS)
    output = gated.apply(params, weights, inputs, keep)
    output.logits.square().sum().backward()

    assert output.logits.shape == (3, 5, CLASSES)
    assert output.features is not None
    assert output.features.shape == (3, 5, 16)
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in weights.values())
    assert sum(w[0].numel() for w in weights.values()) == gated.parameter_count(params, DIMS, CLASSES)
    for m in range(3):
        own = {name: w[m : m + 1] for name, w in weights.items()}
        single = gated.apply(params, own, tuple(x[m : m + 1] for x in inputs), keep)
        torch.testing.assert_close(single.logits[0], output.logits[m])


def test_its_parameter_is_searched_by_the_documents_own_lines(gated: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(block("yml"), encoding="utf-8")
    sweep = load(str(tmp_path / "space.yaml"))

    assert sweep.cells[0].head == "gated"
    assert list(sweep.search) == ["gate.width"]


@pytest.mark.usefixtures("gated")
def test_it_learns_what_there_is_to_learn() -> None:
    dice = np.random.default_rng(0)
    labels = np.arange(120) % CLASSES
    clouds = {name: 2 * dice.standard_normal((CLASSES, dim))[labels] for name, dim in zip("ab", DIMS, strict=True)}
    vectors = {name: (x + dice.standard_normal(x.shape)).astype(np.float32) for name, x in clouds.items()}
    rows = [int(row) for row in dice.permutation(120)]
    split = Split(tuple(rows[:80]), tuple(rows[80:100]), tuple(rows[100:]))
    values = resolve("gated", {"gate.width": 16, "training.epochs": 10}, {})
    model = Model(Key("trial 0", 0, 0), "gated", ("a", "b"), values, 1, split)
    events = list(train_cohort([model], Data(vectors, labels, ("anger", "fear", "joy", "pain"))))
    (finished,) = [event for event in events if isinstance(event, FoldFinished)]

    assert finished.result.test["accuracy"] > 0.7
