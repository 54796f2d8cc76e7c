"""One model among those of a stack: what it has of its own, beside its row in every tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from reno_sweeps import space
from reno_sweeps.records import Model, seed_from
from reno_sweeps.training.data import Scale, Tensors
from reno_sweeps.training.early_stop import EarlyStop
from reno_sweeps.training.optimizer import warmed
from reno_sweeps.training.params import Params


@dataclass(slots=True)
class Member:
    """A model in training: its settings, its order of clips, how far it has come."""

    model: Model
    settings: Params
    order: torch.Generator  # of its clips
    scales: list[Scale | None]  # of its encoders
    stop: EarlyStop
    epoch: int = 0
    seconds: float = 0.0  # its share of the stack's
    curves: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, tensors: Tensors) -> Member:
        """A model that has not begun."""
        if model.epochs is None and not model.split.validation:
            raise ValueError(f"{model.key} has no validation clips to stop on and no number of epochs")
        settings = space.build(Params, model.values)
        plain = settings.training_standardize == "none"
        scales = [None if plain else tensors.scale(encoder, model.split.train) for encoder in model.encoders]
        return cls(model, settings, generator(model, "order"), scales, EarlyStop(settings.training_patience))

    @property
    def done(self) -> bool:
        """Whether the last epoch is trained."""
        if self.model.epochs is not None:
            return self.epoch >= self.model.epochs
        return self.stop.waited or self.epoch >= self.settings.training_epochs

    @property
    def rate(self) -> float:
        """The learning rate of the epoch to come."""
        return warmed(self.settings.training_lr, self.epoch + 1, self.settings.training_warmup_epochs)

    def shuffled(self) -> list[int]:
        """Its training clips in the order of the epoch to come."""
        train = self.model.split.train
        return [train[i] for i in torch.randperm(len(train), generator=self.order).tolist()]

    def note(self, metrics: Mapping[str, float]) -> bool:
        """An epoch's metrics into the curves; whether its weights are the best so far."""
        for name, value in metrics.items():
            self.curves.setdefault(name, []).append(value)
        return self.model.epochs is None and self.stop.observe(self.epoch, metrics["val_cross_entropy"])

    def diverged(self, what: str) -> str:
        """Why it cannot go on, and what may help."""
        return (
            f"epoch {self.epoch}: {what} at training.lr {self.settings.training_lr:g}; "
            "a lower training.lr or a training.grad_clip may help; check that the embeddings are finite"
        )


def generator(model: Model, purpose: str) -> torch.Generator:
    """Random numbers of one model's own, for one purpose."""
    return torch.Generator().manual_seed(seed_from(model.seed, purpose))


def padded(parts: Sequence[Sequence[int]], device: str, multiple: int = 1) -> tuple[Tensor, Tensor]:
    """Row numbers of each model [models, most], and which of them are its own; the others repeat its last."""
    most = -(-max(map(len, parts)) // multiple) * multiple
    rows = [(*part, *[part[-1] if part else 0] * (most - len(part))) for part in parts]
    present = [[i < len(part) for i in range(most)] for part in parts]
    shape = (len(parts), most)
    return (
        torch.tensor(rows, dtype=torch.int64, device=device).view(shape),
        torch.tensor(present, dtype=torch.bool, device=device).view(shape),
    )
