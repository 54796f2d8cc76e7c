"""The parameters that heads with a trunk share, and what must hold between them. Torch-free: the config reads it."""

from __future__ import annotations

from typing import Any

from reno_sweeps.space import parameter

CHANNELS = 64  # of every token: the width of the trunk's last convolution; method.md, section 2


def positions() -> Any:
    """The field `trunk.positions`."""
    return parameter(
        "auto",
        "Positions L that the trunk ends in; auto: 28 (cnn), 24 (conv pair), 8 (linear trunk); null: no adaptive pool.",
        low=1,
        high=4096,
        also=("auto", None),
        kind=int,
    )


def trunk() -> Any:
    """The field `trunk.kind`."""
    return parameter(
        "conv",
        "How an embedding becomes tokens: convolutions along it, or one linear layer.",
        choices=("conv", "linear"),
    )


def width() -> Any:
    """The field `align.width`."""
    return parameter(256, "Common width M to which each encoder's tokens are projected.", low=2, high=4096)


def refuse_unpooled_linear(kind: str, count: int | str | None) -> None:
    """Raise the ValueError for a linear trunk without a number of positions."""
    if kind == "linear" and count is None:
        raise ValueError("trunk.positions null needs trunk.kind conv: a linear trunk must know its number of positions")


def refuse_indivisible(name: str, heads: int, width_name: str, width_: int) -> None:
    """Raise the ValueError for attention heads that do not share a width evenly."""
    if width_ % heads:
        raise ValueError(
            f"{name} {heads} does not divide {width_name} {width_}: every attention head takes an equal share"
        )
