"""Our rows in MLflow's words, cut to what one call may carry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag

from tracking import names
from tracking.rows import Dataset, Point

_METRICS, _PARAMS_OR_TAGS = 1000, 99  # MLflow's limits a call are 1000 and 100: the digest has a place of its own


def batches_of(
    metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
) -> Iterator[tuple[Sequence[Metric], Sequence[Param], Sequence[RunTag]]]:
    """Cut into calls of as many params, tags and things in all as MLflow takes."""
    room = _METRICS - 2 * _PARAMS_OR_TAGS
    calls = max(_cuts(metrics, room), _cuts(params, _PARAMS_OR_TAGS), _cuts(tags, _PARAMS_OR_TAGS))
    for call in range(calls):
        few = slice(call * _PARAMS_OR_TAGS, (call + 1) * _PARAMS_OR_TAGS)
        yield metrics[call * room : (call + 1) * room], params[few], tags[few]


def _cuts(things: Sequence[Any], size: int) -> int:
    return -(-len(things) // size)


def point_of(point: Point) -> Point:
    """A metric's point with a name that MLflow takes, and plain numbers."""
    name, value, timestamp, step = point
    return names.clean(name), float(value), int(timestamp), int(step)


def clipped(text: str, length: int) -> str:
    """At most `length` characters; the cut shows."""
    return text if len(text) <= length else text[: length - 1] + "…"


def dataset_of(dataset: Dataset) -> DatasetInput:
    """A run's input, its name and digest no longer than MLflow keeps."""
    plain = dataclasses.asdict(dataset)
    context = plain.pop("context")
    entity = MlflowDataset(**{**plain, "name": dataset.name[:500], "digest": dataset.digest[:36]})
    return DatasetInput(entity, [InputTag(names.DATA_CONTEXT, context)])
