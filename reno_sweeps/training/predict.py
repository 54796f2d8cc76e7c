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

CHUNK = 256  # rows at a time: bounds memory, and always the same, so that the same rows give the same bits

Batch = Callable[[Tensor], tuple[Tensor, ...]]  # row numbers → each encoder's standardised inputs [1, rows, D]


def logits(head: ModuleType, params: Any, weights: Mapping[str, Tensor], batch: Batch, rows: Tensor) -> NDArray[Any]:
    """Logits [rows, classes] of one model: weights [1, *shape]."""
    with torch.no_grad():
        found = [head.apply(params, weights, batch(part), keep).logits[0] for part in torch.split(rows, CHUNK)]
    return np.asarray(torch.cat(found).cpu().numpy())


def probabilities(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Softmax of logits [n, classes], in float64, kept as float32."""
    wide = scores.astype(np.float64)
    powers = np.exp(wide - wide.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def standardised(
    embeddings: Sequence[Tensor], scales: Sequence[Scale | None], rows: Tensor, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """The rows of each encoder's embedding [n, D], on the model's scale: [1, rows, D] each."""
    picked = [x[rows] for x in embeddings]
    scaled = [x if scale is None else scale(x) for x, scale in zip(picked, scales, strict=True)]
    return tuple(x.to(dtype)[None] for x in scaled)
