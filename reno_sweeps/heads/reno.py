"""reno: two trunks, self-attention in each and across both, a Rényi divergence between (the paper, section III)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reno_sweeps.heads import _layout
from reno_sweeps.space import parameter

if TYPE_CHECKING:
    from torch import Tensor

    from reno_sweeps.heads._layers import Dropout, Output, Weights

ENCODERS = (2,)
LOSSES = ("cross-entropy", "renyi")


@dataclass(frozen=True, slots=True)
class Params:
    """Trunk, attention and common width."""

    trunk_kind: str = _layout.trunk_kind()
    trunk_positions: int | str | None = _layout.trunk_positions()
    align_width: int = _layout.align_width()
    attention_heads: int = parameter(2, "Attention heads inside each encoder's tokens; must divide 64.", low=1, high=64)
    attention_fusion_heads: int | None = parameter(
        None,
        "Attention heads across the two encoders; must divide align.width; null follows attention.heads.",
        low=1,
        high=4096,
        also=(None,),
    )

    @property
    def positions(self) -> int | None:
        """Positions of each trunk, settled; None: no adaptive pool."""
        return _layout.settled(self.trunk_positions, _layout.PAIR_POSITIONS[self.trunk_kind])

    @property
    def fusion_heads(self) -> int:
        """Heads of the second self-attention, settled."""
        return self.attention_heads if self.attention_fusion_heads is None else self.attention_fusion_heads


def check(params: Params) -> None:
    """Raise a ValueError, one sentence, for values that do not go together."""
    _layout.refuse_unpooled_linear(params.trunk_kind, params.trunk_positions)
    _layout.refuse_indivisible("attention.heads", params.attention_heads, "the trunk's channels", _layout.CHANNELS)
    follows = params.attention_fusion_heads is None
    name = "attention.heads" if follows else "attention.fusion_heads"
    _layout.refuse_indivisible(name, params.fusion_heads, "align.width", params.align_width)


def layout(params: Params, dims: tuple[int, ...], classes: int) -> _layout.Layout:
    """Every weight of one model by name."""
    return (
        _layout.pair(params.trunk_kind, params.positions, dims, params.align_width)
        | _layout.attention("a.attention", _layout.CHANNELS)
        | _layout.attention("b.attention", _layout.CHANNELS)
        | _layout.attention("fusion", params.align_width)
        | _layout.classifier(2 * params.align_width, classes)
    )


init, parameter_count = _layout.drawn(layout)


def apply(params: Params, weights: Weights, inputs: tuple[Tensor, ...], drop: Dropout) -> Output:
    """Logits of a batch and the aligned features: inputs [models, batch, D] of encoder a and b."""
    import torch

    from reno_sweeps.heads import _layers

    za, zb = (_align(params, weights, name, x, drop) for name, x in zip("ab", inputs, strict=True))
    fused = _layers.attend(weights, "fusion", torch.stack((za, zb), 2), params.fusion_heads, drop)
    features = fused.flatten(2)
    return _layers.Output(_layers.classify(weights, features, drop), (za, zb), features)


def _align(params: Params, weights: Weights, name: str, x: Tensor, drop: Dropout) -> Tensor:
    """One encoder's z: its embedding [models, batch, D] through trunk, self-attention and projection."""
    from reno_sweeps.heads import _layers

    tokens = _layers.trunk(weights, name, params.trunk_kind, params.positions, x, drop)
    tokens = _layers.attend(weights, f"{name}.attention", tokens, params.attention_heads, drop)
    return _layers.dense(weights, f"{name}.align", tokens.flatten(2))
