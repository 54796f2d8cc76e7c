"""linear: multinomial logistic regression on the concatenated embeddings, the sanity check of every report."""

from __future__ import annotations

from dataclasses import dataclass

ENCODERS = (1, 2)
LOSSES = ("cross-entropy",)


@dataclass(frozen=True, slots=True)
class Params:
    """Nothing of its own."""


def check(params: Params) -> None:
    """Raise a ValueError, one sentence, for values that do not go together: here all do."""
