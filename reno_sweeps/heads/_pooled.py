"""Convolutions whose outputs are pooled at once: of their way back only the maxima's share is computed."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from reno_sweeps.heads._layout import halved

NARROW = 4  # entries of a window up to which it is looked through one after another (CPU)
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
    """Which entries each position of a pool sees: [positions, widest] numbers; short windows repeat their last."""

    entries: Tensor
    rows: int  # of the convolution in each entry: equal windows side by side see them all, others see maxima of two


class _Second(torch.autograd.Function):
    """The maxima are found without their places, which takes a thirtieth of the time; places follow by comparison.

    On the way back every channel of a position has one winner. The weight's gradient gathers the winners' rows (a
    weighted embedding bag for each output channel) instead of multiplying by rows of zeros, where these are many.
    All clips of a model are one matrix, each with a row of zeros at either end: a product over shifted rows is a tap
    of the convolution, and nothing is cut out for it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, windows: Windows, learns: bool) -> Tensor:
        models, batch, n, _ = x.shape
        neighbours = _neighbours(x)
        y = torch.bmm(neighbours, weight.flatten(1, 2)).view(models, batch, n + 2, -1)
        entries = y[:, :, :n] if windows.rows == 1 else torch.maximum(y[:, :, : n - 1 : 2], y[:, :, 1:n:2])
        positions, widest = windows.entries.shape
        apart = positions * widest == entries.shape[2]
        seen = entries if apart else entries[:, :, windows.entries.flatten()]
        seen = seen.view(models, batch, positions, widest, -1)
        top = seen.amax(3)
        if not learns:
            return top
        second = None if windows.rows == 1 else y[:, :, : n - 1 : 2] < y[:, :, 1:n:2]
        ctx.save_for_backward(neighbours, weight, _places(seen, top), second)
        ctx.windows, ctx.n = windows, n
        return top

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None, None]:
        neighbours, weight, place, second = ctx.saved_tensors
        upstream = upstream.to(weight.dtype)
        rows = _rows(place, second, ctx.windows)
        spread = _spread(upstream, rows, ctx.n)
        return _to_input(spread, weight), _to_weight(neighbours, upstream, rows, spread, weight.shape), None, None


def _neighbours(x: Tensor) -> Tensor:
    """The three rows that each output sees: x [models, batch, n, in] → [models, batch·(n + 2), 3·in].

    Of every clip's n + 2 rows the last two mix it with the next clip: they are looked at by nobody.
    """
    models, batch, n, inputs = x.shape
    padded = x.new_empty(models, batch * (n + 2) + 2, inputs)
    clips = padded[:, :-2].view(models, batch, n + 2, inputs)
    clips[:, :, 1:-1] = x
    clips[:, :, 0] = clips[:, :, -1] = padded[:, -2:] = 0
    return padded.flatten(1).unfold(1, 3 * inputs, inputs).contiguous()


def _places(seen: Tensor, top: Tensor) -> Tensor:
    """Which of its window's entries each maximum is, the first of equals: small whole numbers, of `top`'s shape.

    seen [models, batch, positions, widest, out]. Where nothing equals (no number) it is the last, or one further.
    """
    widest = seen.shape[3]
    if widest > NARROW:
        kind = torch.int8 if widest < 128 else torch.int32
        fading = torch.arange(widest, 0, -1, device=seen.device, dtype=kind)[:, None]
        return widest - (seen == top[:, :, :, None]).view(torch.int8).mul(fading).amax(3)
    place = torch.zeros_like(top, dtype=torch.int8)
    for entry in reversed(range(widest - 1)):
        place.add_(1).mul_((seen[:, :, :, entry] != top).view(torch.int8))
    return place


def _rows(place: Tensor, second: Tensor | None, windows: Windows) -> Tensor:
    """The winners' row numbers [models, batch, positions, out] from their places in their windows.

    `second` [models, batch, entries, out]: whether the second row of each entry wins; None: an entry is a row.
    """
    entry = place.to(windows.entries.dtype).add_(windows.entries[:, :1])
    torch.minimum(entry, windows.entries[:, -1:], out=entry)  # matters to what is no number alone
    return entry if second is None else second.gather(2, entry).to(entry.dtype).add_(entry, alpha=2)


def _spread(upstream: Tensor, rows: Tensor, n: int) -> Tensor:
    """Gradients of all rows, with a row of zeros at either end: [models, batch, n + 2, out]."""
    models, batch, _, out = upstream.shape
    return upstream.new_zeros(models, batch, n + 2, out).scatter_add_(2, rows + 1, upstream)


def _to_input(spread: Tensor, weight: Tensor) -> Tensor:
    """The way back through the convolution: one product a tap over shifted rows."""
    models, batch, padded, out = spread.shape
    flat, taps = spread.view(models, batch * padded, out), weight.transpose(2, 3)  # [models, 3, out, in]
    rows = batch * padded - 2
    back = flat.new_empty(models, batch * padded, weight.shape[2])
    inner = torch.bmm(flat[:, 2:], taps[:, 0], out=back[:, :rows])
    inner.baddbmm_(flat[:, 1:-1], taps[:, 1]).baddbmm_(flat[:, :rows], taps[:, 2])
    return back.view(models, batch, padded, -1)[:, :, : padded - 2]


def _to_weight(neighbours: Tensor, upstream: Tensor, rows: Tensor, spread: Tensor, shape: torch.Size) -> Tensor:
    models, batch, positions, out = upstream.shape
    padded = spread.shape[2]
    if padded < DENSE * positions:
        slopes = spread.view(models, batch * padded, out)[:, 1:]  # from a clip's first row on
        return torch.bmm(neighbours[:, :-1].transpose(1, 2), slopes).view(shape)
    starts = torch.arange(models * batch, device=rows.device).mul_(padded).view(models, batch, 1, 1)
    by_channel = (rows + starts).permute(0, 3, 1, 2).reshape(models * out, batch * positions)
    shares = upstream.permute(0, 3, 1, 2).reshape(models * out, batch * positions)
    slopes = functional.embedding_bag(by_channel, neighbours.flatten(0, 1), mode="sum", per_sample_weights=shares)
    return slopes.view(models, out, -1).transpose(1, 2).reshape(shape)


@cache
def _windows(n: int, positions: int | None, device: torch.device) -> Windows:
    """Of MaxPool(2) and then torch.nn.functional.adaptive_max_pool1d; small n repeats windows."""
    pairs, width = halved(n), 2 if n > 1 else 1
    positions = pairs if positions is None else positions
    regular = pairs % positions == 0 and n == pairs * width
    width, rows = (width, 1) if regular else (1, width)
    step = torch.arange(positions, device=device)
    start, end = step * pairs // positions * width, ((step + 1) * pairs + positions - 1) // positions * width
    widest = int((end - start).max())
    entries = torch.minimum(start[:, None] + torch.arange(widest, device=device), end[:, None] - 1)
    return Windows(entries, rows)
