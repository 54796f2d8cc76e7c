"""A trial in training: which of its folds are under way, and what their curves say so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from reno_sweeps.records import FoldScore, Key

Fold = tuple[int, int]  # repeat, fold


@dataclass(slots=True)
class Running:
    """The folds of one trial that are training, and the objective by epoch of those and of the finished ones."""

    number: int
    metric: str  # val_macro_f1: the objective as events name it
    left: set[Fold]
    stopped: set[Fold] = field(default_factory=set)  # left before their end: failed, or told to stop
    values: dict[Fold, dict[int, float]] = field(default_factory=dict)  # fold → epoch → objective
    finished: dict[Fold, float] = field(default_factory=dict)  # fold → objective at its best epoch
    verdict: tuple[str, str] | None = None  # failed or pruned, and why
    reported: int = 0  # steps whose value is known to the racer
    last: int | None = None  # the epoch at which it was pruned: how far models went on meanwhile is chance

    @property
    def keys(self) -> set[Key]:
        """The models still training."""
        return {Key(f"trial {self.number}", repeat, fold) for repeat, fold in self.left}

    def epoch(self, fold: Fold, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take in a fold's epoch."""
        if self.metric in metrics:
            self.values.setdefault(fold, {})[epoch] = metrics[self.metric]

    def finish(self, score: FoldScore) -> None:
        """Take in a finished fold."""
        fold = (score.repeat, score.fold)
        self.left.discard(fold)
        self.finished[fold] = score.validation[self.metric.removeprefix("val_")]
        self.values[fold] = dict(enumerate(score.curves.get(self.metric, ()), start=1))

    def leave(self, fold: Fold) -> None:
        """A fold failed or was stopped."""
        self.left.discard(fold)
        self.stopped.add(fold)

    def mean(self, new: Mapping[Fold, float] | None = None) -> float:
        """The objective: the mean over finished folds, with `new` ones where they are given."""
        values = {**self.finished, **(new or {})}
        return math.fsum(values.values()) / len(values)

    def curve(self) -> tuple[float, ...]:
        """Mean over folds by epoch, as far as every fold has come; an early stopped fold keeps its best value."""
        unfinished = self.left | self.stopped
        folds = unfinished | set(self.finished)
        if not folds or not folds <= (set(self.values) | set(self.finished)):
            return ()
        ongoing = [len(self.values.get(fold, {})) for fold in unfinished]
        ended = [len(self.values.get(fold, {})) for fold in self.finished]
        length = min(ongoing) if ongoing else max(ended, default=0)
        epochs = range(1, length + 1)[: self.last]
        return tuple(math.fsum(self._at(fold, epoch) for fold in folds) / len(folds) for epoch in epochs)

    def _at(self, fold: Fold, epoch: int) -> float:
        return self.values.get(fold, {}).get(epoch, self.finished.get(fold, float("nan")))
