"""The Rényi divergence between two encoders' aligned features: equation (2) of the RENO paper, without its constant."""

from __future__ import annotations

from dataclasses import dataclass

from reno_sweeps.space import parameter


@dataclass(frozen=True, slots=True)
class Params:
    """Order, smoothing and weight of the divergence."""

    renyi_beta: float = parameter(2.0, "Order β of the Rényi divergence; 1 is Kullback-Leibler.", above=0.0, high=50.0)
    renyi_delta: float = parameter(0.2, "Smoothing δ added to every entry; small values bite.", low=1e-8, high=10.0)
    renyi_symmetric: bool = parameter(False, "Mean of both directions instead of first encoder to second.")
    loss_lambda: float = parameter(0.4, "Weight λ of the cross-entropy; the divergence has 1 − λ.", low=0.0, high=1.0)
