"""The loop that drives a sweep: proposes, claims, sends, listens, stores, tells. State lives in the ledger alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from reno_sweeps.records import (
    EpochEnded,
    Event,
    FoldFailed,
    FoldFinished,
    FoldScore,
    FoldStopped,
    Key,
    Model,
    Split,
    Trial,
    best_of,
)
from reno_sweeps.search.candidates import Candidates
from reno_sweeps.search.extras import Extras
from reno_sweeps.search.fold_files import FoldFiles
from reno_sweeps.search.ledger import Ledger
from reno_sweeps.search.pace import Pace
from reno_sweeps.search.plan import Listener, Plan, Workers
from reno_sweeps.search.running import Running
from reno_sweeps.search.weights import Weights

logger = logging.getLogger(__name__)

PATIENCE = 20.0  # seconds that an interrupted driver waits for its workers' last events


class Driver:
    """Drives one sweep with some workers. `interrupted` is asked between events; True ends cleanly."""

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        workers: Workers,
        listener: Listener,
        *,
        interrupted: Callable[[], bool] = lambda: False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._plan, self._ledger, self._workers, self._listener = plan, ledger, workers, listener
        self._interrupted, self._now = interrupted, now
        self._files = FoldFiles(plan.folder, plan.sweep.protocol.seeds)
        self._running: dict[int, Running] = {}
        self._extras = Extras(ledger, self._files)
        self._deadline = None if plan.sweep.budget.seconds is None else now() + plan.sweep.budget.seconds
        self._metric = f"val_{plan.sweep.objective.metric}"
        ledger.take_news()  # whatever it tells is there already
        self._candidates = Candidates(plan, ledger)
        self._pace = Pace(plan, ledger.trials)
        self._cohorts: list[set[int]] = []  # trials that were sent together, as long as one of them runs
        self._splits = {plan.place(i): split for i, split in enumerate(plan.splits)}
        self._elsewhere: list[Trial] = []  # ended by other drivers since the last transaction, told likewise
        self._untold: list[Trial] = []  # began or ended since the last transaction: told to the listener when stored
        self._leaving: set[Key] = set()  # models to stop, told to the workers likewise
        self._weights = Weights(self._files, plan.sweep, ledger.trials, self._extras.owners())

    @property
    def asked(self) -> int:
        """Trials in all: every cell has the whole budget, or its whole grid where that is smaller."""
        return self._candidates.asked

    @property
    def was_interrupted(self) -> bool:
        """Whether somebody asked it to end."""
        return self._interrupted()

    # --- the search ---

    def search(self) -> bool:
        """Try configurations until the budget is spent; False: interrupted, with everything finished stored."""
        news: list[Event] = []
        while True:
            claimed = self._advance(news)
            if not self._running and not claimed and not self._others_go_on():
                return True
            news = self._workers.take(wait=0.5)
            if self._interrupted():
                self._leave(news)
                return False

    def best(self, cell: int | None = None) -> Trial | None:
        """The best trial so far, of one cell or of all."""
        return best_of([t for t in self._ledger.trials if cell in {None, t.cell}], self._plan.sweep)

    def train(self, owner: str, models: Sequence[Model]) -> tuple[FoldScore, ...] | None:
        """Train models outside the budget (a baseline, a refit), once: their scores; None: interrupted or failed."""
        todo, parts = self._extras.begin(models), self._workers.capacity
        for part in range(min(parts, len(todo))):
            self._workers.send(todo[part::parts])
        while self._extras.training:
            self._take_in(self._workers.take(wait=0.5))
            if self._interrupted():
                self._workers.stop(set(self._extras.training))
                self._extras.training = {}
                return None
        scores = [self._extras.score(model.key) for model in models]
        found = tuple(score for score in scores if score is not None)
        if len(found) < len(models):
            return None
        self._listener.beside(owner, found)
        return found

    # --- training ---

    def _others_go_on(self) -> bool:
        """Whether other drivers still train trials: where one of them dies, they are ours to finish."""
        if self._deadline is not None and self._now() > self._deadline:
            return False
        return any(self._ledger.elsewhere(trial.number) for trial in self._ledger.trials)

    def _advance(self, news: Sequence[Event]) -> int:
        """Take in the news, then propose and claim: how many trials were claimed.

        One that was claimed with all its folds stored, before a kill, ends at once and trains nothing.
        """
        cohorts: list[list[Model]] = []
        claimed = self._take_in(news, cohorts)
        for cohort in cohorts:
            self._workers.send(cohort)
        return claimed

    def _take_in(self, news: Sequence[Event], cohorts: list[list[Model]] | None = None) -> int:
        """Store what is new, and with `cohorts` what is claimed for them, in one transaction; then tell of it."""
        claimed = 0
        scores = self._files_of(news)
        with self._ledger.together():
            self._catch_up()
            for event in news:
                self._hear(event, scores.get(event.key))
            if cohorts is not None:
                self._candidates.propose()
                claimed = self._claim(cohorts)
            self._ledger.renew_lease(self._now())
        self._tell()
        return claimed

    def _catch_up(self) -> None:
        """Take in what other drivers did."""
        for number in self._ledger.take_news():
            trial = self._ledger.trials[number]
            self._candidates.meet(trial)
            if trial.ended:
                self._pace.end(trial)
                self._elsewhere.append(trial)

    def _tell(self) -> None:
        """What was stored: workers hear which models to stop, the listener of every change."""
        for trial in self._elsewhere:
            self._weights.end(trial)
            self._listener.elsewhere(trial)
        if self._leaving:
            self._workers.stop(self._leaving)
        for trial in self._untold:
            if trial.ended:
                self._weights.end(trial)
            self._listener.trial(trial)
        self._leaving, self._untold, self._elsewhere = set(), [], []
        self._listener.tick()

    def _claim(self, cohorts: list[list[Model]]) -> int:
        """Claim waiting trials for the workers: what they can hold, and one cohort more so that none waits for us."""
        if self._deadline is not None and self._now() > self._deadline:
            return 0
        claimed, size, capacity = 0, self._pace.cohort(self._workers.capacity), self._workers.capacity
        waiting = self._candidates.waiting()
        self._cohorts = [numbers for numbers in self._cohorts if not numbers.isdisjoint(self._running)]
        while waiting and len(self._running) < (capacity + 1) * size:
            if len(waiting) < size and len(self._cohorts) >= capacity and self._plan.device == "cpu":
                break  # nobody is idle: the cohort may fill (on a GPU it joins the one that trains)
            numbers, waiting = waiting[:size], waiting[size:]
            claimed += len(numbers)
            cohort = [model for number in numbers for model in self._begin(number)]
            if cohort:
                cohorts.append(cohort)
                self._cohorts.append(set(numbers))
        return claimed

    def _begin(self, number: int) -> list[Model]:
        """Claim a trial; its models that have to be trained, none where all its folds are stored already."""
        if not self._ledger.claim(number, self._now()):
            return []
        self._forget_lost(number)
        trial = self._ledger.trials[number]
        models = self._plan.models(trial, skip=frozenset((s.repeat, s.fold) for s in trial.scores))
        running = Running(number, self._metric, {(m.key.repeat, m.key.fold) for m in models})
        for score in trial.scores:
            running.finish(score)
        self._running[number] = running
        self._untold.append(trial)
        self._end_if_done(running)
        return models

    def _forget_lost(self, number: int) -> None:
        """Folds whose files are lost, or lie in the home of another driver, are trained again."""
        for score in self._ledger.trials[number].scores:
            if not self._files.intact(score):
                logger.warning("trial %d, fold %d: its file is lost or damaged; training it again", number, score.fold)
                self._ledger.drop_fold(number, score.repeat, score.fold)

    def _files_of(self, news: Sequence[Event]) -> dict[Key, FoldScore]:
        """The finished folds' files, written before the ledger names them."""
        finished = [event for event in news if isinstance(event, FoldFinished)]
        known = [e for e in finished if e.key in self._extras.training or self._running_of(e.key) is not None]
        running = {f"trial {number}": one for number, one in self._running.items()}
        worth = self._weights.worth_writing(known, running, self._ledger.trials)
        results = [e.result if e.key in worth else replace(e.result, weights=None) for e in known]
        folds = [(e.key, result, self._split_of(e.key)) for e, result in zip(known, results, strict=True)]
        scores = self._files.write_all(folds)
        return {event.key: score for event, score in zip(known, scores, strict=True)}

    def _split_of(self, key: Key) -> Split:
        return self._extras.training.get(key) or self._splits[key.repeat, key.fold]

    def _running_of(self, key: Key) -> Running | None:
        """Its trial; None where it has ended: a late word."""
        kind, _, number = key.owner.partition(" ")
        return self._running.get(int(number)) if kind == "trial" else None

    def _hear(self, event: Event, score: FoldScore | None) -> None:
        """Take in one event; `score` is what a finished fold's file holds."""
        if event.key in self._extras.training:
            self._extras.hear(event, score)
        elif (running := self._running_of(event.key)) is not None:
            self._hear_trial(running, event, score)

    def _hear_trial(self, running: Running, event: Event, score: FoldScore | None) -> None:
        fold = (event.key.repeat, event.key.fold)
        if isinstance(event, EpochEnded):
            running.epoch(fold, event.epoch, event.metrics)
        elif score is not None:
            self._keep(running, score)
        elif isinstance(event, FoldFailed):
            running.leave(fold)
            running.verdict = running.verdict or ("failed", f"fold {event.key.fold}: {event.reason}")
            self._leaving |= running.keys
        elif isinstance(event, FoldStopped):
            running.leave(fold)
        self._race(running)
        self._end_if_done(running)

    def _keep(self, running: Running, score: FoldScore) -> None:
        self._ledger.keep_fold(running.number, score)
        running.finish(score)

    def _race(self, running: Running) -> None:
        """Ask the pruner about what is new; a trial that it gives up is told to stop."""
        if running.verdict or not running.left:
            return
        reason = self._candidates.refuse(running)
        if reason:
            running.verdict = ("pruned", reason)
            logger.info("trial %d pruned: %s", running.number, reason)
            self._leaving |= running.keys

    def _end_if_done(self, running: Running) -> None:
        if running.left or running.number not in self._running:
            return
        state, reason = running.verdict or ("complete", None)
        objective = running.mean() if state == "complete" else None
        told = self._ledger.tell(
            running.number, state, now=self._now(), objective=objective, curve=running.curve(), reason=reason
        )
        del self._running[running.number]
        self._candidates.end(told)
        self._pace.end(told)
        self._untold.append(told)

    def _leave(self, news: Sequence[Event]) -> None:
        """Interrupted: let every model leave at the end of its epoch; what finished meanwhile is stored."""
        self._workers.stop({key for running in self._running.values() for key in running.keys})
        self._part(news)
        end = self._now() + PATIENCE
        while any(running.left for running in self._running.values()) and self._now() < end:
            self._part(self._workers.take(wait=0.5))
        with self._ledger.together():
            for number in self._running:
                self._ledger.put_back(number)
                self._untold.append(self._ledger.trials[number])
        self._running.clear()
        self._tell()

    def _part(self, news: Sequence[Event]) -> None:
        """Last words: finished folds are stored, and trials whose end was settled before the interrupt end."""
        scores = self._files_of(news)
        with self._ledger.together():
            for event in news:
                running = self._running_of(event.key)
                if running is None:
                    continue
                if event.key in scores:
                    self._keep(running, scores[event.key])
                elif isinstance(event, FoldStopped | FoldFailed):
                    running.leave((event.key.repeat, event.key.fold))
                if running.verdict:
                    self._end_if_done(running)
        self._tell()
