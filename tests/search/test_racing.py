"""Racing by chance: of many simulated sweeps, in how few the trial is given up that would have won; what it saves."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

import numpy as np

from reno_sweeps.records import Protocol, Trial
from reno_sweeps.search.candidates import Candidates
from reno_sweeps.search.running import Running
from tests.search.pretend import a_plan

EPOCHS, TRIALS, COHORT, SWEEPS = 24, 32, 8, 60
METRIC = "val_macro_f1"


def curves(seed: int, folds: int) -> np.ndarray:
    """Validation scores [trials, folds, epochs] that cross: who ends higher may well begin lower.

    Ends vary by 0.05 between trials, folds by 0.03 for all trials alike and by 0.015 for each, epochs by 0.01 (about
    what reno on emogator6 does); half-way is reached after 1 to 6 epochs, whatever the end.
    """
    chance = np.random.default_rng(seed)
    ends = chance.normal(0.55, 0.05, (TRIALS, 1, 1)) + chance.normal(0, 0.03, (1, folds, 1))
    ends = ends + chance.normal(0, 0.015, (TRIALS, folds, 1))
    half = np.exp(chance.uniform(math.log(1.0), math.log(6.0), (TRIALS, 1, 1)))
    rise = 1 - 0.5 ** (np.arange(1, EPOCHS + 1) / half)
    return 0.15 + (ends - 0.15) * rise + chance.normal(0, 0.01, (TRIALS, folds, EPOCHS))


class Sweep:
    """Cohorts of eight, one after another, through the search's own code; nothing trains, nothing is stored."""

    def __init__(self, pruner: str, seed: int, folds: int = 5, repeats: int = 1) -> None:
        self.scores = curves(seed, folds * repeats)
        self.trials = [Trial(number, 0, "running", {}) for number in range(TRIALS)]
        protocol = Protocol(n_folds=folds, repeats=repeats)
        budget = {"pruner": pruner, "trials": TRIALS, "sampler": "random", "seed": seed}
        plan = a_plan(Path(), folds=folds, protocol=protocol, budget=budget, fixed={"training.epochs": EPOCHS})
        self.candidates = Candidates(plan, SimpleNamespace(trials=[]))
        self.candidates._ledger.trials = self.trials
        for trial in self.trials:
            self.candidates._admit(trial)
        self.places = [divmod(i, folds) for i in range(folds * repeats)]

    def running(self, number: int) -> Running:
        return Running(number, METRIC, set(self.places))

    def end(self, one: Running, verdict: str | None) -> None:
        state = "pruned" if verdict else "complete"
        objective = None if verdict else one.mean() if one.finished else one.curve()[-1]
        scores = tuple(
            SimpleNamespace(repeat=repeat, fold=fold, validation={"macro_f1": value})
            for (repeat, fold), value in one.finished.items()
        )
        told = Trial(one.number, 0, state, {}, scores=scores, curve=one.curve(), objective=objective)
        self.trials[one.number] = told
        self.candidates.end(told)

    def by_epoch(self) -> float:
        """All folds of a cohort advance together. Returns the share of epochs that were trained."""
        trained = 0
        for first in range(0, TRIALS, COHORT):
            alive = {number: self.running(number) for number in range(first, first + COHORT)}
            for epoch in range(EPOCHS):
                for number, one in tuple(alive.items()):
                    trained += 1
                    for i, fold in enumerate(self.places):
                        one.epoch(fold, epoch + 1, {METRIC: float(self.scores[number, i, epoch])})
                    if verdict := self.candidates.refuse(one):
                        self.end(alive.pop(number), verdict)
            for one in alive.values():
                self.end(one, None)
        return trained / TRIALS / EPOCHS

    def by_fold(self) -> float:
        """One trial after another, fold by fold. Returns the share of folds that were trained."""
        trained = 0
        for number in range(TRIALS):
            one, verdict = self.running(number), None
            for i, place in enumerate(self.places):
                trained += 1
                one.left.discard(place)
                one.finished[place] = float(self.scores[number, i, -1])
                if verdict := self.candidates.refuse(one):
                    break
            self.end(one, verdict)
        return trained / TRIALS / len(self.places)

    @property
    def winner(self) -> int:
        """The trial that wins where all are trained to their end."""
        return int(self.scores[:, :, -1].mean(axis=1).argmax())

    @property
    def found(self) -> int:
        """The best of those that were."""
        done = [trial for trial in self.trials if trial.state == "complete"]
        return max(done, key=lambda trial: trial.objective).number


@cache
def raced(pruner: str) -> tuple[float, float, float]:
    """Of all sweeps: how often the winner is dropped, what the found one lacks of it, the share of epochs trained."""
    dropped, lacking, trained = [], [], []
    for seed in range(SWEEPS):
        sweep = Sweep(pruner, seed)
        trained.append(sweep.by_epoch())
        ends = sweep.scores[:, :, -1].mean(axis=1)
        dropped.append(sweep.trials[sweep.winner].state == "pruned")
        lacking.append(float(ends[sweep.winner] - ends[sweep.found]))
    return mean(dropped), mean(lacking), mean(trained)


def test_median_seldom_drops_the_winner_and_saves_a_third_of_the_epochs():
    """Measured: dropped in 10 % of sweeps, found lacks 0.001 on average, 66 % of the epochs trained."""
    dropped, lacking, trained = raced("median")

    assert dropped <= 0.10
    assert lacking < 0.002
    assert trained < 0.70


def test_hyperband_saves_half_of_the_epochs_and_finds_nearly_the_best():
    """Measured: dropped in 20 % of sweeps, found lacks 0.003 on average, 49 % of the epochs trained."""
    dropped, lacking, trained = raced("hyperband")

    assert dropped <= 0.25
    assert lacking < 0.005
    assert trained < 0.55


def test_wilcoxon_over_three_repeats_of_five_folds_seldom_drops_the_winner():
    """Measured: dropped in none of 60 sweeps; 39 % of the folds trained where they end one after another, as here."""
    sweeps = [Sweep("wilcoxon", seed, repeats=3) for seed in range(SWEEPS)]
    trained = mean(sweep.by_fold() for sweep in sweeps)
    dropped = mean(sweep.trials[sweep.winner].state == "pruned" for sweep in sweeps)

    assert dropped <= 0.05
    assert trained < 0.50


def test_without_a_pruner_every_epoch_is_trained_and_the_winner_found():
    sweep = Sweep("none", 0)

    assert sweep.by_epoch() == 1.0
    assert sweep.found == sweep.winner
