"""The one training loop, for one model or a thousand: models in, events out; all advance together, an epoch a round."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Sequence

import torch

from reno_sweeps.records import Event, Key, Model
from reno_sweeps.training import precision
from reno_sweeps.training.data import Data
from reno_sweeps.training.stacks import Stacks

__all__ = ["Data", "train_cohort"]

logger = logging.getLogger(__name__)


def train_cohort(
    models: Sequence[Model],
    data: Data,
    *,
    device: str = "cpu",
    told_to_stop: Callable[[], Collection[Key]] = lambda: (),
    newcomers: Callable[[], Sequence[Model]] = lambda: (),
    width: int | None = None,
    say: Callable[[str], None] = logger.warning,
) -> Iterator[Event]:
    """Train models side by side: EpochEnded of each in turn, and at its end FoldFinished, FoldFailed or FoldStopped.

    Models of equal structure train as one tensor program, `width` of them at most; None: as many as the device takes
    (`training.memory`). Where its memory does not suffice after all, their number is halved, `say` hears of it once,
    and nothing is lost. A model's numbers depend on its values, seed, split and data alone, to rounding: never on
    company, order or width. On a CPU one thread computes. `told_to_stop` and `newcomers` (models that join) are asked
    before every round. A model whose numbers become infinite fails alone; any other exception is a bug or bad data,
    and rises. Raises UserError where the device cannot do what a model asks for.
    """
    stacks = Stacks(data, device, width, say)
    fresh: Sequence[Model] = models
    while True:
        fresh = [*fresh, *newcomers()]
        for model in fresh:
            precision.refuse(model, device)
        with _steady(device):
            stacks.join(fresh)
        if not stacks:
            return
        yield from stacks.leave(set(told_to_stop()))
        for stack in stacks:
            with _steady(device):
                events = stacks.advance(stack)
            yield from events
        fresh = ()


@contextlib.contextmanager
def _steady(device: str) -> Iterator[None]:
    """On a CPU: one thread, whose sums have one order; tiny numbers are zero (denormals cost up to ten times)."""
    if device != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)  # the process's own arithmetic is IEEE again
