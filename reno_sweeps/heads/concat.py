"""concat: RENO without its self-attention and divergence, the paper's fusion baseline."""

from __future__ import annotations

from dataclasses import dataclass

from reno_sweeps.heads import _shape

ENCODERS = (2,)
LOSSES = ("cross-entropy",)


@dataclass(frozen=True, slots=True)
class Params:
    """Trunk and common width."""

    trunk_kind: str = _shape.trunk()
    trunk_positions: int | str | None = _shape.positions()
    align_width: int = _shape.width()


def check(params: Params) -> None:
    """Raise a ValueError, one sentence, for values that do not go together."""
    _shape.refuse_unpooled_linear(params.trunk_kind, params.trunk_positions)
