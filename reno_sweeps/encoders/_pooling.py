"""From a clip's frames to its vector: the mean over time, and the deviation where it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def moments(states: Sequence[Tensor], pooling: str) -> NDArray[np.float64]:
    """Mean [pieces, 1, dim], or mean and variance [pieces, 2, dim], over the frames of states [frames, dim]."""
    import torch

    rows = [state.float() for state in states]
    found = [torch.stack([row.mean(dim=0)]) for row in rows]
    if pooling == "mean+std":
        found = [torch.cat([m, row.var(dim=0, correction=0)[None]]) for m, row in zip(found, rows, strict=True)]
    array: NDArray[np.float64] = torch.stack(found).cpu().double().numpy()
    return array


def joined(parts: Sequence[tuple[int, NDArray[np.float64]]]) -> NDArray[np.float32]:
    """The vector of a clip from the frames and moments [1 or 2, dim] of its pieces, every frame counting alike."""
    import numpy as np

    frames = np.asarray([count for count, _ in parts], np.float64)
    weights, found = (frames / frames.sum())[:, None], np.stack([moment for _, moment in parts])
    mean = (weights * found[:, 0]).sum(axis=0)
    if found.shape[1] == 1:
        vector: NDArray[np.float32] = mean.astype(np.float32)
        return vector
    variance = (weights * (found[:, 1] + (found[:, 0] - mean) ** 2)).sum(axis=0)
    return np.concatenate([mean, np.sqrt(variance)]).astype(np.float32)
