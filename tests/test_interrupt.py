"""The first Control-C is heard, the second one ends the work, and the handlers of before come back."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from reno_sweeps import interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_heard_the_second_ends_it_and_the_handlers_come_back(number, capsys):
    before = signal.getsignal(number)
    with interrupt.catching("ending at the end of the song") as caught:
        interrupt.obey(caught)
        signal.raise_signal(number)

        assert caught.is_set()
        assert capsys.readouterr().err == "ending at the end of the song; once more ends it now\n"
        with pytest.raises(KeyboardInterrupt):
            interrupt.obey(caught)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)

    assert signal.getsignal(number) is before


def test_in_another_thread_nothing_is_caught():
    found = []

    def work() -> None:
        with interrupt.catching("never") as caught:
            found.append((caught.is_set(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert found == [(False, signal.getsignal(signal.SIGINT))]


class Dropped:
    """What its finalizer raises is dropped."""

    def __init__(self, error: type[BaseException]) -> None:
        self._error = error

    def __del__(self) -> None:
        raise self._error


@pytest.fixture
def python_listens():
    """Python's own handler, which a process in the background has not got."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_python_drops_comes_again(python_listens, capsys):
    def work() -> None:
        Dropped(KeyboardInterrupt)
        time.sleep(20)

    with interrupt.never_lost(), pytest.raises(KeyboardInterrupt):
        work()

    assert capsys.readouterr().err == ""


def test_other_dropped_errors_are_said_as_ever(monkeypatch):
    said = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: said.append(dropped.exc_type))
    ours = sys.unraisablehook
    with interrupt.never_lost():
        Dropped(ValueError)

    assert said == [ValueError]
    assert sys.unraisablehook is ours


@pytest.mark.parametrize(
    "before", ["atexit.register(again)", "later.append(Last())", 'exec("interrupted()")'], ids=["exit", "end", "exec"]
)
def test_neither_one_more_while_the_interpreter_tidies_up_nor_where_it_fell_changes_the_exit_code(before, tmp_path):
    code = f"""
import atexit, os, signal, time
from reno_sweeps import cli

def interrupted(pid=os.getpid(), kill=os.kill, number=signal.SIGINT, sleep=time.sleep):
    kill(pid, number)
    sleep(1)

def again():
    interrupted()
    time.sleep(60)

class Last:
    __del__ = lambda self, interrupted=interrupted: interrupted()

def wait():
    {before}
    interrupted()

later = []
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.app.command("wait")(wait)
cli.main(["wait"])
"""
    (tmp_path / "waiting.py").write_text(code)
    line = [sys.executable, "-m", "waiting"]  # as `python -m reno_sweeps.cli`, to which Python does more than to a file
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted; what had finished is stored: the same command goes on from there\n"
