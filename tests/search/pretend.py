"""Workers that train nothing: events are a pure function of a model's configuration, their order is chance."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reno_sweeps.records import (
    Budget,
    Cell,
    EpochEnded,
    Event,
    FoldFailed,
    FoldFinished,
    FoldResult,
    FoldStopped,
    Key,
    Model,
    Protocol,
    Split,
    Sweep,
    digest,
)
from reno_sweeps.search.plan import Plan
from reno_sweeps.space import Float, Int

SEARCH = {
    "training.lr": Float(1e-4, 1e-1, log=True),
    "training.weight_decay": Float(0.0, 1.0),
    "training.batch_size": Int(8, 64, step=8),
}
EPOCHS = 6
FAILS = 5  # one configuration in so many has a fold that fails


def a_plan(
    folder: Path, *, folds: int = 2, cohort: int | None = 1, ahead: int = 3, cells: int = 1, **changes: Any
) -> Plan:
    """A sweep of linear heads."""
    budget = Budget(**{"trials": 8, **changes.pop("budget", {})})
    known = {
        "name": "space",
        "corpus": "demo",
        "cells": tuple(Cell("linear", (encoder,)) for encoder in "abc"[:cells]),
        "search": SEARCH,
        "fixed": {"training.epochs": EPOCHS},
        "protocol": Protocol(n_folds=folds),
        "budget": budget,
    }
    splits = tuple(Split((0, 1, 2), (3 + fold,), (9 - fold,)) for fold in range(folds))
    return Plan(Sweep(**{**known, **changes}), splits, folder / "sweep", ahead=ahead, cohort=cohort)


def quality(values: Any) -> float:
    """A hill over the learning rate, with a dent for the decay."""
    return math.exp(-((math.log10(values["training.lr"]) + 2) ** 2)) - 0.1 * values["training.weight_decay"]


def script(model: Model) -> list[Event]:
    """Everything that training this model tells."""
    chosen = [model.values[name] for name in SEARCH]
    facts = int(digest(chosen)[:8], 16)
    noise = int(digest([*chosen, model.seed])[:8], 16) / 2**32 / 50
    length = 3 + facts % (EPOCHS - 2)
    curve = tuple((quality(model.values) + noise) * (1 - 0.5**epoch) for epoch in range(1, length + 1))
    events: list[Event] = [EpochEnded(model.key, n, {"val_macro_f1": v, "loss": 1.0}) for n, v in enumerate(curve, 1)]
    if model.key.owner.startswith("trial") and facts % FAILS == 0 and model.key.fold == 0:
        return [*events[:2], FoldFailed(model.key, f"epoch 3: loss is nan at {model.values['training.lr']:g}")]
    return [*events, FoldFinished(model.key, _result(model, curve))]


def _result(model: Model, curve: tuple[float, ...]) -> FoldResult:
    return FoldResult(
        best_epoch=len(curve),
        epochs=len(curve),
        seed=model.seed,
        sizes={"train": 3, "validation": 1, "test": 1},
        validation={"macro_f1": curve[-1]},
        test={"macro_f1": curve[-1] / 2},
        test_f1=(0.5, None),
        test_confusion=((1, 0), (0, 0)),
        curves={"val_macro_f1": curve, "loss": (1.0,) * len(curve)},
        parameters=12,
        seconds=1.0,
        finished=1.7e9,
        validation_probabilities=np.full((1, 2), 0.5),
        test_probabilities=np.full((1, 2), 0.5),
        weights={"w": np.full(2, curve[-1])},
    )


@dataclass
class Pretend:
    """`capacity` cohorts advance by chance; a worker dies at `dies` of its steps, and repeats what had not ended."""

    capacity: int = 2
    seed: int = 0
    dies: float = 0.0
    sent: list[Key] = field(default_factory=list)
    stopped: set[Key] = field(default_factory=set)
    heard: list[Event] = field(default_factory=list)
    most: int = 0  # cohorts that were under way at once

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._cohorts: list[dict[Key, tuple[Model, list[Event]]]] = []

    def send(self, models: Sequence[Model]) -> None:
        self.sent += [model.key for model in models]
        self._cohorts.append({model.key: (model, script(model)) for model in models})
        self.most = max(self.most, len(self._cohorts))

    def stop(self, keys: set[Key]) -> None:
        self.stopped |= keys

    def take(self, wait: float) -> list[Event]:
        news = [event for _ in range(self._random.randint(1, 12)) for event in self._step()]
        self.heard += news
        return news

    def _step(self) -> list[Event]:
        if not self._cohorts:
            return []
        cohort = self._random.choice(self._cohorts[: self.capacity])
        if self._random.random() < self.dies:
            cohort.update({key: (model, script(model)) for key, (model, _) in cohort.items()})
        key = self._random.choice(list(cohort))
        told = key in self.stopped and self._random.random() < 0.5  # a stop is heard late
        event = FoldStopped(key, 1) if told else cohort[key][1].pop(0)
        if not isinstance(event, EpochEnded):
            del cohort[key]
            self._cohorts = [cohort for cohort in self._cohorts if cohort]
        return [event]
