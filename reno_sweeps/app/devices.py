"""Which device encodes: what was asked for, or the GPU where there is one; never silently another."""

from __future__ import annotations

from reno_sweeps.records import UserError


def settle(asked: str) -> str:
    """'cpu' or 'cuda' for auto, cpu or cuda; a UserError where a GPU was asked for and none is there."""
    if asked == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if asked == "cuda":
        raise UserError("--device cuda: PyTorch sees no GPU on this machine\nuse --device cpu or --device auto")
    return "cpu"
