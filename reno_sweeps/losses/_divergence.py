"""The Rényi divergence's arithmetic, float64: value and gradient in closed form, each accurate where it is tiny."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

SERIES_BELOW = 1e-3  # of |t|·max(β, 1): five terms of the series are then exact to 1e-13


def divergence(za: Tensor, zb: Tensor, beta: Tensor, delta: Tensor) -> Tensor:
    """D_β(p̃‖q̃) [..., ] of float64 logits [..., M]; beta and delta broadcast against [..., 1]. Differentiable once."""
    value: Tensor = _Divergence.apply(za, zb, beta, delta)  # type: ignore[no-untyped-call]
    return value


class _Divergence(torch.autograd.Function):
    """Autograd through the value would multiply 0 by ∞ in branches not taken; the gradient has a form of its own."""

    @staticmethod
    def forward(ctx: Any, za: Tensor, zb: Tensor, beta: Tensor, delta: Tensor) -> Tensor:
        p, q, difference = _distributions(za, zb)
        ratio, log_ratio = _ratio(p, q, difference, delta)
        value = _value(p, q, ratio, log_ratio, beta, delta)
        ctx.save_for_backward(p, q, log_ratio, value, beta, delta)
        return value[..., 0]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        p, q, log_ratio, value, beta, delta = ctx.saved_tensors
        order, total = beta - 1, 1 + p.shape[-1] * delta
        # ∂D/∂p̃ = β/κ·e^{κ(L−D)}, ∂D/∂q̃ = −e^{βL−κD}. A softmax's gradient is blind to constants, so β/κ and −1
        # are taken off: what is left is small where D is, and has a limit at κ = 0.
        inner = order * (log_ratio - value)
        by_p = beta * torch.where(order == 0, log_ratio - value, torch.expm1(inner) / _nonzero(order))
        by_q = -torch.expm1(beta * log_ratio - order * value)
        scale = upstream[..., None] / total
        return scale * _through_softmax(p, by_p), scale * _through_softmax(q, by_q), None, None


def _distributions(za: Tensor, zb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """p, q = softmax of the logits, and p − q without cancellation where they are nearly equal."""
    log_p, log_q = za.log_softmax(-1), zb.log_softmax(-1)
    p, q = log_p.exp(), log_q.exp()
    shift = za - zb
    shift = shift - shift[..., :1]  # a constant added to all logits is none at all
    near = shift.abs().amax(-1, keepdim=True) < 1
    step = torch.where(near, shift, 0.0)
    gap = torch.where(near, step - torch.log1p((q * torch.expm1(step)).sum(-1, keepdim=True)), log_p - log_q)
    difference = torch.where(gap <= 0, q, -p) * torch.expm1(-gap.abs())
    return p, q, difference


def _ratio(p: Tensor, q: Tensor, difference: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """t = (p̃ − q̃)/q̃ and L = log(p̃/q̃); the smoothing's denominator cancels."""
    ratio = difference / (q + delta)
    near = ratio.abs() < 0.5
    return ratio, torch.where(near, torch.log1p(torch.where(near, ratio, 0.0)), torch.log((p + delta) / (q + delta)))


def _value(p: Tensor, q: Tensor, ratio: Tensor, log_ratio: Tensor, beta: Tensor, delta: Tensor) -> Tensor:
    """D [..., 1]. With κ = β − 1 and Σ q̃t = 0: D = log1p(κS)/κ, S = Σ q̃·h(t), every h(t) ≥ 0; S itself at κ = 0."""
    order, total = beta - 1, 1 + p.shape[-1] * delta
    grown = torch.where(order == 0, log_ratio, torch.expm1(order * log_ratio) / _nonzero(order))
    excess = (1 + ratio) * grown - ratio
    excess = torch.where(ratio.abs() * beta.clamp(min=1) < SERIES_BELOW, _series(ratio, beta), excess)
    near = ((q + delta) / total * excess).sum(-1, keepdim=True).clamp(min=0)
    grows = order * near  # Σ p̃^β q̃^(1−β) − 1
    small = grows.abs() < 0.5  # otherwise D is not small, or its power overflowed: logarithms serve
    by_growth = torch.log1p(torch.where(small, grows, 0.0)) / _nonzero(order)
    value = torch.where(order == 0, near, by_growth)
    sure = small | (order == 0)
    if not p.is_cuda and sure.all():  # a GPU would have to be waited for
        return value
    far = torch.logsumexp(torch.log((p + delta) / total) + order * log_ratio, -1, keepdim=True) / _nonzero(order)
    return torch.where(sure, value, far)


def _series(t: Tensor, beta: Tensor) -> Tensor:
    """h(t) = ((1+t)^β − 1 − βt)/(β−1) by its series: the difference above loses all digits where t is tiny."""
    inner = 1 + t * (beta - 3) / 4 * (1 + t * (beta - 4) / 5)
    return beta / 2 * t * t * (1 + t * (beta - 2) / 3 * inner)


def _through_softmax(p: Tensor, gradient: Tensor) -> Tensor:
    return p * (gradient - (p * gradient).sum(-1, keepdim=True))


def _nonzero(order: Tensor) -> Tensor:
    return torch.where(order == 0, 1.0, order)
