"""What models learn from: embeddings and labels as tensors, and each model's own standardisation of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FLOOR = 1e-6  # of a deviation: real encoders have dimensions that hardly move (2e-9); method.md, section 4
LIMIT = 10.0  # standardised values are clipped to ± this


@dataclass(frozen=True, slots=True)
class Data:
    """A corpus as numbers: embeddings by encoder id, float32 [n, D]; labels [n], numbers of `classes`."""

    embeddings: Mapping[str, NDArray[np.float32]]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def dims(self, encoders: Sequence[str]) -> tuple[int, ...]:
        """Width of each encoder's embedding."""
        return tuple(int(self.embeddings[encoder].shape[1]) for encoder in encoders)


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and deviation of every entry of one encoder's embedding, float64 [D]."""

    mean: Tensor
    std: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(x − μ)/max(σ, 1e-6), clipped to ±10, in float64: x […, D]."""
        return ((x.double() - self.mean) / self.std.clamp(min=FLOOR)).clamp(-LIMIT, LIMIT)


def measure(embedding: NDArray[Any], rows: Sequence[int], device: str = "cpu") -> Scale:
    """The scale of one encoder on these rows alone: embedding [n, D]; rows are a fold's training clips."""
    seen = np.asarray(embedding)[np.asarray(rows, np.int64)]
    mean, std = seen.mean(0, dtype=np.float64), seen.std(0, dtype=np.float64)
    return Scale(torch.from_numpy(mean).to(device), torch.from_numpy(std).to(device))


def tensors(data: Data, device: str) -> tuple[dict[str, Tensor], Tensor]:
    """Embeddings by encoder [n, D] and labels [n] on the device, once for a cohort; on a CPU nothing is copied."""
    with warnings.catch_warnings():
        # Stores hand out read-only memory, which torch warns of; nothing here ever writes to it.
        warnings.simplefilter("ignore", UserWarning)
        embeddings = {encoder: torch.from_numpy(x).to(device) for encoder, x in data.embeddings.items()}
        return embeddings, torch.from_numpy(np.asarray(data.labels, np.int64)).to(device)
