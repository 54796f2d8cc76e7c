"""The loop that drives a sweep: proposes, claims, sends, listens, stores, tells. State lives in the ledger alone."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence

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
from reno_sweeps.search.fold_files import FoldFiles
from reno_sweeps.search.ledger import Ledger
from reno_sweeps.search.plan import Listener, Plan, Workers
from reno_sweeps.search.running import Running

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
        self._files = FoldFiles(plan.folder)
        self._running: dict[int, Running] = {}
        self._extra: dict[Key, Split] = {}
        self._deadline = None if plan.sweep.budget.seconds is None else now() + plan.sweep.budget.seconds
        self._metric = f"val_{plan.sweep.objective.metric}"
        self._candidates = Candidates(plan, ledger)
        self._splits = {plan.place(i): split for i, split in enumerate(plan.splits)}
        self._recover()

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
        while True:
            self._candidates.propose()
            claimed = self._claim()
            if not self._running and not claimed:
                return True
            self._listen()
            if self._interrupted():
                self._leave()
                return False

    def best(self, cell: int | None = None) -> Trial | None:
        """The best trial so far, of one cell or of all."""
        return best_of([t for t in self._ledger.trials if cell in {None, t.cell}], self._plan.sweep)

    def train(self, owner: str, models: Sequence[Model]) -> tuple[FoldScore, ...] | None:
        """Train models outside the budget (a baseline, a refit), once: their scores; None: interrupted or failed."""
        todo = [m for m in models if (s := self._extra_score(m.key)) is None or not self._files.intact(s)]
        self._extra = {model.key: model.split for model in todo}
        for model in todo:
            self._workers.send([model])
        while self._extra:
            self._listen()
            if self._interrupted():
                self._workers.stop(set(self._extra))
                self._extra = {}
                return None
        scores = [self._extra_score(model.key) for model in models]
        if any(score is None for score in scores):
            return None
        found = tuple(score for score in scores if score is not None)
        self._listener.beside(owner, found)
        return found

    # --- training ---

    def _recover(self) -> None:
        """Forget folds of unfinished trials whose files are lost, and weights that nobody needs."""
        for trial in self._ledger.trials:
            for score in () if trial.ended else trial.scores:
                if not self._files.intact(score):
                    logger.warning("trial %d, fold %d: its file is lost; training it again", trial.number, score.fold)
                    self._ledger.drop_fold(trial.number, score.repeat, score.fold)
        self._sort_out_weights()

    def _claim(self) -> int:
        """Send waiting trials to the workers: what they can hold, and one cohort more so that none waits for us.

        How many were claimed: one whose folds were all stored before a kill ends at once and trains nothing.
        """
        if self._deadline is not None and self._now() > self._deadline:
            return 0
        claimed = 0
        room = self._workers.capacity + 1
        waiting = self._candidates.waiting()
        while waiting and len(self._running) < room * self._plan.cohort:
            numbers, waiting = waiting[: self._plan.cohort], waiting[self._plan.cohort :]
            claimed += len(numbers)
            cohort = [model for number in numbers for model in self._begin(number)]
            if cohort:
                self._workers.send(cohort)
        return claimed

    def _begin(self, number: int) -> list[Model]:
        """Claim a trial; its models that have to be trained, none where all its folds are stored already."""
        if not self._ledger.claim(number, self._now()):
            return []
        trial = self._ledger.trials[number]
        models = self._plan.models(trial, skip=frozenset((s.repeat, s.fold) for s in trial.scores))
        running = Running(number, self._metric, {(m.key.repeat, m.key.fold) for m in models})
        for score in trial.scores:
            running.finish(score)
        self._running[number] = running
        self._listener.trial(trial)
        self._end_if_done(running)
        return models

    def _listen(self) -> None:
        for event in self._workers.take(wait=0.5):
            if event.key in self._extra:
                self._hear_extra(event, self._extra[event.key])
            elif (running := self._running_of(event.key)) is not None:
                self._hear(running, event)
        self._ledger.renew_lease(self._now())
        self._listener.tick()

    def _running_of(self, key: Key) -> Running | None:
        """Its trial; None where it has ended: a late word."""
        kind, _, number = key.owner.partition(" ")
        return self._running.get(int(number)) if kind == "trial" else None

    def _hear(self, running: Running, event: Event) -> None:
        fold = (event.key.repeat, event.key.fold)
        if isinstance(event, EpochEnded):
            running.epoch(fold, event.epoch, event.metrics)
        elif isinstance(event, FoldFinished):
            self._store(running, event)
        elif isinstance(event, FoldFailed):
            running.leave(fold)
            running.verdict = running.verdict or ("failed", f"fold {event.key.fold}: {event.reason}")
            self._workers.stop(running.keys)
        elif isinstance(event, FoldStopped):
            running.leave(fold)
        self._race(running)
        self._end_if_done(running)

    def _store(self, running: Running, event: FoldFinished) -> None:
        score = self._files.write(event.key, event.result, self._splits[event.key.repeat, event.key.fold])
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
            self._workers.stop(running.keys)

    def _end_if_done(self, running: Running) -> None:
        if running.left or running.number not in self._running:
            return
        state, reason = running.verdict or ("complete", None)
        objective = math.fsum(running.finished.values()) / len(running.finished) if state == "complete" else None
        told = self._ledger.tell(
            running.number, state, now=self._now(), objective=objective, curve=running.curve(), reason=reason
        )
        del self._running[running.number]
        self._candidates.end(told)
        self._sort_out_weights()
        self._listener.trial(told)

    def _sort_out_weights(self) -> None:
        best = self.best()
        unfinished = {f"trial {t.number}" for t in self._ledger.trials if not t.ended}
        extras = {
            key.removeprefix("extra:").rsplit(":", 2)[0] for key in self._ledger.facts if key.startswith("extra:")
        }
        self._files.keep_weights_of(unfinished | extras | ({f"trial {best.number}"} if best else set()))

    def _leave(self) -> None:
        """Interrupted: let every model leave at the end of its epoch; what finished meanwhile is stored."""
        self._workers.stop({key for running in self._running.values() for key in running.keys})
        end = self._now() + PATIENCE
        while any(running.left for running in self._running.values()) and self._now() < end:
            for event in self._workers.take(wait=0.5):
                running = self._running_of(event.key)
                if running is None:
                    continue
                if isinstance(event, FoldFinished):
                    self._store(running, event)
                elif isinstance(event, FoldStopped | FoldFailed):
                    running.leave((event.key.repeat, event.key.fold))
        for number in self._running:
            self._ledger.put_back(number)
            self._listener.trial(self._ledger.trials[number])
        self._running.clear()

    # --- baselines and refits ---

    def _extra_score(self, key: Key) -> FoldScore | None:
        plain: Mapping[str, object] | None = self._ledger.facts.get(f"extra:{key.owner}:{key.repeat}:{key.fold}")
        return None if plain is None else FoldScore.from_dict(plain)

    def _hear_extra(self, event: Event, split: Split) -> None:
        if isinstance(event, EpochEnded):
            return
        if isinstance(event, FoldFinished):
            score = self._files.write(event.key, event.result, split)
            self._ledger.keep(f"extra:{event.key.owner}:{event.key.repeat}:{event.key.fold}", score.to_dict())
        elif isinstance(event, FoldFailed):
            logger.warning("%s, fold %d failed: %s", event.key.owner, event.key.fold, event.reason)
        del self._extra[event.key]
