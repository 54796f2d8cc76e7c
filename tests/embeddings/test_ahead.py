"""Work in threads, ahead of whoever takes it: in order, bounded, ended when it is closed."""

from __future__ import annotations

import threading
import time

import pytest

from reno_sweeps.embeddings._ahead import ahead


def squares(items, work=lambda n: n * n, **bounds):
    return ahead(work, items, **{"threads": 4, "count": 8, "weight": 10**9, "weigh": lambda _: 1, **bounds})


def slow_first(n: int) -> int:
    time.sleep(0.05 if n % 4 == 0 else 0)
    return n * n


@pytest.mark.parametrize("work", [lambda n: n * n, slow_first])
@pytest.mark.parametrize(("threads", "count", "weight"), [(1, 1, 1), (4, 8, 10**9), (4, 100, 1), (3, 2, 5)])
def test_results_come_in_the_order_of_the_items(work, threads, count, weight):
    found = list(squares(range(40), work, threads=threads, count=count, weight=weight))

    assert found == [n * n for n in range(40)]


def test_nothing_is_nothing():
    assert list(squares([])) == []


class Counter:
    """How much was begun."""

    def __init__(self) -> None:
        self.begun = 0
        self._lock = threading.Lock()

    def __call__(self, n: int) -> int:
        with self._lock:
            self.begun += 1
        return n


def test_no_more_is_begun_than_may_wait():
    work = Counter()
    results = squares(range(100), work, count=8)
    for taken in range(1, 30):
        next(results)
        time.sleep(0.005)

        assert work.begun <= taken + 8
    results.close()


def test_what_waits_weighs_no_more_than_was_allowed_and_a_result_of_each_thread():
    work = Counter()
    results = squares(range(100), work, threads=3, count=100, weight=10, weigh=lambda _: 5)
    next(results)
    time.sleep(0.1)

    assert work.begun - 1 <= 10 // 5 + 3
    results.close()


def test_one_result_that_is_heavier_than_all_that_is_allowed_passes():
    assert list(squares(range(9), weight=1, weigh=lambda _: 50)) == [n * n for n in range(9)]


def test_threads_work_while_a_result_is_looked_at():
    work = Counter()
    results = squares(range(100), work, count=20)
    next(results)
    time.sleep(0.1)

    assert work.begun >= 20
    results.close()


def test_an_error_rises_where_its_turn_comes():
    results = squares(range(10), lambda n: 1 // (n - 3))

    assert [next(results) for _ in range(3)] == [-1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_ends_the_threads():
    results = squares(range(1000), slow_first)
    next(results)
    results.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
