"""Early stopping for stacked models: each model's patience, best score and best weights, as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class EarlyStop:
    """Keeps the weights of the epoch with the lowest score (validation cross-entropy), model by model."""

    def __init__(self, weights: Mapping[str, Tensor], patience: Sequence[int]) -> None:
        """`weights` [models, *shape] by name; `patience`: epochs without a better score before a model stops."""
        self.weights = {name: w.detach().clone() for name, w in weights.items()}  # the best so far
        self.best = torch.full((len(patience),), float("inf"), dtype=torch.float64)
        self.best_epoch = torch.zeros(len(patience), dtype=torch.int64)
        self._patience = torch.tensor(tuple(patience))

    def observe(self, epoch: int, scores: Sequence[float], weights: Mapping[str, Tensor]) -> Tensor:
        """Take note of an epoch (the first is 1); which models [models] have waited long enough."""
        score = torch.tensor(scores, dtype=torch.float64)
        better = score < self.best
        self.best = torch.where(better, score, self.best)
        self.best_epoch = torch.where(better, epoch, self.best_epoch)
        for name, kept in self.weights.items():
            kept[better] = weights[name].detach()[better]
        return epoch - self.best_epoch >= self._patience
