"""The one training loop: models in, events out; all advance together, an epoch each a round."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence

import torch

from reno_sweeps.records import EpochEnded, Event, FoldFailed, FoldFinished, FoldStopped, Key, Model, UserError
from reno_sweeps.training.data import Data, tensors
from reno_sweeps.training.learner import DivergedError, Learner

__all__ = ["Data", "train_cohort"]


def train_cohort(
    models: Sequence[Model],
    data: Data,
    *,
    device: str = "cpu",
    told_to_stop: Callable[[], Collection[Key]] = lambda: (),
) -> Iterator[Event]:
    """Train models side by side: EpochEnded of each in turn, and at its end FoldFinished, FoldFailed or FoldStopped.

    A model's numbers depend on its values, seed, split and data alone, bit for bit: never on company or order. On a
    CPU one thread computes, so that sums are taken in one order. `told_to_stop` is asked before every round. A model
    whose numbers become infinite fails alone; any other exception is a bug or bad data, and rises. Raises UserError
    where the device cannot do what a model asks for.
    """
    for model in models:
        _refuse_precision(model, device)
    with _steady(device):
        shared = tensors(data, device)
        learners = [Learner(model, data, shared, device) for model in models]
    while learners:
        leaving = set(told_to_stop())
        yield from (FoldStopped(one.model.key, one.epoch) for one in learners if one.model.key in leaving)
        learners = [one for one in learners if one.model.key not in leaving]
        for one in tuple(learners):
            events = _advance(one, device)
            if not isinstance(events[-1], EpochEnded):
                learners.remove(one)
            yield from events


def _advance(learner: Learner, device: str) -> tuple[Event, ...]:
    """One epoch of one model, and its end where it has come."""
    key, events = learner.model.key, []
    try:
        with _steady(device):
            events.append(EpochEnded(key, learner.epoch + 1, learner.advance()))
            return (*events, FoldFinished(key, learner.result())) if learner.done else tuple(events)
    except DivergedError as reason:
        return (*events, FoldFailed(key, str(reason)))


def _refuse_precision(model: Model, device: str) -> None:
    precision = model.values.get("training.precision", "float32")
    if precision == "tf32" and not device.startswith("cuda"):
        raise UserError(
            f"training.precision tf32 was asked for on device {device}\n"
            "tf32 is arithmetic of CUDA devices; a CPU has float32, float64 and bf16\n"
            "set training.precision to one of those, or use --device cuda"
        )


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
