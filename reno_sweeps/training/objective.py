"""What training minimises: λ·cross-entropy + (1−λ)·Rényi divergence; heads without aligned features the first alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from reno_sweeps import space
from reno_sweeps.heads._layers import Output
from reno_sweeps.losses import renyi
from reno_sweeps.losses.cross_entropy import cross_entropy
from reno_sweeps.losses.renyi import renyi_divergence
from reno_sweeps.space import Value


@dataclass(frozen=True, slots=True)
class Dials:
    """The floats of an objective, a number for each model: all [models]; class_weights [models, classes] or None."""

    beta: Tensor
    delta: Tensor
    balance: Tensor  # λ
    smoothing: Tensor
    symmetric: bool = False  # structure, one for all
    class_weights: Tensor | None = None


def dials(values: Mapping[str, Value], smoothing: float, class_weights: Tensor | None, device: str) -> Dials:
    """One model's dials from its values."""
    own = space.build(renyi.Params, values)
    numbers = (own.renyi_beta, own.renyi_delta, own.loss_lambda, smoothing)
    beta, delta, balance, smooth = (torch.tensor([n], dtype=torch.float64, device=device) for n in numbers)
    return Dials(beta, delta, balance, smooth, own.renyi_symmetric, class_weights)


def objective(output: Output, labels: Tensor, given: Dials) -> dict[str, Tensor]:
    """loss, cross_entropy and, where features are aligned, divergence of a batch, each [models].

    labels [models, batch].
    """
    entropy = cross_entropy(output.logits, labels, given.smoothing, given.class_weights)
    if output.aligned is None:
        return {"loss": entropy, "cross_entropy": entropy}
    beta, delta = given.beta[:, None], given.delta[:, None]
    apart = renyi_divergence(*output.aligned, beta, delta, given.symmetric).mean(-1)
    balance = given.balance.to(entropy.dtype)
    return {
        "loss": balance * entropy + (1 - balance) * apart,
        "cross_entropy": entropy,
        "divergence": apart,
    }


def balanced(labels: Tensor, classes: int) -> Tensor:
    """Weight of each class [classes], n/(classes·count), float64: labels [n] of the training part; absent classes 0."""
    counts = torch.bincount(labels, minlength=classes).double()
    return torch.where(counts > 0, len(labels) / (classes * counts.clamp(min=1)), 0.0)
