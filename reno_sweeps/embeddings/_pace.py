"""How far an extraction has come, how fast it goes and how long it will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

RECENT = 60.0  # seconds over which speed is measured: it changes when workers join


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an extraction stands."""

    done: int  # clips that have all their embeddings, or are broken
    total: int
    what: str  # the encoders
    computed: int  # clips of these whose embeddings were not in the cache
    rate: float | None  # clips computed a second, lately
    left: float | None  # seconds


class Listener(Protocol):
    """Hears how an extraction goes; called often, from the thread that extracts."""

    def stands(self, standing: Standing) -> None:
        """How far it is."""

    def say(self, line: str) -> None:
        """One line worth reading."""


class Silent:
    """A listener that says nothing."""

    def stands(self, standing: Standing) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""


class Pace:
    """Counts clips: looked at, found to lack embeddings, computed."""

    def __init__(self, total: int, what: str, now: Callable[[], float] = time.monotonic) -> None:
        self._total, self._what, self._now = total, what, now
        self.looked = self.lacking = self.computed = self.done = 0
        self._recent: deque[tuple[float, int]] = deque([(now(), 0)])

    def begin(self) -> None:
        """Speed counts from here: encoders are loaded."""
        if not self.computed:
            self._recent = deque([(self._now(), 0)])

    def compute(self, clips: int) -> None:
        """So many clips more have all their embeddings."""
        self.computed += clips
        self.done += clips
        now = self._now()
        self._recent.append((now, self.computed))
        while len(self._recent) > 2 and self._recent[1][0] < now - RECENT:
            self._recent.popleft()

    def share(self) -> float:
        """Clips in all for each one that was looked at."""
        return self._total / self.looked if self.looked else 1.0

    def standing(self) -> Standing:
        """Where it stands now."""
        (then, before), (now, after) = self._recent[0], self._recent[-1]
        rate = (after - before) / (now - then) if after > before and now > then else None
        todo = self.lacking * self.share() - self.computed
        left = todo / rate if rate and todo > 0 and self.done < self._total else None
        return Standing(self.done, self._total, self._what, self.computed, rate, left)
