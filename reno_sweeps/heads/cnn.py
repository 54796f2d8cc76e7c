"""cnn: the conv trunk on one encoder's embedding, flattened into the classifier; a baseline of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reno_sweeps.heads import _layout

if TYPE_CHECKING:
    from torch import Tensor

    from reno_sweeps.heads._layers import Dropout, Output, Weights

ENCODERS = (1,)
LOSSES = ("cross-entropy",)


POSITIONS = 28  # 0.99 M parameters at 6 classes, inside the paper's range for every D; method.md, section 2


@dataclass(frozen=True, slots=True)
class Params:
    """Size of the trunk."""

    trunk_positions: int | str | None = _layout.trunk_positions()

    @property
    def positions(self) -> int | None:
        """Positions of the adaptive pool, settled; None: no pool."""
        return _layout.settled(self.trunk_positions, POSITIONS)


def check(params: Params) -> None:
    """Raise a ValueError, one sentence, for values that do not go together: here all do."""


def layout(params: Params, dims: tuple[int, ...], classes: int) -> _layout.Layout:
    """Every weight of one model by name."""
    flat = _layout.tokens(params.positions, dims[0]) * _layout.CHANNELS
    return _layout.trunk("a", "conv", params.positions, dims[0]) | _layout.classifier(flat, classes)


init, parameter_count = _layout.drawn(layout)


def apply(params: Params, weights: Weights, inputs: tuple[Tensor, ...], drop: Dropout) -> Output:
    """Logits of a batch: inputs [models, batch, D] of the one encoder."""
    from reno_sweeps.heads import _layers

    tokens = _layers.trunk(weights, "a", "conv", params.positions, inputs[0], drop)
    features = tokens.flatten(2)
    return _layers.Output(_layers.classify(weights, features, drop), features=features)
