"""MLflow's store in a database that has other users: made where there is none, never migrated by us."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy
import sqlalchemy.exc
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config, _get_latest_schema_revision
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.pool import NullPool

from tracking.errors import TrackingError, one_line, without_credentials

ARTIFACTS = "MLFLOW_DEFAULT_ARTIFACT_ROOT"  # as `mlflow server` reads it: where new experiments keep artifacts
_SCHEMES = ("postgresql", "mysql", "mssql")
_MAKING = 0x6D6C666C  # 'mlfl': the advisory lock under which an empty database gets its tables


def is_database(tracking_uri: str) -> bool:
    """Whether MLflow's tables lie in a database server that we talk to ourselves."""
    return tracking_uri.partition(":")[0].partition("+")[0] in _SCHEMES


def artifact_place(artifact_root: Path) -> str:
    """Where experiments that we create in a database keep artifacts: MLFLOW_DEFAULT_ARTIFACT_ROOT, or the home."""
    return os.environ.get(ARTIFACTS) or str(artifact_root.resolve())


def refuse_unreachable(location: str) -> None:
    """Artifacts in S3 need boto3: say so before the first one is written."""
    if location.startswith("s3://") and find_spec("boto3") is None:
        raise TrackingError(f'artifacts lie at {location}, and boto3 is not installed; pip install "reno-sweeps[s3]"')


def prepare(tracking_uri: str, artifact_root: Path) -> None:
    """See that the database holds this MLflow's tables. `TrackingError` where it holds others.

    MLflow itself would migrate an older store as soon as it lacks a table, under its other users' feet.
    """
    _refuse_without_driver(tracking_uri)
    refuse_unreachable(artifact_place(artifact_root))
    with _trouble(tracking_uri), _connected(tracking_uri) as connection:
        revision = _revision(connection)
        if revision is None:
            revision = _make(connection, tracking_uri, artifact_root)
        connection.rollback()
    latest = _get_latest_schema_revision()
    if revision == latest:
        return
    shown = without_credentials(tracking_uri)
    if revision in _revisions():
        advice = f"agree with its other users, keep a copy, then: mlflow db upgrade {shown}"
        raise TrackingError(f"the store {shown} has the schema of an older MLflow ({revision}); {advice}")
    advice = "install the MLflow of its other users, or give MLflow a database of its own: createdb mlflow"
    raise TrackingError(f"the database {shown} has a schema ({revision}) that is no MLflow's known here; {advice}")


def _make(connection: Connection, uri: str, artifact_root: Path) -> str | None:
    """MLflow's tables; of several processes that find an empty database one makes them, the others wait."""
    if connection.dialect.name == "postgresql":
        connection.rollback()
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MAKING})
    revision = _revision(connection)
    if revision is None:
        SqlAlchemyStore(uri, artifact_place(artifact_root))._dispose_engine()
        SqlAlchemyStore._engine_map.pop(uri, None)
        revision = _revision(connection)
    return revision


def _revision(connection: Connection) -> str | None:
    revision: str | None = MigrationContext.configure(connection).get_current_revision()
    return revision


def _revisions() -> set[str]:
    script = ScriptDirectory.from_config(_get_alembic_config(db_url=""))
    return {one.revision for one in script.walk_revisions()}


@contextlib.contextmanager
def _connected(uri: str) -> Iterator[Connection]:
    engine = sqlalchemy.create_engine(uri, poolclass=NullPool, isolation_level="READ COMMITTED")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _refuse_without_driver(uri: str) -> None:
    made = make_url(uri)
    if made.get_backend_name() == "postgresql" and find_spec(made.get_driver_name()) is None:
        advice = 'pip install "reno-sweeps[postgres]"'
        raise TrackingError(f"{without_credentials(uri)} needs the driver {made.get_driver_name()}; {advice}")


@contextlib.contextmanager
def _trouble(uri: str) -> Iterator[None]:
    try:
        yield
    except sqlalchemy.exc.SQLAlchemyError as error:
        said = one_line(getattr(error, "orig", None) or error)
        raise TrackingError(f"MLflow's store {without_credentials(uri)} cannot be opened: {said}") from error


def main() -> None:
    """`python -m tracking.database`: see to the database of a server that is about to start."""
    try:
        prepare(os.environ["MLFLOW_BACKEND_STORE_URI"], Path("artifacts"))
    except TrackingError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
