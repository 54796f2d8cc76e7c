"""Control-C: once ends the work cleanly, twice ends it now."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from reno_sweeps import lines

INTERRUPTED = 130  # the exit code of what an interrupt ended, as a shell counts it
_AGAIN = 0.05  # seconds after which a lost interrupt comes again


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


@contextmanager
def never_lost() -> Iterator[None]:
    """For a process of ours: Python drops an interrupt that falls into a callback or a finalizer; here it comes again.

    One that falls into the interpreter's last moments changes no exit code.
    """
    before = sys.unraisablehook

    def hook(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            before(dropped)
            return
        first = threading.main_thread().ident
        again = threading.Timer(_AGAIN, signal.pthread_kill, (first, signal.SIGINT))
        again.daemon = True
        again.start()

    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # the first that is registered is called last
    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def leave() -> None:
    """The interrupt was answered: another one, while the interpreter tidies up, ends the process with the same code."""

    def go(_number: int, _frame: FrameType | None) -> None:
        os._exit(INTERRUPTED)

    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signal.SIGINT, go)
    exec("")  # noqa: S102  # Python notes an interrupt that left a text given to exec, and would die of it in the end
