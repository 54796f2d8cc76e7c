"""Early stopping: one model's patience and its best score, next to which its best weights are kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class EarlyStop:
    """Waits `patience` epochs for a lower score (validation cross-entropy)."""

    patience: int
    best: float = float("inf")
    best_epoch: int = 0
    waited: bool = False  # long enough

    def observe(self, epoch: int, score: float) -> bool:
        """Take note of an epoch (the first is 1); whether it is the best so far: an equal or no number is not."""
        better = score < self.best
        if better:
            self.best, self.best_epoch = score, epoch
        self.waited = epoch - self.best_epoch >= self.patience
        return better
