"""What MLflow should hold of a sweep, as plain data: one row a run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tracking import names

Value = str | int | float | bool | None
Point = tuple[str, float, int, int]  # metric, value, timestamp in ms, step
Table = Mapping[str, Sequence[Value]]  # columns of equal length

_FORMAT = 1  # raise it when the same row comes to be written differently: every run is then written again


@dataclass(frozen=True, slots=True)
class Dataset:
    """The data that a sweep trained on; the UI lists it as the run's dataset."""

    name: str
    digest: str  # MLflow keeps 36 characters
    source: str  # where it lies
    source_type: str = "local"
    schema: str | None = None  # JSON
    profile: str | None = None  # JSON: clips, speakers, classes
    context: str = "training"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. The same row gives the same digest, so it is written once however often it is sent.

    Timestamps are facts of the row (when the epoch ended), not of the writing: a point sent twice is one point.
    """

    key: str  # unique among the sweep's runs
    kind: str  # trial, baselines, nested, refit, winner, fold
    status: str  # SCHEDULED (waits to go on), RUNNING, FINISHED, FAILED, KILLED
    start_ms: int
    end_ms: int | None = None
    name: str | None = None  # what the UI shows; None: the key
    params: Mapping[str, Value] = field(default_factory=dict)
    metrics: Sequence[Point] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)  # artifact path → columns
    texts: Mapping[str, str] = field(default_factory=dict)  # artifact path → content
    files: Mapping[str, Path] = field(default_factory=dict)  # artifact path → a file to copy
    datasets: Sequence[Dataset] = ()
    parent: str | None = names.PARENT_KEY  # key of the run above; None only for the sweep's own run

    def digest(self, above: str | None) -> str:
        """SHA-256 of the row as it is written under the run with id `above`."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain["files"] = {path: hashlib.sha256(file.read_bytes()).hexdigest() for path, file in self.files.items()}
        plain["datasets"] = [dataclasses.asdict(dataset) for dataset in self.datasets]
        text = json.dumps({**plain, "above": above, "format": _FORMAT}, sort_keys=True, default=_plain)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SweepRow:
    """The sweep's parent run, and the experiment in which it lies."""

    identity: str  # the same question has the same identity
    name: str
    experiment: str
    start_ms: int
    status: str = "RUNNING"
    end_ms: int | None = None
    params: Mapping[str, Value] = field(default_factory=dict)
    metrics: Sequence[Point] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""  # Markdown, shown as the run's description
    texts: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    datasets: Sequence[Dataset] = ()
    primary_metric: str | None = None  # what the experiment's charts and the sweep's view are sorted by
    minimize: bool = False  # a lower primary metric is better
    columns: Sequence[str] = ()  # what the sweep's view shows: 'metrics.val_macro_f1', 'params.renyi.beta'

    def run(self) -> RunRow:
        """The parent run as a row like the others. A note too long for a tag is whole in note.md."""
        notes = {names.NOTE: self.note} if self.note else {}
        files = {names.NOTE_FILE: self.note} if self.note else {}
        return RunRow(
            key=names.PARENT_KEY,
            kind=names.SWEEP_KIND,
            status=self.status,
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            name=self.name,
            params=self.params,
            metrics=self.metrics,
            tags={**notes, **self.tags},
            tables=self.tables,
            texts={**files, **self.texts},
            files=self.files,
            datasets=self.datasets,
            parent=None,
        )


@dataclass(frozen=True, slots=True)
class OpenSweep:
    """Where a sweep is found in MLflow."""

    experiment_id: str
    parent_run_id: str


def table_json(columns: Table) -> str:
    """A table as MLflow stores it (`log_table`, `load_table`): JSON, split into columns and rows; NaN is null."""
    rows = [[None if cell != cell else cell for cell in row] for row in zip(*columns.values(), strict=True)]  # noqa: PLR0124 - only NaN differs from itself
    return json.dumps({"columns": list(columns), "data": rows}, default=_plain)


def _plain(value: object) -> object:
    """Mappings and NumPy's scalars for `json`, recognised without importing NumPy."""
    if isinstance(value, Mapping):
        return dict(value)
    if callable(item := getattr(value, "item", None)):
        return item()
    if isinstance(value, Sequence):
        return list(value)
    return str(value)
