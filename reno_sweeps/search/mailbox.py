"""Between the driver and its workers: cohorts and stops go down, events come up. Runs as a Ray actor, knows no Ray."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Sequence

from reno_sweeps.records import Event, FoldFailed, FoldFinished, FoldStopped, Key, Model
from reno_sweeps.training.cohort import Structure, structure

ATTEMPTS = 3  # a cohort whose worker died is started so often before its models fail
LOST = 5.0  # seconds of silence after which an idle worker is not waited for
CLOSED = "closed"  # what `next` answers when no cohort will come


class Mailbox:
    """Cohorts down, events up, stops down. Lives beside the driver; holds nothing that the ledger has not or gets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cohorts: dict[str, dict[Key, Model]] = {}
        self._waiting: deque[str] = deque()
        self._events: deque[Event] = deque()
        self._stops: set[Key] = set()
        self._starts: dict[str, int] = {}
        self._buried: dict[str, float] = {}  # cohort whose workers die before they begin → since when
        self._structures: dict[str, set[Structure]] = {}  # of the models with which a cohort began
        self._room: dict[str, int] = {}  # how many models have left a cohort for which none has joined
        self._unbegun: set[str] = set()
        self._resting: dict[str, float] = {}  # idle worker → when it last asked, on a clock that is never set
        self._woken: dict[str, float] = {}  # worker on its way to a cohort that nobody has begun → since when
        self._notes: list[str] = []
        self._closed = False

    def put(self, cohort: str, models: Sequence[Model]) -> None:
        """Keep a cohort until its models have ended."""
        with self._lock:
            self._cohorts[cohort] = {model.key: model for model in models}
            self._waiting.append(cohort)
            self._unbegun.add(cohort)

    def next(self, free: bool = False) -> str | None:
        """The cohort that has waited longest; None where none waits, CLOSED where none will come.

        `free`: a worker has just come back. Else, while idle workers live, one of them will come for the cohort: it
        is kept for that one, since handing it out would start a new process beside it.
        """
        with self._lock:
            if self._closed:
                return CLOSED
            if not self._waiting or not (free or not self._coming()):
                return None
            return self._waiting.popleft()

    def wake(self, worker: str) -> bool:
        """Whether this idle worker should get up: one for each cohort that nobody has begun, all at the end."""
        with self._lock:
            _forget_lost(self._woken)
            awake = self._closed or len(self._unbegun) > len(self._woken)
            self._resting.pop(worker, None)
            (self._woken if awake else self._resting)[worker] = time.monotonic()
            return awake

    def close(self) -> None:
        """No cohort will come; every model still training should leave."""
        with self._lock:
            self._closed = True
            self._stops.update(key for models in self._cohorts.values() for key in models)

    def cohort(self, cohort: str) -> list[Model]:
        """The models of a cohort that still have to be trained: all, or after a worker's death those left."""
        with self._lock:
            self._begun(cohort)
            models = self._cohorts.get(cohort, {})
            for key in [key for key in models if key in self._stops]:  # told to stop before they began
                del models[key]
                self._events.append(FoldStopped(key, epoch=0))
            left = list(models.values())
            self._structures.setdefault(cohort, {structure(model) for model in left})
            self._starts[cohort] = self._starts.get(cohort, 0) + 1
            self._buried.pop(cohort, None)
            if self._starts[cohort] > 1 and left:
                self._notes.append(
                    f"a worker died; attempt {self._starts[cohort]} of {ATTEMPTS} for {left[0].key.owner}"
                )
        return left

    def note(self, text: str) -> None:
        """Have an operator hear something."""
        with self._lock:
            self._notes.append(text)

    def post(self, cohort: str, events: Sequence[Event], *, adopts: bool = False) -> tuple[set[Key], list[Model]]:
        """A worker's news. Models that ended are struck off the cohort.

        Returns every model that should leave, and for a worker that adopts, models to train with its others from now.
        """
        with self._lock:
            for event in events:
                if isinstance(event, FoldFinished | FoldFailed | FoldStopped):
                    self._room[cohort] = self._room.get(cohort, 0) + 1
                    self._cohorts.get(cohort, {}).pop(event.key, None)
                    self._stops.discard(event.key)
            self._events.extend(events)
            return set(self._stops), self._adopted(cohort) if adopts else []

    def take(self) -> tuple[list[Event], list[str]]:
        """All news since the last call, and what an operator should hear."""
        with self._lock:
            news, notes = list(self._events), self._notes
            self._events.clear()
            self._notes = []
        return news, notes

    def abandon(self, cohort: str, reason: str) -> None:
        """The cohort cannot go on: its remaining models fail with the reason."""
        with self._lock:
            self._begun(cohort)
            lost = self._cohorts.pop(cohort, {})
            self._events.extend(FoldFailed(key, reason) for key in lost)

    def bury(self, cohort: str, reason: str, patience: float) -> None:
        """Its workers died, as often as Tune bears: it waits for another one, or fails where it began as often.

        Tune also counts workers that it sends to a cluster's node that is lost, until Ray has noticed: those that die
        before they begin are forgiven for `patience` seconds.
        """
        with self._lock:
            first = cohort not in self._buried
            since = self._buried.setdefault(cohort, time.monotonic())
            forgiven = self._starts.get(cohort, 0) < ATTEMPTS and time.monotonic() - since < patience
            if forgiven and (left := self._cohorts.get(cohort)):
                self._waiting.appendleft(cohort)
                self._unbegun.add(cohort)
                if first:
                    self._notes.append(f"workers died before they began; others are sought for {min(left).owner}")
                return
        self.abandon(cohort, reason)

    def stop(self, keys: Collection[Key]) -> None:
        """These models should leave at the end of their epoch."""
        with self._lock:
            self._stops.update(keys)

    def stops(self) -> set[Key]:
        """Every model that should leave."""
        with self._lock:
            return set(self._stops)

    def _adopted(self, cohort: str) -> list[Model]:
        """Models of waiting cohorts for the places of those that left this one, whose own they are from now on.

        Whole cohorts, of structures that this one has had, as long as no worker is idle.
        """
        mine = self._cohorts.get(cohort, {})
        found: list[Model] = []
        for other in () if self._closed or not mine or self._coming() else tuple(self._waiting):
            models = self._cohorts[other]
            alike = {structure(model) for model in models.values()} <= self._structures.get(cohort, set())
            if alike and len(models) <= self._room.get(cohort, 0):
                self._waiting.remove(other)
                self._begun(other)
                self._room[cohort] -= len(models)
                mine.update(self._cohorts.pop(other))
                found += models.values()
        return found

    def _begun(self, cohort: str) -> None:
        if cohort in self._unbegun:
            self._unbegun.discard(cohort)
            if self._woken:
                del self._woken[min(self._woken, key=lambda worker: self._woken[worker])]

    def _coming(self) -> bool:
        _forget_lost(self._resting)
        _forget_lost(self._woken)
        return bool(self._resting or self._woken)


def _forget_lost(workers: dict[str, float]) -> None:
    for worker in [worker for worker, seen in workers.items() if time.monotonic() - seen > LOST]:
        del workers[worker]
