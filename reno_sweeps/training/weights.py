"""All weights of stacked models in one block of memory, [models, entries], with a view of it for every name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class Weights:
    """A block [models, entries] and what lies where in it: choosing, copying and joining models are one operation."""

    def __init__(self, block: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """`shapes` of one model's weights by name, matrices first, in the order of the block."""
        self.block, self.shapes = block, dict(shapes)
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.entries = sum(sizes)
        self.matrices = sum(len(shape) > 1 for shape in self.shapes.values())  # the others are biases and norms
        self.decaying = sum(sizes[: self.matrices])  # entries with weight decay
        self._starts = [sum(sizes[:i]) for i in range(len(sizes))]

    @classmethod
    def stacked(cls, drawn: Sequence[Mapping[str, Tensor]], device: str) -> Weights:
        """Of each model's own initial weights."""
        names = sorted(drawn[0], key=lambda name: drawn[0][name].dim() < 2)  # a stable sort
        rows = [torch.cat([weights[name].flatten() for name in names]) for weights in drawn]
        return cls(torch.stack(rows).to(device), {name: tuple(drawn[0][name].shape) for name in names})

    def views(self, block: Tensor | None = None) -> dict[str, Tensor]:
        """The block's weights by name, [models, *shape] each, in its own memory."""
        block = self.block if block is None else block
        return {
            name: block[:, start : start + math.prod(shape)].view(-1, *shape)
            for (name, shape), start in zip(self.shapes.items(), self._starts, strict=True)
        }

    def leaves(self) -> dict[str, Tensor]:
        """The same, as what gradients are asked of; a change of the block is seen in them."""
        return {name: view.detach().requires_grad_() for name, view in self.views().items()}
