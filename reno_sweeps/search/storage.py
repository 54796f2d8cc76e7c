"""Optuna's storage opened: made where there is none, refused where its schema is another's, its errors in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
import sqlalchemy.exc
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import Engine, make_url

from reno_sweeps.records import UserError

WAIT = 60  # seconds that a write waits for another process's write to a local SQLite file
ANSWERS = 10  # seconds that a database server has for a connection
_LIBPQ = {"connect_timeout": ANSWERS, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_MAKING = 0x72656E6F  # 'reno': the advisory lock under which a fresh database gets its tables
_VERSION, _OPTUNAS = "alembic_version", "version_info"  # tables: every program's schema version; Optuna's own
_ALL = {_VERSION, _OPTUNAS}  # Optuna makes the first of them last


def open_storage(url: str) -> RDBStorage:
    """The storage behind an SQLAlchemy URL; a StorageError where it cannot be used as it is.

    A schema of another Optuna is never changed: a database has other users.
    """
    with explained(url):
        options = _options(url)
        if is_local(url):
            return RDBStorage(url, engine_kwargs=options)
        engine = sqlalchemy.create_engine(url, **options)
        try:
            if _tables(engine) != _ALL:
                _make(engine, url, options)
            _refuse_foreign(engine, url)
        finally:
            engine.dispose()
        storage = RDBStorage(url, engine_kwargs=options, skip_compatibility_check=True, skip_table_creation=True)
        _refuse_other_schema(storage, url)
        return storage


def is_local(url: str) -> bool:
    """Whether it is a file of one user's, an SQLite database."""
    return url.startswith("sqlite")


def is_empty(url: str) -> bool:
    """Whether a local storage has no file, or one without a byte: opening it makes tables. None is opened here."""
    place = make_url(url).database if is_local(url) else None
    if not place or place.startswith("file:"):
        return False
    file = Path(place)
    return not file.is_file() or not file.stat().st_size


def _options(url: str) -> dict[str, Any]:
    if is_local(url):
        return {"connect_args": {"timeout": WAIT}}
    made = make_url(url)
    libpq = made.get_backend_name() == "postgresql" and made.get_driver_name() in {"psycopg", "psycopg2"}
    connection: dict[str, Any] = {**_LIBPQ, "application_name": "reno-sweeps"} if libpq else {}
    if made.get_driver_name() == "psycopg":
        connection["prepare_threshold"] = None  # poolers that share connections know no prepared statements
    # What is read under a lock must be what others committed before it, whatever the server's default is.
    return {"pool_pre_ping": True, "isolation_level": "READ COMMITTED", "connect_args": connection}


def _tables(engine: Engine) -> set[str]:
    return set(sqlalchemy.inspect(engine).get_table_names()) & {_VERSION, _OPTUNAS}


def _make(engine: Engine, url: str, options: dict[str, Any]) -> None:
    """Optuna's tables in an empty database; a driver that comes while another makes them waits until all are there."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MAKING})
        if not _tables(engine):
            RDBStorage(url, engine_kwargs=options).engine.dispose()


def _refuse_foreign(engine: Engine, url: str) -> None:
    if _OPTUNAS not in _tables(engine):
        raise StorageError(
            f"the database {shown(url)} holds another program's tables, such as MLflow's, and no studies\n"
            "give Optuna's storage a database of its own: createdb optuna"
        )


def _refuse_other_schema(storage: RDBStorage, url: str) -> None:
    has, wants = storage.get_current_version(), storage.get_head_version()
    if has == wants:
        return
    if has in storage.get_all_versions():
        raise StorageError(
            f"the study's storage {shown(url)} has the schema of an older Optuna ({has}; this one has {wants})\n"
            f"agree with its other users, keep a copy, then: optuna storage upgrade --storage {shown(url)}"
        )
    raise StorageError(
        f"the study's storage {shown(url)} has a schema ({has}) that this Optuna does not know: a newer one's, or\n"
        "another program's; install the Optuna of its other users, or give a database of its own"
    )


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Storage errors in one line: the storage cannot be opened, is full, is read-only, or is damaged."""
    try:
        yield
    except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        cause = error.__cause__ or error
        raise StorageError(f"the study's storage {shown(url)} does not work: {_line(cause)}") from error
    except ModuleNotFoundError as error:
        advice = '\npip install "reno-sweeps[postgres]"' if str(error.name).startswith("psycopg") else ""
        raise StorageError(f"the study's storage {shown(url)} cannot be used: {_line(error)}{advice}") from error
    except (ImportError, RuntimeError) as error:  # no driver for the URL; a schema of another Optuna
        raise StorageError(f"the study's storage {shown(url)} cannot be used: {_line(error)}") from error


def shown(url: str) -> str:
    """Without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url


def passing(error: BaseException) -> bool:
    """Whether a storage error may pass: the connection was lost, the server restarts, a lock was not given."""
    cause = error.__cause__
    if isinstance(cause, StorageInternalError):
        cause = cause.__cause__
    kinds = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.TimeoutError)
    return isinstance(cause, kinds) or bool(getattr(cause, "connection_invalidated", False))


def _line(error: BaseException) -> str:
    said = str(getattr(error, "orig", error)).splitlines()
    return said[0] if said else type(error).__name__


class StorageError(UserError):
    """The truth cannot be read or written: the sweep stops at once, and goes on with resume."""


class TakenOverError(StorageError):
    """Another driver has what this one was training: it seemed dead."""
