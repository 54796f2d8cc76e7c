"""A fresh run's contents in one transaction, where MLflow's store is a database that we talk to ourselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Param, RunTag
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tracking.rows import Point

_PLAIN = {"run_uuid", "key", "value"}  # columns of MLflow 3.17: of params and tags
_COLUMNS = {
    SqlMetric: _PLAIN | {"timestamp", "step", "is_nan"},
    SqlLatestMetric: _PLAIN | {"timestamp", "step", "is_nan"},
    SqlParam: _PLAIN,
    SqlTag: _PLAIN,
}


class FreshRuns:
    """Writes what runs hold that were just created.

    MLflow builds an object a point, asks for each key, and syncs the disk three times.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._store: Any = getattr(getattr(client, "_tracking_client", None), "store", None)
        known = all({c.name for c in kind.__table__.columns} == names for kind, names in _COLUMNS.items())
        self.usable = known and isinstance(self._store, SqlAlchemyStore)

    def insert(self, run_id: str, points: Sequence[Point], params: Sequence[Param], tags: Sequence[RunTag]) -> None:
        """Write metrics, params and new tags of a run that has none of them, all or none. Errors are MLflow's own."""
        rows = list({tuple(row.values()): row for row in (self._row(run_id, point) for point in points)}.values())
        latest: dict[str, dict[str, Any]] = {}
        for row in rows:  # as MLflow has it: the last step, of its points the latest, of these the largest
            last = latest.setdefault(row["key"], row)
            if _age(row) > _age(last):
                latest[row["key"]] = row
        with self._store.ManagedSessionMaker(read_only=False) as session:
            for kind, found in (
                (SqlMetric, rows),
                (SqlLatestMetric, list(latest.values())),
                (SqlParam, [_plain(run_id, param) for param in params]),
                (SqlTag, [_plain(run_id, tag) for tag in tags]),
            ):
                if found:
                    session.execute(sqlalchemy.insert(kind), found)

    def _row(self, run_id: str, point: Point) -> dict[str, Any]:
        key, plain, timestamp, step = point
        is_nan, value = self._store.sanitize_metric_value(plain)
        return {
            "run_uuid": run_id, "key": key, "value": value, "timestamp": timestamp, "step": step, "is_nan": is_nan
        }  # fmt: skip


def _age(row: dict[str, Any]) -> tuple[int, int, float]:
    return row["step"], row["timestamp"], row["value"]


def _plain(run_id: str, one: Param | RunTag) -> dict[str, str]:
    return {"run_uuid": run_id, "key": one.key, "value": one.value}
