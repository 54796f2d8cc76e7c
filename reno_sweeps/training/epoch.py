"""An epoch of stacked models under way: which clips each batch has, and the losses so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from reno_sweeps.training.member import Member, padded


@dataclass(slots=True)
class Epoch:
    """What is left of it can be trained later, and by a part of its models: in either case as if nothing had been."""

    rows: Tensor  # [models, most] clips in the order of their turn
    present: Tensor  # [models, most] which of them are the model's own
    rates: Tensor  # learning rates, float64 [models]
    shortest: int  # clips of the model with fewest
    done: int = 0  # clips of each model that have had their turn
    sums: dict[str, Tensor] = field(default_factory=dict)  # parts of the objective, over the clips so far: [models]

    @classmethod
    def of(cls, members: Sequence[Member], device: str, multiple: int) -> Epoch:
        """The members' next one, its length a multiple."""
        parts = [member.shuffled() for member in members]
        rows, present = padded(parts, device, multiple=multiple)
        rates = torch.tensor([member.rate for member in members], dtype=torch.float64, device=device)
        return cls(rows, present, rates, min(map(len, parts)))

    def note(self, found: Mapping[str, Tensor], there: Tensor) -> None:
        """A step's means over its clips [models], and which clips of the batch were the models' own."""
        counts = there.sum(1)
        sums = {name: torch.where(counts > 0, value.double() * counts, 0) for name, value in found.items()}
        self.sums = {name: value + self.sums.get(name, 0) for name, value in sums.items()}
        self.done += there.shape[1]

    def means(self) -> dict[str, list[float]]:
        """Of every part of the objective, of each model: the one wait for the device in an epoch of training."""
        table = torch.stack([*self.sums.values(), self.present.sum(1).double()]).cpu().tolist()
        return {
            name: [v / n for v, n in zip(row, table[-1], strict=True)]
            for name, row in zip(self.sums, table[:-1], strict=True)
        }

    def part(self, index: Tensor) -> Epoch:
        """Of the models at these places."""
        own = {name: value[index] for name, value in self.sums.items()}
        return replace(self, rows=self.rows[index], present=self.present[index], rates=self.rates[index], sums=own)
