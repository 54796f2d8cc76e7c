"""The mirror: makes one MLflow run hold exactly one row, however often and after whatever interruption it is asked."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from tracking import database, names
from tracking.bulk import FreshRuns
from tracking.calls import batches_of, clipped, dataset_of, point_of
from tracking.errors import RefusedError, TrackingError, one_line
from tracking.rows import OpenSweep, Point, RunRow, SweepRow, table_json
from tracking.store import connect, trouble

logger = logging.getLogger(__name__)

SCRATCH = "reno-mlflow-"  # folders of files on their way to a server: then the process, so that a dead one's are known
_PARAM_LENGTH, _TAG_LENGTH = 6000, 8000  # characters
_PAGE = 1000  # runs a search
_REFUSALS = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}  # asking again gives the same


@dataclass(slots=True)
class _Known:
    """A run that is there: what it was last seen to hold, and what this process has sent to it while it runs."""

    run_id: str
    digest: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    points: set[Point] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)  # artifact path → SHA-256 of the content
    folder: Path | None = None  # where its artifacts lie, if that is here and known
    latest: dict[str, tuple[int, int]] = field(default_factory=dict)  # metric → step and time
    fresh: bool = False  # created a moment ago: it holds its tags and nothing else


class Mirror:
    """One sweep's runs in MLflow. Not for several threads at once."""

    def __init__(self, tracking_uri: str, artifact_root: Path) -> None:
        self._uri, self._artifact_root = tracking_uri, artifact_root
        self._client: MlflowClient = None
        self._bulk: FreshRuns
        self._identity = ""
        self._experiment_id = ""
        self._known: dict[str, _Known] = {}
        self._unsure: set[str] = set()  # keys whose run may have been created by a call that was not answered

    # --- opening --------------------------------------------------------------------------------------------

    def open(self, sweep: SweepRow) -> OpenSweep:
        """Connect, find what is already there, write the parent run. `TrackingError` if MLflow cannot be used."""
        self._client = connect(self._uri, self._artifact_root)
        self._bulk = FreshRuns(self._client)
        with trouble(f"MLflow cannot open experiment {sweep.experiment!r}"):
            self._identity = sweep.identity
            self._experiment_id = self._experiment(sweep)
            self._offer_view(sweep)
            self._known = self._find_runs()
            self.write(sweep.run())
        return OpenSweep(self._experiment_id, self._known[names.PARENT_KEY].run_id)

    def _experiment(self, sweep: SweepRow) -> str:
        found = self._client.get_experiment_by_name(sweep.experiment)
        if found is not None and found.lifecycle_stage != "active":
            advice = f"restore it (mlflow experiments restore -x {found.experiment_id}) or choose another name"
            raise TrackingError(f"experiment {sweep.experiment!r} was deleted in MLflow; {advice}")
        if found is not None:
            if database.is_database(self._uri):
                database.refuse_unreachable(found.artifact_location)
            return str(found.experiment_id)
        tags = {names.EXPERIMENT_KIND: names.TRAINING_EXPERIMENT}
        if sweep.primary_metric is not None:
            tags[names.PRIMARY_METRIC] = sweep.primary_metric
        try:
            return str(self._client.create_experiment(sweep.experiment, self._location(sweep.experiment), tags))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self._client.get_experiment_by_name(sweep.experiment).experiment_id)  # another was first

    def _location(self, experiment: str) -> str | None:
        """A home's own store keeps artifacts in the home; a server decides for itself."""
        shared = database.is_database(self._uri)
        if not shared and not self._uri.startswith("sqlite:"):
            return None
        place = database.artifact_place(self._artifact_root) if shared else str(self._artifact_root.resolve())
        readable = re.sub(r"[^\w.-]+", "-", experiment).strip("-.")
        return f"{place.rstrip('/')}/{readable}-{hashlib.sha256(experiment.encode()).hexdigest()[:8]}"

    def _offer_view(self, sweep: SweepRow) -> None:
        """The UI shows no metric unless asked: a view with the sweep's trials, the best first."""
        if not sweep.columns:
            return
        state: dict[str, Any] = {
            "selectedColumns": [f"{kind}.`{name}`" for kind, _, name in (c.partition(".") for c in sweep.columns)],
            "searchFilter": f"tags.`{names.SWEEP}` = '{sweep.identity}' AND tags.`{names.KIND}` = '{names.TRIAL_KIND}'",
        }
        if sweep.primary_metric is not None:
            state |= {"orderByKey": f"metrics.`{sweep.primary_metric}`", "orderByAsc": sweep.minimize}
        self._client.set_experiment_tag(self._experiment_id, names.VIEW + names.view(sweep.identity), json.dumps(state))

    def _find_runs(self) -> dict[str, _Known]:
        """All runs of the sweep by key. Of two with one key the finished, else the earlier counts."""
        runs = sorted(self._search(), key=lambda run: (names.MIRRORED not in run.data.tags, *_age(run)))
        known: dict[str, _Known] = {}
        for run in runs:
            key = run.data.tags[names.KEY]
            if key in known:
                self._set_aside(run)
            else:
                latest = {metric.key: (metric.step, metric.timestamp) for metric in run.data._metric_objs}
                digest = run.data.tags.get(names.MIRRORED)
                known[key] = _Known(run.info.run_id, digest, dict(run.data.tags), latest=latest)
        return known

    def _search(self, key: str | None = None) -> Iterator[Run]:
        query = f"tags.`{names.SWEEP}` = '{self._identity}'"
        if key is not None:
            query += f" AND tags.`{names.KEY}` = '{key}'"
        token = None
        while True:
            page = self._client.search_runs([self._experiment_id], query, max_results=_PAGE, page_token=token)
            for run in page:
                if names.KEY in run.data.tags and names.DUPLICATE not in run.data.tags:
                    yield run
            token = page.token
            if not token:
                return

    def _set_aside(self, run: Run) -> None:
        """A run that a call created without an answer reaching us: kept, but no longer one of the sweep's."""
        key, run_id = run.data.tags[names.KEY], run.info.run_id
        logger.warning("MLflow holds %r twice; run %s is marked as a duplicate", key, run_id)
        tags = {names.DUPLICATE: "true", names.KIND: names.DUPLICATE_KIND, names.RUN_NAME: f"{key} (duplicate)"}
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        self._client.set_terminated(run_id, "KILLED", run.info.end_time or run.info.start_time)

    # --- writing --------------------------------------------------------------------------------------------

    def run_id(self, key: str) -> str | None:
        """The id of a run that MLflow has; None if it was not written yet."""
        known = self._known.get(key)
        return known.run_id if known else None

    def write(self, row: RunRow) -> None:
        """Make the row's run hold it. Idempotent; `RefusedError` if MLflow will not have it."""
        above = None if row.parent is None else self._above(row)
        digest = row.digest(above)
        known = self._known.get(row.key)
        if known is not None and known.digest == digest:
            return
        try:
            if known is not None and row.key != names.PARENT_KEY and _of_another_training(known, row):
                self._client.delete_run(known.run_id)  # points are never overwritten: it would show both trainings
                del self._known[row.key]
            self._write(row, above, digest)
        except MlflowException as error:
            if error.error_code not in _REFUSALS:
                raise
            if known is None or self._alive(known.run_id):
                raise RefusedError(f"MLflow refuses {row.key or 'the sweep'!r}: {one_line(error.message)}") from error
            del self._known[row.key]  # its run was deleted by hand: a mirror is made again
            self._write(row, above, digest)

    def _above(self, row: RunRow) -> str:
        known = self._known.get(str(row.parent))
        if known is None:
            raise RefusedError(f"{row.key!r} belongs under {row.parent!r}, which is not there")
        return known.run_id

    def _write(self, row: RunRow, above: str | None, digest: str) -> None:
        tags = self._tags(row, above)
        known = self._known.get(row.key) or self._create(row, tags)
        self._put_files(known, row)
        if row.datasets:
            self._client.log_inputs(known.run_id, [dataset_of(dataset) for dataset in row.datasets])
        if row.status not in {"RUNNING", "SCHEDULED"}:
            self._client.set_terminated(known.run_id, row.status, row.end_ms)
        elif not known.fresh or row.status == "SCHEDULED":  # MLflow creates runs as running
            self._client.update_run(known.run_id, status=row.status)
        # The digest comes last, so that whatever a kill leaves half written is known as such and written again.
        self._put_batches(known, row, tags, digest)
        known.fresh = False
        known.digest = digest

    def _create(self, row: RunRow, tags: dict[str, str]) -> _Known:
        """A new run, unless an unanswered call or another driver has made it. It carries its key from the start."""
        if row.key in self._unsure or not self._uri.startswith("sqlite:"):
            made = sorted(self._search(row.key), key=_age)
        else:
            self._unsure.add(row.key)
            made = []
        run = made[0] if made else self._client.create_run(self._experiment_id, row.start_ms, tags)
        for other in made[1:]:
            self._set_aside(other)
        self._unsure.discard(row.key)
        known = _Known(run.info.run_id, tags=dict(run.data.tags), fresh=not made)
        known.folder = _folder(run.info.artifact_uri)
        return self._known.setdefault(row.key, known)

    def _tags(self, row: RunRow, above: str | None) -> dict[str, str]:
        own = {names.SWEEP: self._identity, names.KEY: row.key, names.KIND: row.kind}
        own[names.RUN_NAME] = row.name or row.key
        if above is not None:
            own[names.PARENT] = above
        if row.tables:
            own[names.TABLES] = json.dumps([{"path": path, "type": "table"} for path in row.tables])
        return {name: clipped(value, _TAG_LENGTH) for name, value in {**row.tags, **own}.items()}

    def _put_files(self, known: _Known, row: RunRow) -> None:
        """Artifacts that changed since this process last wrote them."""
        tables = {path: table_json(columns) for path, columns in row.tables.items()}
        for path, text in {**tables, **row.texts}.items():
            content = hashlib.sha256(text.encode()).hexdigest()
            if known.files.get(path) != content:
                self._put_text(known, path, text)
                known.files[path] = content
        for path, file in row.files.items():
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            if known.files.get(path) != content:
                self._put_file(known.run_id, path, file)
                known.files[path] = content

    def _put_text(self, known: _Known, path: str, text: str) -> None:
        """A text of a run: straight into its folder where that is a local one, which saves MLflow three queries."""
        if known.folder is None:
            with self._called(known.run_id, path) as file:
                file.write_text(text, encoding="utf-8")
            return
        file = known.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def _put_file(self, run_id: str, path: str, file: Path) -> None:
        with self._called(run_id, path) as copy:
            shutil.copy(file, copy)

    @contextmanager
    def _called(self, run_id: str, path: str) -> Iterator[Path]:
        """A file to be filled, which then goes up as `path`: MLflow keeps a file's own name."""
        folder = PurePosixPath(path).parent
        with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-") as temporary:
            file = Path(temporary) / PurePosixPath(path).name
            yield file
            self._client.log_artifact(run_id, str(file), None if str(folder) == "." else str(folder))

    def _put_batches(self, known: _Known, row: RunRow, tags: dict[str, str], digest: str) -> None:
        """Metrics, params and tags, the digest last. Points that this process has sent are left out."""
        points = [point for point in map(point_of, row.metrics) if point not in known.points]
        params = [Param(names.clean(name), clipped(str(value), _PARAM_LENGTH)) for name, value in row.params.items()]
        labels = [RunTag(name, value) for name, value in tags.items() if known.tags.get(name) != value]
        mirrored = RunTag(names.MIRRORED, digest)
        if known.fresh and self._bulk.usable:
            known.fresh = False  # whatever becomes of this attempt: the next one asks what is there
            self._bulk.insert(known.run_id, points, params, [*labels, mirrored])
        else:
            self._log(known.run_id, [Metric(*point) for point in points], params, labels, mirrored)
        known.tags.update(tags)
        for key, _, time, step in sorted(points, key=lambda point: point[3]):
            known.latest[key] = (step, time)
        if row.status == "RUNNING":
            known.points.update(points)
        else:  # hardly written again: need not be remembered
            known.points.clear()

    def _log(
        self, run_id: str, metrics: list[Metric], params: list[Param], labels: list[RunTag], mirrored: RunTag
    ) -> None:
        """As few calls as MLflow's limits allow. Of a call it writes the tags last: the last one has the digest."""
        batches = list(batches_of(metrics, params, labels)) or [((), (), ())]
        for batch in batches[:-1]:
            self._client.log_batch(run_id, *batch)
        *others, last = batches[-1]
        self._client.log_batch(run_id, *others, [*last, mirrored])

    def _alive(self, run_id: str) -> bool:
        try:
            return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise


def _of_another_training(known: _Known, row: RunRow) -> bool:
    """Whether a run holds a model that was trained again since: its fold's file was lost, so its times are others."""
    wanted: dict[str, set[tuple[int, int]]] = {}
    for key, _, time, step in map(point_of, row.metrics):
        wanted.setdefault(key, set()).add((step, time))
    return any(key in wanted and place not in wanted[key] for key, place in known.latest.items())


def _folder(artifact_uri: str | None) -> Path | None:
    """The folder behind an artifact URI as MLflow reads one without a scheme; None where it is another store's."""
    return Path(url2pathname(artifact_uri)) if artifact_uri and artifact_uri.startswith("/") else None


def _age(run: Run) -> tuple[int, str]:
    return run.info.start_time, run.info.run_id
