"""The layers of every head as pure functions of stacked weights: weights and inputs lead with a `models` axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from reno_sweeps.heads._layout import ATTENTION_DROPOUT, CHANNELS, Layout, halved
from reno_sweeps.heads._maximum import pair_maximum, window_maximum

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
    first = _bias_relu(weights, f"{name}.conv1", _halve(_convolve(weights, f"{name}.conv1", x[..., None])))
    second = _convolve(weights, f"{name}.conv2", first)
    return _bias_relu(weights, f"{name}.conv2", _halve(second) if positions is None else _pool(second, positions))


def _convolve(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Conv1d, three taps, padding 1, without its bias: x [models, batch, n, inputs] → [models, batch, n, outputs].

    Channels last and one matrix product for all models: three neighbours of a position lie side by side in memory.
    """
    models, batch, n, inputs = x.shape
    padded = functional.pad(x, (0, 0, 1, 1)).view(models, batch, (n + 2) * inputs)
    neighbours = padded.unfold(-1, 3 * inputs, inputs).reshape(models, batch * n, 3 * inputs)
    taps = weights[f"{name}.weight"].flatten(1, 2)  # [models, 3·inputs, outputs]
    return torch.bmm(neighbours, taps).view(models, batch, n, -1)


def _bias_relu(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Bias and ReLU after the pooling: a maximum commutes with both, and few positions are left."""
    return (x + weights[f"{name}.bias"][:, None, None]).relu()


def _halve(x: Tensor) -> Tensor:
    """MaxPool(2) over positions: x [models, batch, n, channels] → [models, batch, n // 2, channels]; 1 stays 1."""
    return x if x.shape[2] == 1 else pair_maximum(x)


def _pool(x: Tensor, positions: int) -> Tensor:
    """MaxPool(2), then adaptive max-pool to `positions` with torch.nn.functional.adaptive_max_pool1d's windows.

    x [models, batch, n, channels]; a maximum of maxima is one maximum, over windows twice as wide.
    """
    return window_maximum(x, _windows(x.shape[2], positions, x.device))


@cache
def _windows(n: int, positions: int, device: torch.device) -> Tensor:
    """The rows of every window, [positions, widest]; shorter windows repeat their last row, small n repeats windows."""
    pairs, width = halved(n), 2 if n > 1 else 1
    step = torch.arange(positions, device=device)
    start, end = step * pairs // positions * width, ((step + 1) * pairs + positions - 1) // positions * width
    widest = int((end - start).max())
    return torch.minimum(start[:, None] + torch.arange(widest, device=device), end[:, None] - 1)
