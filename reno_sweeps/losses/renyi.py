"""The Rényi divergence between two encoders' aligned features: equation (2) of the RENO paper, without its constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reno_sweeps.space import parameter

if TYPE_CHECKING:
    from torch import Tensor

METRIC = "divergence"  # its name in an epoch's metrics


@dataclass(frozen=True, slots=True)
class Params:
    """Order, smoothing and weight of the divergence."""

    renyi_beta: float = parameter(2.0, "Order β of the Rényi divergence; 1 is Kullback-Leibler.", above=0.0, high=50.0)
    renyi_delta: float = parameter(0.2, "Smoothing δ added to every entry; small values bite.", low=1e-8, high=10.0)
    renyi_symmetric: bool = parameter(False, "Mean of both directions instead of first encoder to second.")
    loss_lambda: float = parameter(0.4, "Weight λ of the cross-entropy; the divergence has 1 − λ.", low=0.0, high=1.0)


def renyi_divergence(
    za: Tensor, zb: Tensor, beta: Tensor | float, delta: Tensor | float, symmetric: bool = False
) -> Tensor:
    """D_β(p̃‖q̃) of each row: za, zb [..., M] logits → [...], in their dtype, differentiable once in za and zb.

    p = softmax(za), q = softmax(zb), p̃ = (p+δ)/(1+Mδ): equation (2) of the RENO paper,
    1/(β−1)·log Σ (p+δ)^β (q+δ)^(1−β), less its constant log(1+Mδ)/(β−1). ≥ 0, and 0 only where p = q; β = 1 is
    Kullback-Leibler. beta > 0 and delta > 0: numbers, or tensors that broadcast to the leading axes.
    symmetric: the mean of D_β(p̃‖q̃) and D_β(q̃‖p̃). Computed in float64 whatever comes in.
    """
    import torch

    from reno_sweeps.losses import _divergence

    a, b = za.double(), zb.double()
    order = torch.as_tensor(beta, dtype=torch.float64, device=za.device)[..., None]
    smoothing = torch.as_tensor(delta, dtype=torch.float64, device=za.device)[..., None]
    value = _divergence.divergence(a, b, order, smoothing)
    if symmetric:
        value = (value + _divergence.divergence(b, a, order, smoothing)) / 2
    return value.to(za.dtype)


def of_batch(
    dials: Mapping[str, Any],
    logits: Tensor,  # noqa: ARG001  # every loss's signature
    aligned: tuple[Tensor, Tensor],
    labels: Tensor,  # noqa: ARG001  # every loss's signature
    present: Tensor | None = None,
) -> Tensor:
    """This loss of a batch, [models]: the mean over clips at each model's own β and δ; 0 where none is present."""
    beta, delta = dials["renyi.beta"][:, None], dials["renyi.delta"][:, None]
    each = renyi_divergence(*aligned, beta, delta, dials["renyi.symmetric"])
    return each.mean(-1) if present is None else (each * present).sum(-1) / present.sum(-1).clamp(min=1)
