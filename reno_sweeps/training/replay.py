"""A training step captured once and replayed: on a GPU one launch instead of some five hundred (CUDA graphs)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor, Tensor], dict[str, Tensor]]  # rows, present, rates → parts of the objective

WARM = 2  # steps made before the capture: libraries choose and allocate in the first


def possible(device: str) -> bool:
    """Whether steps are captured on this device."""
    return device.startswith("cuda")


class Replay:
    """One step with fixed memory and shapes. Its results are overwritten by the next call."""

    def __init__(self, step: Step, rows: Tensor, present: Tensor, rates: Tensor) -> None:
        """Makes a few steps for real and captures the next without making it: the caller undoes what they changed."""
        self._inputs = tuple(x.clone() for x in (rows, present, rates))
        self._run, self._results = _captured(step, self._inputs)

    def __call__(self, rows: Tensor, present: Tensor, rates: Tensor) -> dict[str, Tensor]:
        """The step on these inputs."""
        for fixed, given in zip(self._inputs, (rows, present, rates), strict=True):
            fixed.copy_(given)
        self._run()
        return self._results


def _captured(step: Step, inputs: tuple[Tensor, ...]) -> tuple[Callable[[], None], dict[str, Tensor]]:
    """What makes the step on whatever lies in its inputs, and where its results will lie."""
    here, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        for _ in range(WARM):
            step(*inputs)
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = step(*inputs)
    return graph.replay, results
