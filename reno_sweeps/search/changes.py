"""Changes of one study in one transaction: on a shared storage in turns, and again where the connection was lost."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy
import sqlalchemy.orm
from optuna.storages import RDBStorage
from sqlalchemy.engine import Connection, RootTransaction

from reno_sweeps.search.storage import StorageError, explained, is_local, passing, shown

logger = logging.getLogger(__name__)

PATIENCE = 300.0  # seconds that a storage may be away before a sweep ends
PAUSE = 2.0  # seconds between two attempts, at most
HELD = 60  # seconds after which the server takes the turn from a driver that was stopped within it
TURN = "turn"  # fact of a shared study: how many transactions changed it, and who made the last
Result = TypeVar("Result")


class Changes:
    """Transactions of one study, one at a time; every change is a function that can be called again.

    On a shared storage (`shared`) a transaction is a turn: it holds the lock of the study's row, so that what its
    holder reads is what all others have stored, and `now` is the server's clock. A turn whose connection is lost is
    made again from the start, unless somebody else had one in between: then what it was decided on may be wrong.
    """

    def __init__(self, storage: RDBStorage, url: str, study: int, driver: str) -> None:
        self._storage, self._url, self._study, self._driver = storage, url, study, driver
        self.shared = not is_local(url)
        self.facts: dict[str, Any] = {}  # of a shared study, as the turn found them
        self.now = 0.0  # Unix time of the turn
        self.patience = PATIENCE
        self._log: list[Callable[[], object]] = []
        self._connection: Connection | None = None
        self._transaction: RootTransaction | None = None
        self._own = storage.scoped_session

    @property
    def open(self) -> bool:
        """Whether a transaction is under way."""
        return self._connection is not None

    def begin(self, *, at_once: bool = False) -> None:
        """Begin a transaction; with `at_once` no other process writes to a local storage before it ends."""
        self._log = []
        try:
            self._begin(at_once=at_once)
        except StorageError as error:
            if not self._may_pass(error):
                raise
            self._patiently(error, self._begin)

    def do(self, change: Callable[[], Result]) -> Result:
        """One change, within the transaction if one is open; refused where that has been lost."""
        if not self.open:
            with explained(self._url):
                return change()
        if self._transaction is None or not self._transaction.is_active:
            place = shown(self._url)
            raise StorageError(f"the study's storage {place} gave a transaction up: another process wrote too")
        self._log.append(change)
        try:
            with explained(self._url):
                return change()
        except StorageError as error:
            if not self._may_pass(error):
                raise
            return self._patiently(error, lambda: self._replay(change))

    def commit(self) -> tuple[int, str] | None:
        """Store what was changed; the turn's number and maker, None where nothing was or the storage is local."""
        turn = self._next() if self.shared and self._log else None
        try:
            self._commit(turn)
        except StorageError as error:
            if not self._may_pass(error):
                raise
            self._patiently(error, lambda: self._commit_again(turn))
        return turn

    def leave(self) -> None:
        """End the transaction; what was not committed is undone."""
        connection, self._connection, self._transaction = self._connection, None, None
        self._storage.scoped_session = self._own
        if connection is None:
            return
        try:
            with explained(self._url):
                connection.rollback()  # also after a commit that failed, which would keep its lock
        finally:
            connection.close()

    def turn_of(self, facts: dict[str, Any]) -> tuple[int, str]:
        """The last turn, by the study's facts."""
        number, maker = facts.get(TURN) or (0, "")
        return number, maker

    # --- one attempt ---

    def _begin(self, *, at_once: bool = False) -> None:
        with explained(self._url):
            connection = self._storage.engine.connect()
        self._connection, self._transaction = connection, connection.begin()
        sqlalchemy.event.listen(connection, "begin", _refuse_second)
        # Optuna commits after every change; a session that joins an open transaction leaves that to us.
        joined = sqlalchemy.orm.sessionmaker(bind=connection, join_transaction_mode="rollback_only")
        self._storage.scoped_session = sqlalchemy.orm.scoped_session(joined)
        with explained(self._url):
            if self.shared:
                self.now = self._lock(connection)
                self.facts = self._storage.get_study_user_attrs(self._study)
            elif at_once:
                connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _lock(self, connection: Connection) -> float:
        """Wait for our turn; the server's clock then."""
        postgres = connection.dialect.name == "postgresql"
        if postgres:
            held = f"{HELD}s"
            limits = "set_config('lock_timeout', :held, true), "
            limits += "set_config('idle_in_transaction_session_timeout', :held, true)"
            connection.execute(sqlalchemy.text(f"SELECT {limits}"), {"held": held})
        row = sqlalchemy.text("SELECT study_id FROM studies WHERE study_id = :study FOR UPDATE")
        if connection.execute(row, {"study": self._study}).one_or_none() is None:
            raise StorageError(f"the sweep's study was deleted from {shown(self._url)}")
        if not postgres:
            return time.time()
        return float(connection.execute(sqlalchemy.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def _commit(self, turn: tuple[int, str] | None) -> None:
        with explained(self._url):
            if turn is not None:
                self._storage.set_study_user_attr(self._study, TURN, turn)
            if self._transaction is not None:
                self._transaction.commit()

    # --- again ---

    def _may_pass(self, error: StorageError) -> bool:
        return self.shared and passing(error)

    def _next(self) -> tuple[int, str]:
        return self.turn_of(self.facts)[0] + 1, self._driver

    def _patiently(self, error: StorageError, attempt: Callable[[], Result]) -> Result:
        """Attempt until it succeeds, or the storage was away for too long."""
        until, pause = time.monotonic() + self.patience, PAUSE / 16
        if self.patience:
            logger.warning("%s; trying again for %.0f minutes", error, self.patience / 60)
        while True:
            with contextlib.suppress(StorageError):
                self.leave()
            if time.monotonic() > until:
                self.patience = 0.0  # who lets go afterwards does not wait once more
                raise error
            time.sleep(pause)
            pause = min(PAUSE, 2 * pause)
            try:
                result = attempt()
            except StorageError as again:
                if not self._may_pass(again):
                    raise
                error = again
            else:
                logger.warning("the study's storage %s answers again", shown(self._url))
                return result

    def _replay(self, last: Callable[[], Result]) -> Result:
        """The changes so far once more, on a new connection; the last one's result."""
        known = self.turn_of(self.facts)
        self._begin()
        if self.turn_of(self.facts) != known:
            raise StorageError("another driver changed the sweep while the storage did not answer; go on with resume")
        with explained(self._url):
            for change in self._log[:-1]:
                change()
            return last()

    def _commit_again(self, turn: tuple[int, str] | None) -> None:
        """A commit whose answer was lost may have been made: the turn's mark tells."""
        known = self.facts
        try:
            self._begin()
            found = self.turn_of(self.facts)
        finally:
            self.facts = known
        if turn is None or found == turn:
            return
        self.leave()
        self._replay(self._log[-1])
        self._commit(turn)


def _refuse_second(_: Connection) -> None:
    """Where a change failed, the database gave the whole transaction up, and Optuna tries some changes again: alone,
    in a transaction that it would commit without the changes before it.
    """
    raise sqlalchemy.exc.OperationalError("BEGIN", None, RuntimeError("the transaction was given up"))
