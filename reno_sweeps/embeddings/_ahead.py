"""Work that threads do ahead of whoever takes its results: in order, and never far ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_END = object()


def ahead(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int,
    count: int,
    weight: int,
    weigh: Callable[[Result], int],
) -> Generator[Result, None, None]:
    """`work(item)` of every item, in the order of the items, as `map` gives it; an error rises where its turn comes.

    At most `count` results are begun or wait to be taken, and no work begins while those that wait weigh `weight` or
    more: so at most `weight` and one result of each thread is held. Close it to end the threads.
    """
    desk = _Desk(work, iter(items), threads, count, weight, weigh)
    try:
        yield from desk.results()
    finally:
        desk.close()


class _Desk(Generic[Item, Result]):
    """What is begun and what waits. A thread that ends a piece of work begins the next, if there is room."""

    def __init__(
        self,
        work: Callable[[Item], Result],
        items: Iterator[Item],
        threads: int,
        count: int,
        weight: int,
        weigh: Callable[[Result], int],
    ) -> None:
        self._work, self._items, self._weigh = work, items, weigh
        self._threads, self._count, self._weight = threads, count, weight
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
        self._lock = threading.Lock()
        self._waiting: deque[Future[Result]] = deque()
        self._busy = self._held = 0
        self._closed = False

    def results(self) -> Iterator[Result]:
        """In the items' order; empty-handed threads are set to work by whoever takes a result."""
        while True:
            self._begin()
            if not self._waiting:
                return
            result = self._waiting[0].result()
            with self._lock:
                self._waiting.popleft()
                self._held -= self._weigh(result)
            yield result

    def close(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self) -> None:
        """Begin what there is room for."""
        with self._lock:
            while self._has_room():
                item = next(self._items, _END)
                if item is _END:
                    self._closed = True
                    return
                self._busy += 1
                self._waiting.append(self._pool.submit(self._do, item))  # type: ignore[arg-type]  # no _END here

    def _has_room(self) -> bool:
        few = self._busy < self._threads and len(self._waiting) < self._count
        return few and self._held < self._weight and not self._closed

    def _do(self, item: Item) -> Result:
        try:
            result = self._work(item)
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise
        with self._lock:
            self._busy -= 1
            self._held += self._weigh(result)
        self._begin()
        return result
