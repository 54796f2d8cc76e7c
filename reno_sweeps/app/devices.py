"""Which device encodes and which train: what was asked for, or the GPU where there is one; never silently another."""

from __future__ import annotations

from typing import Any

from reno_sweeps import cluster
from reno_sweeps.config.settings import Settings
from reno_sweeps.records import Sweep, UserError


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


def for_extraction(settings: Settings) -> dict[str, Any]:
    """How clips are embedded, in the words of `extract`. A cluster's GPUs are known once it is joined."""
    away = settings.ray_address is not None
    return {
        "device": settings.device if away else settle(settings.device),
        "workers": settings.workers,
        "ray_address": settings.ray_address,
        "gpus": settings.gpus,
    }


def refuse_absent(settings: Settings) -> None:
    """Refuse GPUs or a cluster that are not there, while nothing is begun; a cluster's GPUs are known once joined."""
    if settings.ray_address is not None:
        _knock(settings.ray_address)
    elif settings.gpus is not None:
        import torch

        from reno_sweeps.search.share import share

        share(settings.device, settings.gpus, {"GPU": torch.cuda.device_count()})


def refuse_precision(sweep: Sweep, settings: Settings) -> None:
    """TF32 is an arithmetic of GPUs: on a CPU every trial would fail, so nothing is begun."""
    local = settings.ray_address is None  # a cluster's devices are known once it is joined
    if sweep.fixed.get("training.precision") == "tf32" and local and settle(settings.device) == "cpu":
        raise UserError(
            "training.precision: tf32 needs a GPU, and this sweep would train on the CPU\nfix float32 instead"
        )


def _knock(address: str) -> None:
    if ":" not in address:
        return  # auto, local: Ray looks on this machine
    try:
        cluster.knock(address)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--ray-address {address}: nothing answers there ({error})\n"
            "give HOST:PORT of a running cluster's head node (`ray start --head` prints it), or leave it out"
        ) from None
