"""How many workers there is room for: one a core or GPU, as far as memory goes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from reno_sweeps.embeddings._load import Load
from reno_sweeps.records import UserError

PROCESS = 1.2e9  # bytes: Python, torch, transformers and a batch
COPIES = 2  # of the weights, while they are loaded


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def need(loads: Iterable[Load]) -> float:
    """Bytes of memory that a worker takes; weights that are not on this machine are not counted."""
    places = {place for load in loads if (place := load.place()) is not None}
    files = [f for place in places for f in ([place] if place.is_file() else place.rglob("*.safetensors"))]
    return PROCESS + COPIES * sum(file.stat().st_size for file in files)


def here(device: str, memory: float, gpus: int | None) -> int:
    """Workers for which this machine has room, at least one."""
    import psutil

    if device == "cuda":
        import torch

        there = torch.cuda.device_count()
        return max(1, there if gpus is None else min(there, gpus))
    return max(1, min(cores(), int(psutil.virtual_memory().available // memory)))


def settled(device: str, resources: Mapping[str, float]) -> str:
    """'cpu' or 'cuda' for auto, cpu or cuda, as the machines have it; never silently another than asked for."""
    gpus = resources.get("GPU", 0)
    if device == "cuda" and not gpus:
        raise UserError("--device cuda: no GPU is visible to Ray on these machines\nuse --device cpu or --device auto")
    return "cuda" if device != "cpu" and gpus else "cpu"


def workers(
    nodes: Sequence[Mapping[str, float]], device: str, memory: float, *, asked: int | None, gpus: int | None
) -> int:
    """How many work: as asked, else one on each GPU, or on each core as far as memory goes.

    `nodes` are the machines' resources, in Ray's words; `memory` is what one worker takes, in bytes.
    """
    if asked is not None:
        return asked
    if device == "cuda":
        there = sum(int(node.get("GPU", 0)) for node in nodes)
        return max(1, there if gpus is None else min(there, gpus))
    return max(1, sum(min(int(node.get("CPU", 0)), int(node.get("memory", 0) // memory)) for node in nodes))
