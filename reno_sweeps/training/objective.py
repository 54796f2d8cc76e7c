"""What training minimises: λ·cross-entropy + (1−λ)·divergence; heads with one loss minimise that loss alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from reno_sweeps import catalogue
from reno_sweeps.space import Parameter, Value, parameters
from reno_sweeps.training.params import Params


class Objective:
    """The losses of a head with every model's own dials."""

    def __init__(
        self,
        losses: Sequence[str],
        values: Sequence[Mapping[str, Value]],
        class_weights: Tensor | None = None,
        device: str = "cpu",
    ) -> None:
        """`losses` by name, the classifier's first; `values` of each model; class_weights [models, classes]."""
        self._losses = [catalogue.load("losses", loss) for loss in losses]
        rooms = [module.Params for module in self._losses]
        known = {name: p for room in (*rooms, Params) for name, p in parameters(room).items()}
        self._dials = {name: _dial(p, values, device) for name, p in known.items() if p.default is not None}
        self._dials["class_weights"] = class_weights

    def __call__(
        self, logits: Tensor, aligned: tuple[Tensor, Tensor] | None, labels: Tensor, present: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`loss` and each of its parts by its metric's name, of a batch: each [models].

        labels [models, batch]; present [models, batch], 0 or 1: rows that count, None: all.
        """
        parts = {loss.METRIC: loss.of_batch(self._dials, logits, aligned, labels, present) for loss in self._losses}
        entropy, *others = parts.values()
        if not others:
            return {"loss": entropy, **parts}
        balance = self._dials["loss.lambda"].to(entropy.dtype)
        return {"loss": balance * entropy + (1 - balance) * sum(others), **parts}


def _dial(known: Parameter, values: Sequence[Mapping[str, Value]], device: str) -> Any:
    """Real numbers as a tensor [models], float64; anything else is structure, one value for all."""
    given = [own.get(known.name, known.default) for own in values]
    return torch.tensor(given, dtype=torch.float64, device=device) if known.kind is float else given[0]


def balanced(labels: Tensor, classes: int) -> Tensor:
    """Weight of each class [classes], n/(classes·count), float64: labels [n] of the training part; absent classes 0."""
    counts = torch.bincount(labels, minlength=classes).double()
    return torch.where(counts > 0, len(labels) / (classes * counts.clamp(min=1)), 0.0)
