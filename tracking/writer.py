"""The one writer: rows go in without waiting, a background thread mirrors them to MLflow and loses none."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tracking import names
from tracking.errors import RefusedError, TrackingError, one_line, without_credentials
from tracking.mirror import Mirror
from tracking.rows import OpenSweep, RunRow, SweepRow

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts while MLflow does not answer
_SHORTEST_PAUSE = 0.2  # while somebody waits in `drain`
_SETTLES = 2.0  # seconds that a trial's first row waits: a trial that ends meanwhile is written once, not twice


class Writer:
    """Mirrors one sweep. What waits lives in memory: the truth is elsewhere, and `open_sweep` catches up from it.

    `say` hears, once an outage, that MLflow does not answer, and when it does again; and of every row that
    MLflow refuses. Nothing but `open_sweep` raises because of MLflow.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path, *, say: Callable[[str], None] = logger.warning) -> None:
        self._shown = without_credentials(tracking_uri)
        self._mirror = Mirror(tracking_uri, artifact_root)
        self._say = say
        self._changed = threading.Condition()
        self._pending: dict[str, RunRow] = {}  # by key, in the order of first arrival; the latest row of a key wins
        self._arrived: dict[str, float] = {}  # when the first of a key's waiting rows came
        self._writing: str | None = None
        self._refused: set[str] = set()
        self._failures = 0  # attempts in a row that MLflow did not answer
        self._hurry = self._closing = False
        self._thread: threading.Thread | None = None
        self._waited = 0.0

    @property
    def waited_seconds(self) -> float:
        """Seconds that callers have spent in here: what tracking cost the sweep."""
        return self._waited

    def open_sweep(self, sweep: SweepRow) -> OpenSweep:
        """Find or create the sweep's experiment and parent run, now. `TrackingError` within 10 s if that fails."""
        began = time.monotonic()
        try:
            opened = self._mirror.open(sweep)
        finally:
            self._waited += time.monotonic() - began
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()
        return opened

    def update_sweep(self, sweep: SweepRow) -> None:
        """Have the parent run written again with what is known now: status, note, best so far."""
        self.write(sweep.run())

    def write(self, row: RunRow) -> None:
        """Have a row mirrored soon, its parent's row first. Returns at once."""
        began = time.monotonic()
        with self._changed:
            if self._thread is None or self._closing:
                raise TrackingError(f"run {row.key!r} came before open_sweep or after close")
            self._pending[row.key] = row
            self._arrived.setdefault(row.key, began)
            self._refused.discard(row.key)
            self._changed.notify_all()
            self._waited += time.monotonic() - began

    def run_id(self, key: str) -> str | None:
        """The MLflow id of a run that has been written; None while it waits."""
        return self._mirror.run_id(key)

    def drain(self, timeout_s: float) -> int:
        """Wait until all is written, trying at once even in an outage. How many rows are left behind."""
        began = time.monotonic()
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(self._is_idle, timeout_s)
            self._hurry = False
            self._waited += time.monotonic() - began
            return len(self._left())

    def close(self, timeout_s: float = 30.0) -> int:
        """Drain, then end the thread. How many rows are left behind: the next `open_sweep` gets them again."""
        left = self.drain(timeout_s) if self._thread is not None else 0
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5)  # a call to a dead server may take longer: the thread is a daemon
        return left

    # --- the thread -----------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (row := self._next()) is not None:
            try:
                self._mirror.write(row)
            except RefusedError as refusal:
                self._done(row, refused=True)
                self._say(one_line(refusal))
            except Exception as error:  # noqa: BLE001 - every artifact store raises kinds of its own; said, kept, tried again
                self._keep(row, error)
            else:
                self._done(row)

    def _next(self) -> RunRow | None:
        """The oldest waiting row, after the pause that an outage asks for; None when closing."""
        with self._changed:
            if self._failures and not self._hurry:
                pause = min(_FIRST_PAUSE * 2 ** min(self._failures - 1, 10), _LONGEST_PAUSE)
                self._changed.wait_for(lambda: self._closing or self._hurry, pause)
            elif self._failures:
                self._changed.wait_for(lambda: self._closing, _SHORTEST_PAUSE)
            while (key := self._due()) is None and not self._closing:
                self._changed.wait(_SETTLES / 4 if self._pending else None)
            if self._closing or key is None:
                return None
            self._writing = key
            self._arrived.pop(key, None)
            return self._pending.pop(key)

    def _due(self) -> str | None:
        """The key of the oldest waiting row, those of trials that have just begun aside unless somebody waits."""
        settled = time.monotonic() - _SETTLES
        for key, row in self._pending.items():
            begins = row.kind == names.TRIAL_KIND and row.status == "RUNNING"
            if self._hurry or not begins or self._arrived.get(key, settled) <= settled:
                return key
        return None

    def _done(self, row: RunRow, *, refused: bool = False) -> None:
        with self._changed:
            self._writing = None
            if refused and row.key not in self._pending:
                self._refused.add(row.key)
            waited_out, self._failures = self._failures, 0
            self._changed.notify_all()
        if waited_out:
            self._say(f"MLflow at {self._shown} answers again; what waited is being written")

    def _keep(self, row: RunRow, error: Exception) -> None:
        """Put a row back where it was, a newer one of its key in its stead."""
        with self._changed:
            self._writing = None
            newest = self._pending.pop(row.key, row)
            self._pending = {row.key: newest, **self._pending}
            self._failures += 1
            first, waiting = self._failures == 1, len(self._pending)
            self._changed.notify_all()
        logger.info("MLflow did not take %r: %s: %s", row.key, type(error).__name__, error)
        if first:
            reason = f"{type(error).__name__}: {one_line(error)}"
            self._say(f"MLflow at {self._shown} does not take runs ({reason}); the sweep goes on, {waiting} wait")

    def _is_idle(self) -> bool:
        return not self._pending and self._writing is None

    def _left(self) -> set[str]:
        return {*self._pending, *self._refused, *([] if self._writing is None else [self._writing])}
