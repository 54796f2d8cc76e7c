"""What a trained model leaves of its fold: its kept weights judged on validation and test clips, alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reno_sweeps import metrics
from reno_sweeps.records import FoldResult, Model
from reno_sweeps.training import predict
from reno_sweeps.training.data import Scale, Tensors

ANSWERS = "the model's answers to its {part} clips are no longer finite"


@dataclass(frozen=True, slots=True)
class Trained:
    """One model at its end: `weights` [1, *shape] by name, the kept ones; `head` with its `params`."""

    model: Model
    head: ModuleType
    params: Any
    weights: Mapping[str, Tensor]
    scales: Sequence[Scale | None]
    dims: tuple[int, ...]
    classes: int
    epochs: int  # trained
    best_epoch: int
    curves: Mapping[str, Sequence[float]]
    seconds: float  # of training


def result(trained: Trained, tensors: Tensors) -> FoldResult | str:
    """Scores, probabilities, curves, weights; or why there are none: its answers are not finite."""
    start = time.perf_counter()
    model, judged = trained.model, {}
    for part in ("validation", "test"):
        rows = torch.tensor(getattr(model.split, part), dtype=torch.int64, device=tensors.labels.device)
        found = _judged(trained, tensors, rows)
        if found is None:
            return ANSWERS.format(part=part)
        judged[part] = found
    counts = judged["test"]["confusion"]
    return FoldResult(
        best_epoch=trained.best_epoch,
        epochs=trained.epochs,
        seed=model.seed,
        sizes={part: len(getattr(model.split, part)) for part in ("train", "validation", "test")},
        validation=judged["validation"]["scores"],
        test=judged["test"]["scores"],
        test_f1=metrics.f1_by_class(counts) if counts.size else (),
        test_confusion=tuple(tuple(int(n) for n in row) for row in counts),
        curves={name: tuple(values) for name, values in trained.curves.items()},
        parameters=trained.head.parameter_count(trained.params, trained.dims, trained.classes),
        seconds=trained.seconds + time.perf_counter() - start,
        finished=time.time(),
        validation_probabilities=judged["validation"]["probabilities"],
        test_probabilities=judged["test"]["probabilities"],
        weights=_exported(trained),
    )


def _judged(trained: Trained, tensors: Tensors, rows: Tensor) -> dict[str, Any] | None:
    """Scores, probabilities and confusion of these clips, all empty where there are none; None: not finite."""
    if not len(rows):
        nobody = np.zeros((0, trained.classes), np.float32)
        return {"scores": {}, "probabilities": nobody, "confusion": np.zeros((0, 0), np.int64)}
    embeddings = [tensors.embeddings[encoder] for encoder in trained.model.encoders]
    dtype = next(iter(trained.weights.values())).dtype

    def batch(part: Tensor) -> tuple[Tensor, ...]:
        return predict.standardised(embeddings, trained.scales, part, dtype)

    logits = predict.logits(trained.head, trained.params, trained.weights, batch, rows)[0].cpu().numpy()
    if not np.isfinite(logits).all():
        return None
    labels = tensors.labels[rows].cpu().numpy()
    return {
        "scores": metrics.score(logits, labels),
        "probabilities": predict.probabilities(logits),
        "confusion": metrics.confusion(logits.argmax(-1), labels, trained.classes),
    }


def _exported(trained: Trained) -> dict[str, NDArray[Any]]:
    """Weights without their models axis, with the standardisation: everything that `export` needs."""
    plain = {name: w[0].cpu().numpy().copy() for name, w in trained.weights.items()}
    for position, scale in enumerate(trained.scales):
        if scale is not None:
            plain[f"standardize.{position}.mean"] = scale.mean.cpu().numpy()
            plain[f"standardize.{position}.std"] = scale.std.cpu().numpy()
    return plain
