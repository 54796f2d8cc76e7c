"""MLflow → plain rows: what a store holds of a sweep."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from tracking import names
from tracking.errors import TrackingError
from tracking.store import connect, exists, trouble

_PAGE = 1000  # runs a search


def runs(tracking_uri: str, identity: str, *, experiment: str | None = None) -> list[dict[str, Any]]:
    """All runs of a sweep, oldest first, as dictionaries: key, kind, run_id, experiment_id, parent_run_id, name,
    status, start_ms, end_ms, params, metrics (latest values), tags, datasets (name, digest). Duplicates are left out;
    a store that does not exist has none.
    """
    if not exists(tracking_uri):
        return []
    client = connect(tracking_uri)
    with trouble(f"the runs of sweep {identity!r} cannot be read"):
        found = [_row(run) for run in _search(client, identity, experiment)]
    return sorted(found, key=lambda row: (row["start_ms"], row["key"]))


def metric_history(tracking_uri: str, run_id: str, metric: str) -> list[tuple[int, float, int]]:
    """A metric's points: step, value, timestamp in ms; by step, then time."""
    client = connect(tracking_uri)
    with trouble(f"{metric!r} of run {run_id} cannot be read"):
        history = client.get_metric_history(run_id, metric)
    return sorted((point.step, point.value, point.timestamp) for point in history)


def artifact(tracking_uri: str, run_id: str, path: str) -> str:
    """A text artifact's content."""
    client = connect(tracking_uri)
    with tempfile.TemporaryDirectory() as folder, trouble(f"artifact {path!r} of run {run_id} cannot be read"):
        if not any(entry.path == path for entry in client.list_artifacts(run_id, path.rpartition("/")[0] or None)):
            raise TrackingError(f"run {run_id} has no artifact {path!r}")
        return Path(client.download_artifacts(run_id, path, folder)).read_text("utf-8")


def experiments(tracking_uri: str) -> list[dict[str, Any]]:
    """The store's experiments: id, name, artifact location, tags. A store that does not exist has none."""
    if not exists(tracking_uri):
        return []
    client = connect(tracking_uri)
    with trouble("the experiments cannot be read"):
        return [
            {
                "id": str(found.experiment_id),
                "name": found.name,
                "artifacts": found.artifact_location,
                "tags": dict(found.tags),
            }
            for found in _all_experiments(client)
        ]


def _search(client: MlflowClient, identity: str, experiment: str | None) -> Iterator[Any]:
    found = [one.experiment_id for one in _all_experiments(client) if experiment in {None, one.name}]
    if "'" in identity or not found:
        return
    token = None
    while True:
        page = client.search_runs(found, f"tags.`{names.SWEEP}` = '{identity}'", max_results=_PAGE, page_token=token)
        yield from (run for run in page if names.KEY in run.data.tags and names.DUPLICATE not in run.data.tags)
        token = page.token
        if not token:
            return


def _all_experiments(client: MlflowClient) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_experiments(page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _row(run: Any) -> dict[str, Any]:
    tags = dict(run.data.tags)
    return {
        "key": tags[names.KEY],
        "kind": tags.get(names.KIND),
        "run_id": run.info.run_id,
        "experiment_id": run.info.experiment_id,
        "parent_run_id": tags.get(names.PARENT),
        "name": run.info.run_name,
        "status": run.info.status,
        "start_ms": run.info.start_time,
        "end_ms": run.info.end_time,
        "params": dict(run.data.params),
        "metrics": dict(run.data.metrics),
        "tags": tags,
        "datasets": [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs],
    }
