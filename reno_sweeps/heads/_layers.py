"""The layers of every head as pure functions of stacked weights: weights and inputs lead with a `models` axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from reno_sweeps.heads import _pooled
from reno_sweeps.heads._layout import ATTENTION_DROPOUT, CHANNELS, Layout

Weights = Mapping[str, Tensor]  # name → [models, *shape]


class Dropout(Protocol):
    """Dropout from outside: the identity in evaluation, masks from each model's own generator in training."""

    def __call__(self, x: Tensor, rate: float | None = None) -> Tensor:
        """`x` [models, …] with entries dropped at `rate`, None: at each model's `training.dropout`."""
        ...


class Output(NamedTuple):
    """What a head says of a batch."""

    logits: Tensor  # [models, batch, classes]
    aligned: tuple[Tensor, Tensor] | None = None  # [models, batch, align.width] of encoder a and b: the divergence's
    features: Tensor | None = None  # [models, batch, …] what the head made of its inputs, before the classifier


def draw(layout: Layout, generator: torch.Generator, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """One model's initial weights: PyTorch's layer defaults, drawn in float32 so that every precision starts alike."""
    weights = {}
    for name, entry in layout.items():
        weight = torch.full(entry.shape, entry.fill)
        if entry.bound:
            weight.uniform_(-entry.bound, entry.bound, generator=generator)
        weights[name] = weight.to(dtype or torch.float32)
    return weights


def dense(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Linear layer: x [models, …, inputs] → [models, …, outputs]."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    return torch.baddbmm(bias[:, None], flat, weight).view(*x.shape[:-1], -1)


def attend(weights: Weights, name: str, x: Tensor, heads: int, drop: Dropout) -> Tensor:
    """LN(X + MSA(X)), MSA of `heads` heads, softmax(QKᵀ/√d)V: x [models, batch, tokens, width] → the same shape.

    The residual is not an ornament: without it tokens lose their identity and nothing is learned (method.md, 2).
    """
    models, batch, tokens, width = x.shape
    share = width // heads
    qkv = dense(weights, f"{name}.inner", x).view(models, batch, tokens, 3, heads, share)
    query, key, value = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)  # each [models, batch, heads, tokens, share]
    affinity = (query / math.sqrt(share)) @ key.transpose(-1, -2)
    mixed = drop(affinity.softmax(-1), ATTENTION_DROPOUT) @ value
    seen = dense(weights, f"{name}.outer", mixed.transpose(2, 3).reshape(models, batch, tokens, width))
    return normalise(weights, f"{name}.norm", x + seen)


def normalise(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Layer norm over the last axis: x [models, batch, tokens, width]."""
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return functional.layer_norm(x, x.shape[-1:]) * scale[:, None, None] + shift[:, None, None]


def classify(weights: Weights, x: Tensor, drop: Dropout) -> Tensor:
    """The classifier block: x [models, batch, inputs] → logits [models, batch, classes]."""
    wide = drop(dense(weights, "classifier.0", x).relu())
    narrow = drop(dense(weights, "classifier.1", wide).relu())
    return dense(weights, "classifier.2", narrow)


def trunk(weights: Weights, name: str, kind: str, positions: int | None, x: Tensor, drop: Dropout) -> Tensor:
    """An embedding becomes tokens: x [models, batch, D] → [models, batch, positions, 64]; None: no adaptive pool."""
    if kind == "linear":
        return dense(weights, f"{name}.tokens", drop(x)).relu().view(*x.shape[:2], -1, CHANNELS)
    halves = _pooled.first(x, weights[f"{name}.conv1.weight"])
    pooled = _pooled.second(_bias_relu(weights, f"{name}.conv1", halves), weights[f"{name}.conv2.weight"], positions)
    return _bias_relu(weights, f"{name}.conv2", pooled)


def _bias_relu(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Bias and ReLU after the pooling: a maximum commutes with both, and few positions are left."""
    return (x + weights[f"{name}.bias"][:, None, None]).relu()
