"""A clock that can be set: Python's `time.time` and `time.time_ns` of every process that has this folder on its path.

The file that RENO_FAULTS_CLOCK names holds the seconds to add. What C code reads (SQLite, Ray's own servers,
`datetime.now`) is not moved.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_FILE = os.environ.get("RENO_FAULTS_CLOCK")
_LOOKS = 0.05  # seconds between two looks into the file


def _install(file: Path) -> None:
    true_time, true_ns = time.time, time.time_ns
    state = {"offset": 0.0, "looked": -1.0}

    def offset() -> float:
        now = time.monotonic()
        if now - state["looked"] > _LOOKS:
            state["looked"] = now
            with contextlib.suppress(OSError, ValueError):
                state["offset"] = float(file.read_text())
        return state["offset"]

    time.time = lambda: true_time() + offset()
    time.time_ns = lambda: true_ns() + int(offset() * 1e9)


if _FILE:
    _install(Path(_FILE))
