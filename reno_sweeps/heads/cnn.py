"""cnn: the conv trunk on one encoder's embedding, flattened into the classifier; a baseline of the paper."""

from __future__ import annotations

from dataclasses import dataclass

from reno_sweeps.heads import _shape

ENCODERS = (1,)
LOSSES = ("cross-entropy",)


@dataclass(frozen=True, slots=True)
class Params:
    """Size of the trunk."""

    trunk_positions: int | str | None = _shape.positions()


def check(params: Params) -> None:
    """Raise a ValueError, one sentence, for values that do not go together: here all do."""
