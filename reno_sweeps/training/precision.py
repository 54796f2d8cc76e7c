"""The arithmetic that a training asks for: TF32 on CUDA, autocast's bfloat16 back in the losses' own type."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from reno_sweeps.records import Model, UserError


@contextlib.contextmanager
def arithmetic(name: str) -> Iterator[None]:
    """TF32 on CUDA for as long as models that ask for it train."""
    if name != "tf32":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def refuse(model: Model, device: str) -> None:
    """Raise the UserError for a precision that the device has not got."""
    precision = model.values.get("training.precision", "float32")
    if precision == "tf32" and not device.startswith("cuda"):
        raise UserError(
            f"training.precision tf32 was asked for on device {device}\n"
            "tf32 is arithmetic of CUDA devices; a CPU has float32, float64 and bf16\n"
            "set training.precision to one of those, or use --device cuda"
        )


def widened(part: Any, dtype: torch.dtype) -> Any:
    """What autocast left in bfloat16, as the losses expect it."""
    if part is None:
        return None
    return part.to(dtype) if isinstance(part, Tensor) else tuple(p.to(dtype) for p in part)
