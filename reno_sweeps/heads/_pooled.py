"""Convolutions whose outputs are pooled at once: of their way back only the maxima's share is computed."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from reno_sweeps.heads._layout import halved

DENSE = 8  # rows of a window below which a product over all rows beats gathering the winners' (CPU)


def first(x: Tensor, weight: Tensor) -> Tensor:
    """Conv1d of one channel (three taps, padding 1, no bias), then MaxPool(2).

    x [models, batch, n], weight [models, 3, 1, out] → [models, batch, n // 2, out].
    One position stays one. x is data: no gradient goes there.
    """
    value: Tensor = _First.apply(x, weight)  # type: ignore[no-untyped-call]
    return value


def second(x: Tensor, weight: Tensor, positions: int | None) -> Tensor:
    """Conv1d (three taps, padding 1, no bias), MaxPool(2), adaptive max-pool to `positions`; None: without the last.

    x [models, batch, n, in], weight [models, 3, in, out] → [models, batch, positions, out]. A maximum of maxima is one
    maximum, over windows twice as wide. Of equals the first has the gradient, as in torch's pooling. Where nothing is
    learned (evaluation) the maxima's places are not looked for: a fifth less time.
    """
    windows, learns = _windows(x.shape[2], positions, x.device), torch.is_grad_enabled()
    value: Tensor = _Second.apply(x, weight, windows, learns)  # type: ignore[no-untyped-call]
    return value


# --- one channel ---------------------------------------------------------------------------------------------


class _First(torch.autograd.Function):
    """Even and odd rows apart: what is compared lies side by side, and nothing is strided."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        models, batch, n = x.shape
        taps = weight.flatten(1, 2)  # [models, 3, out]
        padded = functional.pad(x, (1, 1))
        ctx.shape, ctx.half = weight.shape, halved(n)
        if n == 1:
            ctx.save_for_backward(padded)
            return torch.bmm(padded, taps).view(models, batch, 1, -1)
        even, odd = (padded[:, :, start:].unfold(2, 3, 2)[:, :, : n // 2].reshape(models, -1, 3) for start in (0, 1))
        left, right = torch.bmm(even, taps), torch.bmm(odd, taps)
        ctx.save_for_backward(even, odd, left >= right)
        return torch.maximum(left, right).view(models, batch, n // 2, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[None, Tensor]:
        even, *others = ctx.saved_tensors
        flat = upstream.flatten(1, 2).to(even.dtype)
        if not others:
            return None, torch.bmm(even.transpose(1, 2), flat).view(ctx.shape)
        odd, won = others
        left = flat * won
        slope = torch.bmm(even.transpose(1, 2), left).baddbmm_(odd.transpose(1, 2), flat - left)
        return None, slope.view(ctx.shape)


# --- many channels -------------------------------------------------------------------------------------------


class Windows(NamedTuple):
    """Which rows each position of a pool sees: [positions, widest] row numbers; short windows repeat their last."""

    rows: Tensor
    regular: bool  # equal windows side by side over all rows
    fading: Tensor  # [widest, 1] whole numbers, falling from `widest` to 1


class _Second(torch.autograd.Function):
    """The maxima are found without their places, which takes a thirtieth of the time; places follow by comparison.

    On the way back every channel of a position has one winner. The weight's gradient gathers the winners' rows (a
    weighted embedding bag for each output channel) instead of multiplying by rows of zeros.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, windows: Windows, learns: bool) -> Tensor:
        models, batch, n, inputs = x.shape
        padded = functional.pad(x, (0, 0, 1, 1)).view(models, batch, (n + 2) * inputs)
        neighbours = padded.unfold(-1, 3 * inputs, inputs).reshape(models, batch * n, 3 * inputs)
        y = torch.bmm(neighbours, weight.flatten(1, 2)).view(models, batch, n, -1)
        positions, widest = windows.rows.shape
        seen = (y if windows.regular else y[:, :, windows.rows.flatten()]).view(models, batch, positions, widest, -1)
        top = seen.amax(3)
        if not learns:
            return top
        place = (seen == top[:, :, :, None]).view(torch.int8).mul(windows.fading).amax(3)
        ctx.save_for_backward(neighbours, weight, place)
        ctx.windows, ctx.n = windows, n
        return top

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None, None]:
        neighbours, weight, place = ctx.saved_tensors
        upstream = upstream.to(weight.dtype)
        rows = _rows(place, ctx.windows)
        spread = _spread(upstream, rows, ctx.n)
        return _to_input(spread, weight), _to_weight(neighbours, upstream, rows, spread, weight.shape), None, None


def _rows(place: Tensor, windows: Windows) -> Tensor:
    """The winners' row numbers [models, batch, positions, out] from what `fading` left of their places."""
    widest = windows.rows.shape[1]
    place = (widest - place.long()).clamp_(max=widest - 1)  # a maximum that is no number equals nothing
    if windows.regular:
        return place.add_(windows.rows[:, :1])
    return windows.rows[torch.arange(len(windows.rows), device=place.device)[:, None], place]


def _spread(upstream: Tensor, rows: Tensor, n: int) -> Tensor:
    """Gradients of all rows, with a row of zeros at either end: [models, batch, n + 2, out]."""
    models, batch, _, out = upstream.shape
    return upstream.new_zeros(models, batch, n + 2, out).scatter_add_(2, rows + 1, upstream)


def _to_input(spread: Tensor, weight: Tensor) -> Tensor:
    """The way back through the convolution: one product a tap over shifted rows; nothing is unfolded."""
    models, batch, padded, out = spread.shape
    n, flat = padded - 2, spread.view(models * batch, padded, out)
    taps = weight.transpose(2, 3).repeat_interleave(batch, 0)  # [models·batch, 3, out, in]
    back = torch.bmm(flat[:, 2:], taps[:, 0])
    back.baddbmm_(flat[:, 1:-1], taps[:, 1]).baddbmm_(flat[:, :-2], taps[:, 2])
    return back.view(models, batch, n, -1)


def _to_weight(neighbours: Tensor, upstream: Tensor, rows: Tensor, spread: Tensor, shape: torch.Size) -> Tensor:
    models, batch, positions, out = upstream.shape
    n = spread.shape[2] - 2
    if n < DENSE * positions:
        inner = spread[:, :, 1:-1].reshape(models, batch * n, out)
        return torch.bmm(neighbours.transpose(1, 2), inner).view(shape)
    starts = torch.arange(models * batch, device=rows.device).mul_(n).view(models, batch, 1, 1)
    by_channel = (rows + starts).permute(0, 3, 1, 2).reshape(models * out, batch * positions)
    shares = upstream.permute(0, 3, 1, 2).reshape(models * out, batch * positions)
    slopes = functional.embedding_bag(by_channel, neighbours.flatten(0, 1), mode="sum", per_sample_weights=shares)
    return slopes.view(models, out, -1).transpose(1, 2).reshape(shape)


@cache
def _windows(n: int, positions: int | None, device: torch.device) -> Windows:
    """Of MaxPool(2) and then torch.nn.functional.adaptive_max_pool1d; small n repeats windows."""
    pairs, width = halved(n), 2 if n > 1 else 1
    positions = pairs if positions is None else positions
    step = torch.arange(positions, device=device)
    start, end = step * pairs // positions * width, ((step + 1) * pairs + positions - 1) // positions * width
    widest = int((end - start).max())
    rows = torch.minimum(start[:, None] + torch.arange(widest, device=device), end[:, None] - 1)
    kind = torch.int8 if widest < 128 else torch.int32
    fading = torch.arange(widest, 0, -1, device=device, dtype=kind)[:, None]
    return Windows(rows, positions * widest == n and n % 2 == 0, fading)
