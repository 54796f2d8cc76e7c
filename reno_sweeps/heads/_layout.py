"""What heads are made of: shared parameters and the shape and initial spread of every weight. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from reno_sweeps.space import parameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CHANNELS = 64  # of every token: the width of the trunk's last convolution; method.md, section 2
HIDDEN = (32, 512, 128)  # channels of the first convolution; widths of the classifier block
PAIR_POSITIONS = {"conv": 24, "linear": 8}  # 1.42 M parameters for reno at 6 classes, for every D with a conv trunk
ATTENTION_DROPOUT = 0.1  # decided: arXiv 2506.02258's public re-implementation


@dataclass(frozen=True, slots=True)
class Entry:
    """One weight of one model: its shape, drawn uniformly in ±bound around `fill`."""

    shape: tuple[int, ...]
    bound: float = 0.0
    fill: float = 0.0


Layout = dict[str, Entry]  # a weight's name → what it is, in the order of drawing


class Init(Protocol):
    """A head's `init`."""

    def __call__(
        self,
        params: Any,
        dims: tuple[int, ...],
        classes: int,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        """One model's initial weights, float32 unless told."""


def drawn(
    layout: Callable[[Any, tuple[int, ...], int], Layout],
) -> tuple[Init, Callable[[Any, tuple[int, ...], int], int]]:
    """A head's `init` and `parameter_count`: its layout says all that they need."""

    def init(
        params: Any,
        dims: tuple[int, ...],
        classes: int,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        from reno_sweeps.heads import _layers

        return _layers.draw(layout(params, dims, classes), generator, dtype)

    def parameter_count(params: Any, dims: tuple[int, ...], classes: int) -> int:
        return sum(math.prod(entry.shape) for entry in layout(params, dims, classes).values())

    return init, parameter_count


# --- layers, with PyTorch's own default initial spread ------------------------------------------------------


def dense(name: str, inputs: int, outputs: int) -> dict[str, Entry]:
    """torch.nn.Linear, its weight transposed: gradients of [inputs, outputs] come out contiguous."""
    bound = 1 / math.sqrt(inputs)
    return {f"{name}.weight": Entry((inputs, outputs), bound), f"{name}.bias": Entry((outputs,), bound)}


def conv(name: str, inputs: int, outputs: int) -> dict[str, Entry]:
    """torch.nn.Conv1d with three taps, its weight as [taps, inputs, outputs]."""
    bound = 1 / math.sqrt(3 * inputs)
    return {f"{name}.weight": Entry((3, inputs, outputs), bound), f"{name}.bias": Entry((outputs,), bound)}


def attention(name: str, width: int) -> dict[str, Entry]:
    """torch.nn.MultiheadAttention and the LayerNorm after its residual."""
    xavier = math.sqrt(6 / (width + 3 * width))  # over the stacked query, key and value, as torch draws them
    return {
        f"{name}.inner.weight": Entry((width, 3 * width), xavier),
        f"{name}.inner.bias": Entry((3 * width,)),
        f"{name}.outer.weight": Entry((width, width), 1 / math.sqrt(width)),
        f"{name}.outer.bias": Entry((width,)),
        f"{name}.norm.weight": Entry((width,), fill=1.0),
        f"{name}.norm.bias": Entry((width,)),
    }


def classifier(inputs: int, classes: int) -> dict[str, Entry]:
    """The block that every network ends in: ·→512 →128 →C, ReLU and dropout between."""
    _, wide, narrow = HIDDEN
    return (
        dense("classifier.0", inputs, wide)
        | dense("classifier.1", wide, narrow)
        | dense("classifier.2", narrow, classes)
    )


def trunk(name: str, kind: str, positions: int | None, width: int) -> dict[str, Entry]:
    """An embedding of `width` entries becomes `positions` tokens of 64 channels."""
    if kind == "linear":
        return dense(f"{name}.tokens", width, tokens(positions, width) * CHANNELS)
    return conv(f"{name}.conv1", 1, HIDDEN[0]) | conv(f"{name}.conv2", HIDDEN[0], CHANNELS)


def pair(kind: str, positions: int | None, dims: tuple[int, ...], width: int) -> dict[str, Entry]:
    """Trunk of each encoder and its projection to the common width."""
    entries: dict[str, Entry] = {}
    for name, dim in zip("ab", dims, strict=True):
        flat = tokens(positions, dim) * CHANNELS
        entries |= trunk(name, kind, positions, dim) | dense(f"{name}.align", flat, width)
    return entries


# --- the parameters of a trunk ------------------------------------------------------------------------------


def trunk_positions() -> Any:
    """The field `trunk.positions`."""
    return parameter(
        "auto",
        "Positions L that the trunk ends in; auto: 28 (cnn), 24 (conv pair), 8 (linear trunk); null: no adaptive pool.",
        low=1,
        high=4096,
        also=("auto", None),
        kind=int,
    )


def trunk_kind() -> Any:
    """The field `trunk.kind`."""
    return parameter(
        "conv",
        "How an embedding becomes tokens: convolutions along it, or one linear layer.",
        choices=("conv", "linear"),
    )


def align_width() -> Any:
    """The field `align.width`."""
    return parameter(256, "Common width M to which each encoder's tokens are projected.", low=2, high=4096)


def settled(positions: int | str | None, auto: int) -> int | None:
    """`trunk.positions` with 'auto' replaced by the head's own number."""
    return auto if positions == "auto" else None if positions is None else int(positions)


def tokens(positions: int | None, width: int) -> int:
    """How many tokens a trunk makes of an embedding of `width` entries; None pools nothing beyond the two halvings."""
    return halved(halved(width)) if positions is None else positions


def halved(length: int) -> int:
    """Length after MaxPool(2); one position stays one, so that tiny embeddings have a trunk as well."""
    return max(length // 2, 1)


def refuse_unpooled_linear(kind: str, count: int | str | None) -> None:
    """Raise the ValueError for a linear trunk without a number of positions."""
    if kind == "linear" and count is None:
        raise ValueError("trunk.positions null needs trunk.kind conv: a linear trunk must know its number of positions")


def refuse_indivisible(name: str, heads: int, width_name: str, width: int) -> None:
    """Raise the ValueError for attention heads that do not share a width evenly."""
    if width % heads:
        raise ValueError(
            f"{name} {heads} does not divide {width_name} {width}: every attention head takes an equal share"
        )
