"""Opening MLflow's store: a home's own SQLite file, a server or a database; quickly, or with the reason why not."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sqlite3
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service.utils import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from tracking import database
from tracking.errors import TrackingError, one_line, without_credentials

_ANSWER_WITHIN = 5  # seconds that a server has for its first answer; name lookup and connection have as many each
_ABANDONED = 600  # seconds after which nobody is still making a store
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_SQLITE = "sqlite:///"


def connect(tracking_uri: str, artifact_root: Path | None = None) -> MlflowClient:
    """A client of a store that answers. A SQLite file that is not there yet is created, with its artifacts'
    root; a server that does not answer within seconds is a `TrackingError`.
    """
    _hush()
    if tracking_uri.startswith(_SQLITE):
        _prepare_sqlite(sqlite_file(tracking_uri), artifact_root)
    else:
        _knock(tracking_uri)
        if database.is_database(tracking_uri):
            database.prepare(tracking_uri, artifact_root or Path("artifacts"))
    client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    with trouble(f"MLflow at {without_credentials(tracking_uri)} cannot be opened"):
        client.search_experiments(max_results=1)
    return client


def exists(tracking_uri: str) -> bool:
    """Whether there is a store to read; False only for a SQLite file that was never made."""
    return not tracking_uri.startswith(_SQLITE) or sqlite_file(tracking_uri).exists()


def sqlite_file(tracking_uri: str) -> Path:
    """The file behind 'sqlite:///…'."""
    return Path(tracking_uri.removeprefix(_SQLITE))


@contextlib.contextmanager
def trouble(what: str) -> Iterator[None]:
    """MLflow's, the database's and the disk's errors as one `TrackingError`: '<what>: <reason>'."""
    try:
        yield
    except MlflowException as error:
        raise TrackingError(f"{what}: {_advice(error) or one_line(error.message)}") from error
    except sqlalchemy.exc.DBAPIError as error:  # MLflow hands these on while it makes its tables
        raise TrackingError(f"{what}: {one_line(error.orig or error)}") from error
    except OSError as error:
        raise TrackingError(f"{what}: {one_line(error)}") from error


def _advice(error: MlflowException) -> str | None:
    if "out-of-date database schema" in str(error.message):
        return "another MLflow release made it; keep a copy and run: mlflow db upgrade URI"
    return None


def _hush() -> None:
    """Keep from stderr what also rises as an exception and is said once: retries, tracebacks of a locked file."""
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # MLflow inserts points that are there, then asks which


# --- SQLite -------------------------------------------------------------------------------------------------


def _prepare_sqlite(file: Path, artifact_root: Path | None) -> None:
    """See that the file is there and can be written. It appears whole: made under another name, then linked."""
    what = f"MLflow's store {file} cannot be opened"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for leftover in file.parent.glob(f".{file.name}.*"):
            with contextlib.suppress(FileNotFoundError):  # whoever makes it has done so this moment
                old = leftover.stat().st_mtime < time.time() - _ABANDONED
                if old or not _lives(leftover.name[len(file.name) + 2 :]):  # a kill came while it was being made
                    leftover.unlink()
        if not file.exists():
            _create_sqlite(file, artifact_root or file.parent / "artifacts")
        connection = sqlite3.connect(file, timeout=10)
        with contextlib.closing(connection):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE reno_probe (one INTEGER)")  # a read-only file or disk says so here
            connection.rollback()
    except (OSError, sqlite3.Error) as error:
        raise TrackingError(f"{what}: {one_line(error)}") from error


def _create_sqlite(file: Path, artifact_root: Path) -> None:
    """Several processes that open a fresh file crash each other, and a kill half-way leaves it unusable."""
    temporary = file.with_name(f".{file.name}.{os.getpid():08x}{uuid.uuid4().hex[8:]}")
    uri = f"{_SQLITE}{temporary}"
    try:
        with trouble(f"MLflow's store {file} cannot be made"):
            SqlAlchemyStore(uri, str(artifact_root.resolve()))._dispose_engine()
        _publish(temporary, file)
    finally:
        if (engine := SqlAlchemyStore._engine_map.pop(uri, None)) is not None:
            engine.dispose()
        for leftover in file.parent.glob(f"{temporary.name}*"):
            leftover.unlink(missing_ok=True)


def _lives(unique: str) -> bool:
    """Whether the process lives whose number begins the unique part of a file's name."""
    try:
        os.kill(int(unique[:8], 16), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):  # somebody else's
        return True
    return True


def _publish(temporary: Path, file: Path) -> None:
    """Give a finished file its name unless another process was first."""
    try:
        os.link(temporary, file)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not file.exists():
            temporary.replace(file)


# --- servers ------------------------------------------------------------------------------------------------


def _knock(uri: str) -> None:
    """One quick call before MLflow's patient ones; `TrackingError` if nobody answers or lets us in."""
    parts = urllib.parse.urlsplit(uri)
    scheme = parts.scheme.split("+")[0]
    if scheme not in _PORTS:
        if scheme in {"", "file"} or "://" not in uri:
            raise TrackingError(f"{uri!r} is no tracking URI; use sqlite:///FILE, http(s)://HOST:PORT or a database's")
        return  # a plug-in's own scheme: only MLflow knows what to ask
    if scheme.startswith("http"):
        _ask(uri)
    elif parts.hostname:  # else a socket's folder is in the query
        _reach(uri, parts.hostname, parts.port or _PORTS[scheme])


def _reach(uri: str, host: str, port: int) -> None:
    """MLflow tries an unreachable database ten times with growing pauses: look first."""
    try:
        socket.create_connection((host, port), timeout=_ANSWER_WITHIN).close()
    except OSError as error:
        raise TrackingError(f"the database at {without_credentials(uri)} does not answer: {one_line(error)}") from error


def _ask(uri: str) -> None:
    """A small search with the user's own credentials, certificates and proxies: MLflow's own request, once."""
    shown = without_credentials(uri)
    body = {"max_results": 1}
    try:
        answer: Any = http_request(
            get_default_host_creds(uri), "/api/2.0/mlflow/experiments/search", "POST",
            max_retries=0, timeout=_ANSWER_WITHIN, raise_on_status=False, json=body,
        )  # fmt: skip
    except MlflowException as error:
        raise TrackingError(f"no MLflow server answers at {shown}: {_cause(error)}") from error
    if answer.status_code in {401, 403}:
        hint = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        raise TrackingError(f"the MLflow server at {shown} refuses us (HTTP {answer.status_code}); {hint}")
    if answer.status_code != 200:
        raise TrackingError(f"the server at {shown} does not answer as MLflow does (HTTP {answer.status_code})")


def _cause(error: MlflowException) -> str:
    """The operating system's words out of urllib3's long sentence."""
    text = one_line(error.message, limit=2000)
    for words in ("Connection refused", "Name or service not known", "timed out", "Network is unreachable"):
        if words.lower() in text.lower():
            return words.lower()
    return text[:200]
