"""How many models fit: a model's need, measured on one of them before the cohort begins, against what is there."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from reno_sweeps.training.stack import Stack

RESERVE = 0.8  # of the memory that is free; fragments and others' needs take the rest
# Of a model's weights: they, two moments, the best; a step's gradient, twice, and divisor; three while it is captured.
COPIES = 10
BACKWARD = 1.5  # of what forward keeps: gradients of activations live beside it on the way back
# On a CPU a few models at once save calls, many overflow the caches. Milliseconds of a model's step at widths 1, 5, 20
# (768 + 960): linear 1.3, 0.5, 0.4; fcn 2.7, 2.1, 1.9; cnn 17.3, 16.9, 18.0; reno 46, 40; its linear trunk 17, 12, 11.
SIDE_BY_SIDE = 64_000_000  # bytes of activations
CROWD = 32  # models


def fitting(stack: Stack, device: str) -> int:
    """How many models of this kind should train at once on the device: `stack` has one of them."""
    weights, activations = need(stack)
    most = int(free(device) * RESERVE) // max(1, COPIES * weights + int(BACKWARD * activations))
    if not device.startswith("cuda"):
        most = min(most, CROWD, SIDE_BY_SIDE // max(1, activations))
    return max(1, most)


def need(stack: Stack) -> tuple[int, int]:
    """Bytes of one model: of its weights, and of what a step keeps for its way back (one forward pass is made)."""
    seen: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        seen[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        loss = stack.probe()
    shared = stack.permanent()
    del loss
    return stack.weight_bytes(), sum(size for where, size in seen.items() if where not in shared)


def free(device: str) -> int:
    """Bytes that are free on the device."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0]) + _cached(device)
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // max(1, os.cpu_count() or 1)


def _cached(device: str) -> int:
    """Bytes that torch holds of the device without using them."""
    return int(torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def ran_out(error: Exception) -> bool:
    """Whether an exception says that memory did not suffice."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def release(device: str) -> None:
    """Give back what torch holds of the device without using it."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
