"""Control-C: once ends a sweep cleanly, twice ends it now."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def catching() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one raises KeyboardInterrupt. Main thread only."""
    caught = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def hear(_number: int, _frame: FrameType | None) -> None:
        if caught.is_set():
            raise KeyboardInterrupt
        caught.set()
        print("ending at the end of this epoch; once more ends it now", file=sys.stderr, flush=True)  # noqa: T201

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
