"""Dropout for stacked models: every model's masks come from its own generator, at its own rate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def keep(x: Tensor, rate: float | None = None) -> Tensor:  # noqa: ARG001  # the signature of every dropout
    """Dropout in evaluation: the identity."""
    return x


class Masks:
    """Dropout in training. Masks are drawn on the CPU in float32, so that every device and precision drops alike."""

    def __init__(self, rates: Sequence[float], generators: Sequence[torch.Generator]) -> None:
        self._rates, self._generators = tuple(rates), tuple(generators)

    def __call__(self, x: Tensor, rate: float | None = None) -> Tensor:
        """`x` [models, …] with a share `rate` of its entries zeroed and the others scaled up; None: the models' own."""
        rates = self._rates if rate is None else (rate,) * len(self._rates)
        if not any(rates):
            return x
        masks = [_mask(x.shape[1:], r, g) for r, g in zip(rates, self._generators, strict=True)]
        return x * torch.stack(masks).to(x.device, x.dtype)


def _mask(shape: torch.Size, rate: float, generator: torch.Generator) -> Tensor:
    if not rate:
        return torch.ones(shape)
    return torch.rand(shape, generator=generator).lt_(1 - rate).div_(1 - rate)  # twice as fast as bernoulli_
