"""Runs that were deleted in MLflow's UI: it keeps them, and their artifacts, until somebody removes them for good."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

from mlflow.entities import LifecycleStage, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tracking.store import connect, exists, trouble

_PAGE = 1000  # runs a search


def deleted(tracking_uri: str) -> list[dict[str, Any]]:
    """The deleted runs of a home's own store: run_id, name, experiment, deleted_ms, and the folder of its artifacts.

    The folder is None where artifacts lie in another store than this disk. A store that does not exist has none.
    """
    if not exists(tracking_uri):
        return []
    client = connect(tracking_uri)
    rows, token = [], None
    with trouble("the deleted runs cannot be read"):
        known = {str(e.experiment_id): e.name for e in client.search_experiments(view_type=ViewType.ALL)}
        while known:
            page = client.search_runs(
                list(known), run_view_type=ViewType.DELETED_ONLY, max_results=_PAGE, page_token=token
            )
            rows += [_row(run, known[run.info.experiment_id]) for run in page]
            token = page.token
            if not token:
                break
    return rows


def purge(tracking_uri: str, run_ids: Collection[str], artifact_root: Path) -> int:
    """Remove deleted runs for good, artifacts below `artifact_root` first; how many. One that was restored stays."""
    store = SqlAlchemyStore(tracking_uri, str(artifact_root))
    gone = 0
    for run_id in run_ids:
        try:
            run = store.get_run(run_id)
        except MlflowException:  # somebody else was faster
            continue
        if run.info.lifecycle_stage != LifecycleStage.DELETED:
            continue
        with trouble(f"run {run_id} cannot be removed"):
            folder = _folder(run)
            if folder is not None and folder.resolve().is_relative_to(artifact_root.resolve()):
                shutil.rmtree(folder.parent, ignore_errors=True)
            store._hard_delete_run(run_id)  # what `mlflow gc` calls
            gone += 1
    return gone


def _row(run: Any, experiment: str) -> dict[str, Any]:
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "experiment": experiment,
        "deleted_ms": run.info.end_time or run.info.start_time,
        "folder": _folder(run),
    }


def _folder(run: Any) -> Path | None:
    """…/<run id>/artifacts on this disk; None for every other shape of address."""
    uri = str(run.info.artifact_uri or "")
    path = Path(url2pathname(uri.removeprefix("file://"))) if uri.startswith(("/", "file:///")) else None
    whole = path is not None and path.parts[-2:] == (run.info.run_id, "artifacts")
    return path if whole else None
