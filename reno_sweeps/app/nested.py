"""`selection: nested`: for every outer fold a search of its own in its training part, refitted and tested once.

The outer fold's test clips are in no inner fold, so that its test figure is of a whole search, unbiased (method.md,
section 5). The searches have studies of their own beside the sweep's; what is found of an outer fold is a fact of the
sweep, stored whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from reno_sweeps.app.progress import Progress
from reno_sweeps.records import Corpus, FoldScore, Key, Model, Split, Sweep, Trial, digest, seed_from
from reno_sweeps.reports import summary

if TYPE_CHECKING:
    from reno_sweeps.search.driver import Driver
    from reno_sweeps.search.ledger import Ledger
    from reno_sweeps.search.plan import Plan, Workers
    from reno_sweeps.search.running import Fold


def fact(repeat: int, fold: int) -> str:
    """Where the sweep's study keeps what was found of an outer fold."""
    return f"{summary.NESTED}{repeat}:{fold}"


def identity_of(identity: str, repeat: int, fold: int) -> str:
    """What the search inside an outer fold of a sweep asks."""
    return digest([identity, "nested", repeat, fold])


def folder_of(repeat: int, fold: int) -> str:
    """Where the files of an outer fold's search lie, below the sweep's folder."""
    return f"nested/r{repeat}-f{fold}"


def study_of(name: str, repeat: int, fold: int) -> str:
    """The study of the search inside an outer fold of the sweep `name`."""
    return f"{name} nested {repeat}.{fold}"


def failed(facts: Mapping[str, Any]) -> int:
    """How many trials of all nested searches failed."""
    return sum(found["counts"]["failed"] for key, found in facts.items() if key.startswith(summary.NESTED) and found)


def inner_sweep(sweep: Sweep, repeat: int, fold: int) -> Sweep:
    """The question that is asked inside an outer fold: the same search, with inner folds and a sampler of its own."""
    protocol = replace(sweep.protocol, n_folds=sweep.protocol.n_folds - 1, repeats=1, seeds=1, selection="validation")
    seeds = [seed_from(seed, "nested", repeat, fold) % 2**31 for seed in (protocol.seed, sweep.budget.seed)]
    budget = replace(sweep.budget, seed=seeds[1], seconds=None)
    return replace(sweep, protocol=replace(protocol, seed=seeds[0]), budget=budget)


@dataclass(frozen=True, slots=True)
class Outer:
    """Drives the nested searches of one sweep with the sweep's own workers."""

    plan: Plan
    corpus: Corpus
    ledger: Ledger  # the sweep's own
    name: str
    workers: Workers
    interrupted: Callable[[], bool]
    quiet: bool = False

    def drive(self) -> bool:
        """Search, refit and test in every outer fold that is not done; False: interrupted, everything stored."""
        for index, split in enumerate(self.plan.splits):
            place = self.plan.place(index)
            found = self.ledger.facts.get(fact(*place))
            if (found or {}).get("trials") != self.plan.sweep.budget.trials and not self._search(place, split):
                return False
        return True

    def _search(self, place: Fold, outer: Split) -> bool:
        from reno_sweeps.folds import inner_splits
        from reno_sweeps.search.driver import Driver
        from reno_sweeps.search.ledger import Ledger

        sweep = inner_sweep(self.plan.sweep, *place)
        splits = inner_splits(self.corpus, self.plan.sweep.protocol, *place)
        folder = self.plan.folder / folder_of(*place)
        plan = replace(self.plan, sweep=sweep, splits=splits, folder=folder)
        facts = {"ahead": plan.ahead, "identity": identity_of(self.ledger.facts["identity"], *place)}
        study = study_of(self.name, *place)
        ledger = Ledger(self.ledger.url, study, direction=sweep.objective.direction, facts=facts)
        ledger.take_lease(time.time())
        try:
            listener = _Listener(self.ledger)
            driver = Driver(plan, ledger, self.workers, listener, interrupted=self.interrupted)
            said = f"nested, fold {place[1]}" + (f" of round {place[0]}" if self.plan.sweep.protocol.rounds > 1 else "")
            with Progress(sweep, ledger.trials, asked=driver.asked, quiet=self.quiet, what=said) as listener.progress:
                found = self._found(driver, plan, place, outer) if driver.search() else None
            if found is None:
                return False
            states = [trial.state for trial in ledger.trials]
            counts = {state: states.count(state) for state in ("complete", "pruned", "failed")}
            self.ledger.keep(fact(*place), {"trials": sweep.budget.trials, "counts": counts, "cells": found})
            return True
        finally:
            ledger.end_lease()

    def _found(self, driver: Driver, plan: Plan, place: Fold, outer: Split) -> list[dict[str, Any]] | None:
        """Every cell's winner, refitted and tested; None: interrupted."""
        found = []
        for cell in range(len(plan.sweep.cells)):
            best = driver.best(cell)
            if best is None:
                continue  # all of its trials failed, which has been said
            model = refit(self.plan, plan, best, place, outer)
            scores = driver.train(model.key.owner, [model])
            if scores is not None:
                found.append(_row(best, scores[0], model))
            elif driver.was_interrupted:
                return None
        return found


class _Listener:
    """Shows how far a nested search is, and keeps the sweep's own lease alive meanwhile."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.progress: Progress | None = None

    def trial(self, trial: Trial) -> None:
        """It began or ended."""
        if self.progress is not None:
            self.progress.trial(trial)

    def elsewhere(self, trial: Trial) -> None:
        """Another driver ended it."""
        self.trial(trial)

    def beside(self, owner: str, scores: Sequence[FoldScore]) -> None:
        """A refit is done: one model, of which nothing is said."""

    def tick(self) -> None:
        """A moment passed."""
        self._ledger.renew_lease(time.time())
        if self.progress is not None:
            self.progress.tick()


def refit(outer: Plan, inner: Plan, best: Trial, place: Fold, split: Split) -> Model:
    """The inner winner on the whole outer training part, for the median of its best epochs; tested once."""
    from reno_sweeps.folds import refit_split

    epochs = max(1, round(median(score.best_epoch for score in best.scores)))
    model = inner.models(best)[0]
    key = Key(f"refit {best.number}", *place)
    return replace(model, key=key, seed=outer.seed(*place), split=refit_split(split), epochs=epochs)


def _row(best: Trial, score: FoldScore, model: Model) -> dict[str, Any]:
    return {
        "cell": best.cell,
        "number": best.number,
        "objective": best.objective,
        "selected": dict(best.proposal),
        "head": model.head,
        "encoders": list(model.encoders),
        "epochs": model.epochs,
        "score": score.to_dict(),
    }
