"""What a driver is given: the plan of a sweep, the workers it sends to, the listener it tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reno_sweeps.records import Event, FoldScore, Key, Model, Split, Sweep, Trial, seed_from
from reno_sweeps.search.running import Fold
from reno_sweeps.training.configuration import cell_of, resolve


class Workers(Protocol):
    """What the driver needs of a dispatcher."""

    @property
    def capacity(self) -> int:
        """How many cohorts train at once."""

    def send(self, models: Sequence[Model]) -> None:
        """Queue a cohort."""

    def take(self, wait: float) -> list[Event]:
        """News; waits at most so many seconds for some."""

    def stop(self, keys: set[Key]) -> None:
        """Tell models to leave."""


class Listener(Protocol):
    """Who is told of changes after they are stored: the progress line, the mirror in MLflow."""

    def trial(self, trial: Trial) -> None:
        """A trial began, ended or went back to waiting."""

    def elsewhere(self, trial: Trial) -> None:
        """Another driver's trial ended: it is stored, and shown by that one."""

    def beside(self, owner: str, scores: Sequence[FoldScore]) -> None:
        """A baseline or a refit is complete."""

    def tick(self) -> None:
        """A moment passed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that stays the same while a sweep is driven."""

    sweep: Sweep
    splits: tuple[Split, ...]  # round by round, fold by fold
    folder: Path  # HOME/sweeps/<name>
    ahead: int
    cohort: int | None = 1  # configurations that train together; None: auto (share.cohort_size)
    device: str = "cpu"  # what the workers train on

    def place(self, index: int) -> Fold:
        """Round (a repeat, with one of its seeds) and fold of a split."""
        return divmod(index, self.sweep.protocol.n_folds)

    def models(self, trial: Trial, skip: frozenset[Fold] = frozenset()) -> list[Model]:
        """The models of a trial, one a fold, without those in `skip`."""
        cell = cell_of(self.sweep.cells[trial.cell], trial.proposal)
        values = resolve(cell.head, trial.proposal, self.sweep.fixed)
        return [
            Model(Key(f"trial {trial.number}", *place), cell.head, cell.encoders, values, self.seed(*place), split)
            for place, split in ((self.place(i), split) for i, split in enumerate(self.splits))
            if place not in skip
        ]

    def seed(self, round_: int, fold: int) -> int:
        """A model's seed: never its trial's number, so that trials are paired by fold (method.md, section 4)."""
        protocol = self.sweep.protocol
        repeat, number = divmod(round_, protocol.seeds)
        return seed_from(protocol.seed, repeat, fold, *([number] if number else []))
