"""Inputs, the process that reads them, and a watch over both: every input ends in one of four words."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 10.0  # seconds of processor time that one input may take
WAITING = 60.0  # seconds in which a process waits for something other than a processor: a pipe, a device
POLL = 0.5  # seconds
COMMAND = ["-m", "tests.fuzz.worker"]
ENDS = ("accepted", "refused", "crash", "hang")


@dataclass
class Score:
    """What became of the inputs of one kind."""

    kind: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENDS, 0))
    seconds: float = 0.0  # the longest, of processor time
    bytes: int = 0  # the most that one took
    faults: list[tuple[int, str, str]] = field(default_factory=list)  # number, end, why
    slowest: tuple[int, int] = (0, 0)  # numbers of the slowest and of the largest

    def add(self, number: int, end: str, why: str = "", seconds: float = 0.0, size: int = 0) -> None:
        """Count one input."""
        self.counts[end] += 1
        slow = number if seconds > self.seconds else self.slowest[0]
        large = number if size > self.bytes else self.slowest[1]
        self.slowest = (slow, large)
        self.seconds, self.bytes = max(self.seconds, seconds), max(self.bytes, size)
        if end in {"crash", "hang"}:
            self.faults.append((number, end, why))

    @property
    def inputs(self) -> int:
        """How many there were."""
        return sum(self.counts.values())


class Arena:
    """`with Arena() as arena: arena.run(kind, seed, 1, 1001)`; a worker that dies or hangs is replaced."""

    def __init__(self, patience: float = PATIENCE, waiting: float = WAITING) -> None:
        self._patience, self._waiting = patience, waiting
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._folder = tempfile.TemporaryDirectory(prefix="reno-fuzz-")  # of all workers: one that dies removes nothing

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._folder.cleanup()

    def run(self, kind: str, seed: int, first: int, last: int, tell: Callable[[Score], None] = lambda _: None) -> Score:
        """Read the inputs from `first` to before `last`."""
        score, following = Score(kind), first
        while following < last:
            for number, answer in self._answers([kind, seed, following, last]):
                score.add(number, answer["end"], answer["why"], answer["seconds"], answer["bytes"])
                following = number + 1
                tell(score)
        return score

    def _answers(self, question: list[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The worker's answers; of an input that ends the worker, ours."""
        process, number = self._started(), question[2]
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        while True:
            said = self._next(process)
            if isinstance(said, str):
                self._stop()
                yield number, {"end": said, "why": f"{said} (exit {process.returncode})", "seconds": 0.0, "bytes": 0}
                return
            if "ends" in said:
                return
            if "begins" in said:
                number = said["begins"]
            else:
                yield said["number"], said

    def _next(self, process: subprocess.Popen[str]) -> dict[str, Any] | str:
        """The next line, or 'crash' or 'hang' for a worker that gives none."""
        (used, _), idle = _state(process.pid), 0.0
        while True:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=POLL)
                if line is None:
                    process.wait()
                    return "crash"
                found: dict[str, Any] = json.loads(line)
                if "seconds" in found and found["seconds"] > self._patience:
                    found |= {"end": "hang", "why": f"{found['seconds']:.1f} s"}
                return found
            now, waits = _state(process.pid)
            idle += POLL if waits else 0.0  # on a busy machine a process that could run does not wait
            if now - used > 3 * self._patience or idle > self._waiting:
                return "hang"

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "PYTHONFAULTHANDLER": ""}
            own["TMPDIR"] = self._folder.name
            self._lines = queue.Queue()
            self._process = subprocess.Popen(
                [sys.executable, *COMMAND],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **own},
            )  # fmt: skip
            threading.Thread(target=_listen, args=(self._process, self._lines), daemon=True).start()
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _listen(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def _state(pid: int) -> tuple[float, bool]:
    """Seconds of processor time of a process, and whether it waits for something other than a processor."""
    import psutil

    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return float(times.user + times.system), process.status() == psutil.STATUS_SLEEPING
    except psutil.Error:
        return 0.0, False


def table(scores: list[Score]) -> str:
    """The results as Markdown."""
    rows = [
        "| input | tried | accepted | refused | crashes | hangs | worst seconds | worst memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for score in scores:
        counts = " | ".join(f"{score.counts[end]:,}" for end in ENDS)
        rows.append(
            f"| {score.kind} | {score.inputs:,} | {counts} | {score.seconds:.2f} | {score.bytes / 1e6:.0f} MB |"
        )
    return "\n".join(rows)
