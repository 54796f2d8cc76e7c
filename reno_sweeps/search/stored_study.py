"""A study in Optuna's storage as one process sees it: its facts, its trials, and what others changed meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from reno_sweeps.records import FoldScore, Trial, UserError
from reno_sweeps.search import lease
from reno_sweeps.search.changes import TURN, Changes
from reno_sweeps.search.storage import TakenOverError, explained, open_storage, shown
from reno_sweeps.search.study import STATES

WORDS = {state: word for word, state in STATES.items()}
DRIVER = "driver"  # attribute of a trial on a shared storage: who trains it
Result = TypeVar("Result")


class StoredStudy:
    """What is stored, and transactions that change it. `trials` and `facts` show what is stored, nothing else."""

    def __init__(self, url: str, name: str, *, direction: str, make: bool) -> None:
        """Open the study `name`; UserError where the storage cannot be opened, or has none and none is to be made."""
        self.url, self.name = url, name
        self._storage = open_storage(url)
        self._me = lease.own(0.0).driver
        with explained(url):
            self._study = self._find_or_create(direction, make=make)
        self._changes = Changes(self._storage, url, self._study, self._me)
        self._news: dict[int, None] = {}  # numbers of trials that others changed, in order
        self._refresh()

    @property
    def shared(self) -> bool:
        """Whether several drivers may drive the sweep at once."""
        return self._changes.shared

    def _find_or_create(self, direction: str, *, make: bool) -> int:
        try:
            return int(self._storage.get_study_id_from_name(self.name))
        except KeyError:
            if not make:
                raise UserError(f"{shown(self.url)} has no sweep named {self.name!r}") from None
        way = StudyDirection.MAXIMIZE if direction == "maximize" else StudyDirection.MINIMIZE
        try:
            return int(self._storage.create_new_study([way], self.name))
        except DuplicatedStudyError:  # another process was faster
            return int(self._storage.get_study_id_from_name(self.name))

    def _refresh(self) -> None:
        with explained(self.url):
            self.facts: dict[str, Any] = self._storage.get_study_user_attrs(self._study)
            read = self._storage.get_all_trials(self._study, deepcopy=False)
        self._seen = self._changes.turn_of(self.facts)
        self._ids = {trial.number: trial._trial_id for trial in read}  # Optuna's storages name trials by it
        self._drivers = {trial.number: trial.user_attrs.get(DRIVER) for trial in read}
        self.trials: list[Trial] = [_read(trial) for trial in sorted(read, key=lambda t: t.number)]

    @contextmanager
    def together(self, *, at_once: bool = False) -> Iterator[None]:
        """Store the changes made inside in one transaction: all or none of them, here as in the storage.

        A transaction costs a sync of the disk, its changes hardly anything. Whoever tells others of a change (workers,
        MLflow) waits until the block has ended. Inside another such block it belongs to that.
        """
        if self._changes.open:
            yield
            return
        trials, facts = list(self.trials), dict(self.facts)
        try:
            self._changes.begin(at_once=at_once)
            if self.shared:
                self._catch_up()
                trials, facts = list(self.trials), dict(self.facts)
                self._stay()
            yield
            turn = self._changes.commit()
        except BaseException:
            self.trials[:], self.facts = trials, facts
            self._changes.leave()
            raise
        self._changes.leave()
        if turn is not None:
            self._seen, self.facts[TURN] = turn, list(turn)

    def _write(self, change: Callable[[], Result]) -> Result:
        if not self.shared or self._changes.open:
            return self._changes.do(change)
        with self.together():
            return self._changes.do(change)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Changes that are right only in this order with those of others: on a shared storage in one turn."""
        if not self.shared:
            yield
            return
        with self.together():
            yield

    def keep(self, key: str, value: Any) -> None:
        """Store a fact of the sweep; None takes it back."""
        self._write(lambda: self._storage.set_study_user_attr(self._study, key, value))
        self.facts[key] = json.loads(json.dumps(value))  # as a reader finds it: tuples are lists

    def take_news(self) -> list[int]:
        """Numbers of the trials that others changed since this was last asked."""
        news, self._news = list(self._news), {}
        return news

    def _stay(self) -> None:
        """Called at the begin of every turn."""

    # --- what others did ---

    def _catch_up(self) -> None:
        """Take in what others did since the last turn that was seen here."""
        self.facts = dict(self._changes.facts)
        turn = self._changes.turn_of(self.facts)
        if turn == self._seen:
            return
        known = {self._ids[trial.number] for trial in self.trials if not trial.ended}
        last = max((self._ids[trial.number] for trial in self.trials), default=-1)
        with explained(self.url):  # the unfinished, and the new
            read = self._storage._get_trials(self._study, None, known, last)
        for found in sorted(read, key=lambda t: t.number):
            self._meet(found)
        self._seen = turn

    def _meet(self, found: FrozenTrial) -> None:
        number, before = found.number, len(self.trials)
        mine = number < before and self.trials[number].state == "running" and self._drivers.get(number) == self._me
        if mine and found.state == TrialState.RUNNING and found.user_attrs.get(DRIVER) == self._me:
            return
        if mine:
            raise TakenOverError(f"sweep {self.name!r} was taken over by another driver while this one did not answer")
        self._ids[number], self._drivers[number] = found._trial_id, found.user_attrs.get(DRIVER)
        trial = _read(found)
        if number == before:
            self.trials.append(trial)
        changed = number == before or self.trials[number].state != trial.state
        self.trials[number] = trial
        if changed:
            self._news[number] = None


def _read(trial: FrozenTrial) -> Trial:
    attributes, ended = trial.user_attrs, trial.state.is_finished()
    scores = [FoldScore.from_dict(v) for k, v in attributes.items() if k.startswith("fold:") and v is not None]
    return Trial(
        number=trial.number,
        cell=attributes.get("cell", 0),
        state=WORDS[trial.state],
        proposal=trial.params,
        scores=tuple(sorted(scores, key=lambda s: (s.repeat, s.fold))),
        curve=tuple(attributes.get("curve", ())) if ended else (),  # a driver may have died before the trial was told
        objective=trial.values[0] if trial.values else None,
        reason=attributes.get("reason") if trial.state in {TrialState.FAIL, TrialState.PRUNED} else None,
        started=trial.datetime_start.timestamp() if trial.datetime_start else None,
        finished=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
    )
