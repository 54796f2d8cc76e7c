"""concat: RENO without its self-attention and divergence, the paper's fusion baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reno_sweeps.heads import _layout

if TYPE_CHECKING:
    from torch import Tensor

    from reno_sweeps.heads._layers import Dropout, Output, Weights

ENCODERS = (2,)
LOSSES = ("cross-entropy",)


@dataclass(frozen=True, slots=True)
class Params:
    """Trunk and common width."""

    trunk_kind: str = _layout.trunk_kind()
    trunk_positions: int | str | None = _layout.trunk_positions()
    align_width: int = _layout.align_width()

    @property
    def positions(self) -> int | None:
        """Positions of each trunk, settled; None: no adaptive pool."""
        return _layout.settled(self.trunk_positions, _layout.PAIR_POSITIONS[self.trunk_kind])


def check(params: Params) -> None:
    """Raise a ValueError, one sentence, for values that do not go together."""
    _layout.refuse_unpooled_linear(params.trunk_kind, params.trunk_positions)


def layout(params: Params, dims: tuple[int, ...], classes: int) -> _layout.Layout:
    """Every weight of one model by name."""
    return _layout.pair(params.trunk_kind, params.positions, dims, params.align_width) | _layout.classifier(
        2 * params.align_width, classes
    )


init, parameter_count = _layout.drawn(layout)


def apply(params: Params, weights: Weights, inputs: tuple[Tensor, ...], drop: Dropout) -> Output:
    """Logits of a batch: inputs [models, batch, D] of encoder a and b."""
    import torch

    from reno_sweeps.heads import _layers

    aligned = []
    for name, x in zip("ab", inputs, strict=True):
        tokens = _layers.trunk(weights, name, params.trunk_kind, params.positions, x, drop)
        aligned.append(_layers.dense(weights, f"{name}.align", tokens.flatten(2)))
    features = torch.cat(aligned, -1)
    return _layers.Output(_layers.classify(weights, features, drop), features=features)
