"""The first Control-C is heard, the second one ends the work, and the handlers of before come back."""

from __future__ import annotations

import signal
import threading

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
