"""reno: two trunks, self-attention in each and across both, a Rényi divergence between (the paper, section III)."""

from __future__ import annotations

from dataclasses import dataclass

from reno_sweeps.heads import _shape
from reno_sweeps.space import parameter

ENCODERS = (2,)
LOSSES = ("cross-entropy", "renyi")


@dataclass(frozen=True, slots=True)
class Params:
    """Trunk, attention and common width."""

    trunk_kind: str = _shape.trunk()
    trunk_positions: int | str | None = _shape.positions()
    align_width: int = _shape.width()
    attention_heads: int = parameter(2, "Attention heads inside each encoder's tokens; must divide 64.", low=1, high=64)
    attention_fusion_heads: int | None = parameter(
        None,
        "Attention heads across the two encoders; must divide align.width; null follows attention.heads.",
        low=1,
        high=4096,
        also=(None,),
    )

    @property
    def fusion_heads(self) -> int:
        """Heads of the second self-attention, settled."""
        return self.attention_heads if self.attention_fusion_heads is None else self.attention_fusion_heads


def check(params: Params) -> None:
    """Raise a ValueError, one sentence, for values that do not go together."""
    _shape.refuse_unpooled_linear(params.trunk_kind, params.trunk_positions)
    _shape.refuse_indivisible("attention.heads", params.attention_heads, "the trunk's channels", _shape.CHANNELS)
    follows = params.attention_fusion_heads is None
    name = "attention.heads" if follows else "attention.fusion_heads"
    _shape.refuse_indivisible(name, params.fusion_heads, "align.width", params.align_width)
