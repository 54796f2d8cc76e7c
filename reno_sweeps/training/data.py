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
    """Mean and deviation of every entry of one encoder's embedding, float64 [D]; of stacked models [models, 1, D]."""

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


def together(scales: Sequence[Scale | None]) -> Scale | None:
    """The scales of one encoder in each of several models, as one: [models, 1, D]; None where there are none."""
    own = [scale for scale in scales if scale is not None]
    if not own:
        return None
    return Scale(*(torch.stack([getattr(scale, name) for scale in own])[:, None] for name in ("mean", "std")))


class Tensors:
    """A corpus on a device, once for all models: embeddings by encoder [n, D], labels [n]; on a CPU nothing is copied.

    Scales are measured once for each encoder and training part: the trials of a fold share it.
    """

    def __init__(self, data: Data, device: str) -> None:
        with warnings.catch_warnings():
            # Stores hand out read-only memory, which torch warns of; nothing here ever writes to it.
            warnings.simplefilter("ignore", UserWarning)
            self.embeddings = {encoder: torch.from_numpy(x).to(device) for encoder, x in data.embeddings.items()}
            self.labels = torch.from_numpy(np.asarray(data.labels, np.int64)).to(device)
        self._data, self._device = data, device
        self._scales: dict[tuple[str, tuple[int, ...]], Scale] = {}

    def scale(self, encoder: str, rows: tuple[int, ...]) -> Scale:
        """The encoder's scale on these rows."""
        if (encoder, rows) not in self._scales:
            self._scales[encoder, rows] = measure(self._data.embeddings[encoder], rows, self._device)
        return self._scales[encoder, rows]
