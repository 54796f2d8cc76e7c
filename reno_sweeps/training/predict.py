"""A trained head's answers, in evaluation: the one way for validation, test and the models that are served."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reno_sweeps.training.data import Scale
from reno_sweeps.training.dropout import keep

CHUNK = 256  # rows at a time, of all models together: bounds memory; for one model always the same, as are its bits
LEAST = 32  # rows at a time of each model

Batch = Callable[[Tensor], tuple[Tensor, ...]]  # row numbers → each encoder's standardised inputs [models, rows, D]


def logits(head: ModuleType, params: Any, weights: Mapping[str, Tensor], batch: Batch, rows: Tensor) -> Tensor:
    """Logits [models, rows, classes]: weights [models, *shape], rows [rows] of all or [models, rows] of each."""
    with torch.no_grad():
        found = [head.apply(params, weights, batch(part), keep).logits for part in _parts(weights, rows)]
    return torch.cat(found, 1)


def features(head: ModuleType, params: Any, weights: Mapping[str, Tensor], batch: Batch, rows: Tensor) -> Tensor | None:
    """What the head makes of its inputs before the classifier, [models, rows, …]; None: it classifies them as they are.

    Arguments as in `logits`.
    """
    with torch.no_grad():
        found = [head.apply(params, weights, batch(part), keep).features for part in _parts(weights, rows)]
    return None if found[0] is None else torch.cat(found, 1)


def _parts(weights: Mapping[str, Tensor], rows: Tensor) -> Sequence[Tensor]:
    models = len(next(iter(weights.values())))
    return torch.split(rows, max(CHUNK // models, LEAST), dim=-1)


def probabilities(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Softmax of logits [n, classes], in float64, kept as float32."""
    wide = scores.astype(np.float64)
    powers = np.exp(wide - wide.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def standardised(
    embeddings: Sequence[Tensor], scales: Sequence[Scale | None], rows: Tensor, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """The rows of each encoder's embedding [n, D], on the models' scale: [models, rows, D] each.

    `rows` [rows] for one model, [models, rows] for several, whose scales are then [models, 1, D].
    """
    picked = [x[rows] for x in embeddings]
    scaled = [x if scale is None else scale(x) for x, scale in zip(picked, scales, strict=True)]
    return tuple(x.to(dtype).view(-1, *x.shape[-2:]) for x in scaled)
