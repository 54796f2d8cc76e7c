"""Maxima over positions whose way back writes each winner's gradient once: faster than torch's own pooling here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def pair_maximum(x: Tensor) -> Tensor:
    """The larger of neighbours 2j and 2j+1: x [models, batch, n, channels] → [models, batch, n // 2, channels]."""
    value: Tensor = _Pairs.apply(x)  # type: ignore[no-untyped-call]
    return value


def window_maximum(x: Tensor, windows: Tensor) -> Tensor:
    """The largest row of each window: x [models, batch, n, channels], windows [positions, widest] of row numbers.

    Gives [models, batch, positions, channels]. Of equals the first has the gradient, as in torch's pooling.
    """
    value: Tensor = _Windows.apply(x, windows)  # type: ignore[no-untyped-call]
    return value


class _Pairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.length = x.shape[2]
        first, second = _pairs(x)
        ctx.save_for_backward(first >= second)
        return torch.maximum(first, second)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        (won,) = ctx.saved_tensors
        models, batch, half, channels = upstream.shape
        back = upstream.new_empty(models, batch, ctx.length, channels)
        first, second = _pairs(back)
        torch.mul(upstream, won, out=first)
        torch.sub(upstream, first, out=second)
        back[:, :, 2 * half :] = 0  # an odd last row has no partner
        return back


def _pairs(x: Tensor) -> tuple[Tensor, Tensor]:
    """Views of the even and odd rows that have a partner, each [models, batch, n // 2, channels]."""
    even = x.shape[2] // 2 * 2
    return x[:, :, 0:even:2], x[:, :, 1:even:2]


class _Windows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, windows: Tensor) -> Tensor:
        models, batch, n, channels = x.shape
        positions, widest = windows.shape
        whole = positions * widest == n and bool(windows[-1, -1] == n - 1)  # equal windows lie side by side already
        seen = (x if whole else x[:, :, windows.flatten()]).view(models, batch, positions, widest, channels)
        top, place = seen.max(3)  # of equals the first; a NaN wins
        ctx.shape = x.shape
        ctx.save_for_backward(windows[:, :1] + place)
        return top

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        back = upstream.new_zeros(ctx.shape)
        return back.scatter_add_(2, rows, upstream), None
