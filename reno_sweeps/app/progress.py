"""What a person sees while a sweep runs: a live line on a terminal, plain lines elsewhere. On stderr alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from reno_sweeps import lines
from reno_sweeps.records import FoldScore, Sweep, Trial, best_of
from reno_sweeps.reports import wording

if TYPE_CHECKING:
    from reno_sweeps.embeddings._pace import Standing

PLAIN_EVERY = 15.0  # seconds between two plain lines while nothing ends
EXTRACTION_EVERY = 3.0  # seconds between two plain lines of an extraction
LIVE_EVERY = 0.25  # likewise on a terminal, where one line changes


class Progress:
    """Counts what has ended; says the best so far and the time left. Silent where asked to be quiet."""

    def __init__(self, sweep: Sweep, trials: Sequence[Trial], *, asked: int, quiet: bool, what: str = "") -> None:
        """`what` begins every line, where there are several searches."""
        self._sweep, self._trials, self._asked, self._quiet, self._what = sweep, trials, asked, quiet, what
        self._began, self._before = time.monotonic(), self._ended()
        self._said = (0.0, -1)
        self._live: Any = None

    def __enter__(self) -> Progress:
        if not self._quiet and sys.stderr.isatty() and not lines.are_json():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(self.line(), console=Console(stderr=True), refresh_per_second=4, transient=True)
            self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, at)
            self._live = None

    def trial(self, trial: Trial) -> None:
        """A failed trial is said at once; everything else is in the line, or for machines in one of its own."""
        if trial.state == "failed":
            self.say(f"trial {trial.number} failed: {trial.reason}", "trial", "warning", **_facts(trial))
        elif lines.are_json():
            self.say(f"trial {trial.number} {trial.state}", "trial", **_facts(trial))
        self.tick()

    def beside(self, owner: str, scores: Sequence[FoldScore]) -> None:
        """A baseline or a refit is done."""
        what = " ".join(owner.split()[:2])
        self.say(f"{what}: {len(scores)} folds trained", "beside", owner=what, folds=len(scores))

    def tick(self) -> None:
        """Show where things stand, if there is something new to show."""
        if self._quiet:
            return
        if self._live is not None:
            self._live.update(self.line())
            return
        now, ended = time.monotonic(), self._ended()
        if ended != self._said[1] or now - self._said[0] > PLAIN_EVERY:
            lines.say(self.line(), "progress", **self._standing())
            self._said = (now, ended)

    def say(self, text: str, event: str = "said", level: str = "info", **fields: Any) -> None:
        """One line that stays; what kind of news it is, and its facts, are for machines."""
        if self._live is not None:
            self._live.console.print(text, highlight=False, markup=False)
        elif not self._quiet:
            lines.say(text, event, level, **fields)

    def line(self) -> str:
        """Trials done, best so far, time left."""
        parts = [f"{self._what + ': ' if self._what else ''}{self._ended()}/{self._asked} trials"]
        parts += [f"{n} {s}" for s in ("pruned", "failed") if (n := sum(t.state == s for t in self._trials))]
        best = best_of(self._trials, self._sweep)
        if best is not None:
            optimistic = " (optimistic)" if self._sweep.protocol.selection == "paper" else ""
            metric = f"val_{self._sweep.objective.metric}"
            parts.append(f"best {metric} {best.objective:.4f}{optimistic} (trial {best.number})")
        left = self._left()
        return " · ".join([*parts, f"about {wording.duration(left)} left"] if left is not None else parts)

    def _standing(self) -> dict[str, Any]:
        """What the line says, as facts."""
        best, left = best_of(self._trials, self._sweep), self._left()
        states = [trial.state for trial in self._trials]
        return {
            **({"search": self._what} if self._what else {}),
            "asked": self._asked,
            "ended": self._ended(),
            **{state: states.count(state) for state in ("complete", "pruned", "failed", "running")},
            "best": best and best.objective,
            "best_trial": best and best.number,
            "seconds_left": None if left is None else round(left, 1),
        }

    def _ended(self) -> int:
        return sum(trial.ended for trial in self._trials)

    def _left(self) -> float | None:
        """Seconds, at the pace since this began; None before anything ended, and when all has."""
        done = self._ended() - self._before
        todo = self._asked - self._ended()
        return None if done < 1 or todo < 1 else (time.monotonic() - self._began) / done * todo


def _facts(trial: Trial) -> dict[str, Any]:
    took = None if trial.started is None or trial.finished is None else round(trial.finished - trial.started, 3)
    known = {"trial": trial.number, "state": trial.state, "objective": trial.objective, "seconds": took}
    return {**known, "reason": trial.reason} if trial.reason else known


class ClipsSaid:
    """An extraction's progress: one line that changes on a terminal, a line every few seconds elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._live = quiet, not quiet and sys.stderr.isatty() and not lines.are_json()
        self._last = time.monotonic()
        self._open = False  # whether a line waits to be written over

    def __enter__(self) -> ClipsSaid:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def stands(self, standing: Standing) -> None:
        """Show how far it is, if it is time to, and where it ends."""
        now, ended = time.monotonic(), standing.done == standing.total
        if self._quiet or not (ended or now - self._last > (LIVE_EVERY if self._live else EXTRACTION_EVERY)):
            return
        self._last = now
        line = clips_line(standing)
        if self._live:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)  # noqa: T201  # progress
            self._open = True
        else:
            lines.say(
                line,
                "clips",
                encoders=standing.what,
                done=standing.done,
                total=standing.total,
                clips_per_second=standing.rate,
                seconds_left=standing.left,
            )

    def say(self, line: str) -> None:
        """One line that stays."""
        if not self._quiet:
            self._end(clear=True)
            lines.say(line, "clips")

    def _end(self, *, clear: bool = False) -> None:
        """Leave the line that changes: as it is, or for another in its place."""
        if self._open:
            print("\r\x1b[K" if clear else "", end="" if clear else "\n", file=sys.stderr, flush=True)  # noqa: T201
            self._open = False


def clips_line(standing: Standing) -> str:
    """'mfcc: 120/240 clips · 31.2 clips/s · about 4 s left'."""
    parts = [f"{standing.what}: {standing.done}/{standing.total} clips"]
    parts += [f"{standing.rate:.3g} clips/s"] if standing.rate else []
    parts += [f"about {wording.duration(standing.left)} left"] if standing.left else []
    return " · ".join(parts)


def clips_said(*, quiet: bool = False) -> ClipsSaid:
    """Says how far an extraction has come: `with clips_said() as progress`."""
    return ClipsSaid(quiet=quiet)
