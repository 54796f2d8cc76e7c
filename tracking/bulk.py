"""A fresh run's metrics in two statements, where MLflow's store is a database that we talk to ourselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy
from mlflow import MlflowClient
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tracking.rows import Point

_COLUMNS = {"run_uuid", "key", "value", "timestamp", "step", "is_nan"}  # of both tables: MLflow 3.17


class Metrics:
    """Writes the first metrics of runs. MLflow builds an object a point and asks for each key: ten times the work."""

    def __init__(self, client: MlflowClient) -> None:
        self._store: Any = getattr(getattr(client, "_tracking_client", None), "store", None)
        tables = (SqlMetric.__table__, SqlLatestMetric.__table__)
        known = all({column.name for column in table.columns} == _COLUMNS for table in tables)
        self.usable = known and isinstance(self._store, SqlAlchemyStore)

    def insert(self, run_id: str, points: Sequence[Point]) -> None:
        """Write all metrics of a run that has none, all or none of them. Errors are MLflow's own."""
        if not points:
            return
        rows = list({tuple(row.values()): row for row in (self._row(run_id, point) for point in points)}.values())
        latest: dict[str, dict[str, Any]] = {}
        for row in rows:  # as MLflow has it: the last step, of its points the latest, of these the largest
            last = latest.setdefault(row["key"], row)
            if _age(row) > _age(last):
                latest[row["key"]] = row
        with self._store.ManagedSessionMaker(read_only=False) as session:
            session.execute(sqlalchemy.insert(SqlMetric), rows)
            session.execute(sqlalchemy.insert(SqlLatestMetric), list(latest.values()))

    def _row(self, run_id: str, point: Point) -> dict[str, Any]:
        key, plain, timestamp, step = point
        is_nan, value = self._store.sanitize_metric_value(plain)
        return {
            "run_uuid": run_id, "key": key, "value": value, "timestamp": timestamp, "step": step, "is_nan": is_nan
        }  # fmt: skip


def _age(row: dict[str, Any]) -> tuple[int, int, float]:
    return row["step"], row["timestamp"], row["value"]
