"""Control-C: once ends the work cleanly, twice ends it now."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from reno_sweeps import lines


@contextmanager
def catching(then: str) -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one raises KeyboardInterrupt. Main thread only.

    `then` is said at the first one: what ends the work. Ray in particular must not be interrupted while it starts: half
    of it would run on, and end the process by SIGSEGV.
    """
    caught = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def hear(_number: int, _frame: FrameType | None) -> None:
        if caught.is_set():
            raise KeyboardInterrupt
        caught.set()
        lines.say(f"{then}; once more ends it now", "interrupt", "warning")

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def obey(caught: threading.Event) -> None:
    """KeyboardInterrupt where the end was asked for: at a place where nothing is half done."""
    if caught.is_set():
        raise KeyboardInterrupt
