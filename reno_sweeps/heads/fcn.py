"""fcn: the classifier block alone, on one encoder's embedding; a baseline of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reno_sweeps.heads import _layout

if TYPE_CHECKING:
    from torch import Tensor

    from reno_sweeps.heads._layers import Dropout, Output, Weights

ENCODERS = (1,)
LOSSES = ("cross-entropy",)


@dataclass(frozen=True, slots=True)
class Params:
    """Nothing of its own."""


def check(params: Params) -> None:
    """Raise a ValueError, one sentence, for values that do not go together: here all do."""


def layout(params: Params, dims: tuple[int, ...], classes: int) -> _layout.Layout:  # noqa: ARG001  # every head's
    """Every weight of one model by name."""
    return _layout.classifier(dims[0], classes)


init, parameter_count = _layout.drawn(layout)


def apply(
    params: Params,  # noqa: ARG001  # every head's signature
    weights: Weights,
    inputs: tuple[Tensor, ...],
    drop: Dropout,
) -> Output:
    """Logits of a batch: inputs [models, batch, D] of the one encoder."""
    from reno_sweeps.heads import _layers

    return _layers.Output(_layers.classify(weights, inputs[0], drop))
