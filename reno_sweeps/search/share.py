"""How a machine or a cluster is divided among workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reno_sweeps.records import UserError

WORKERS_PER_GPU = 4  # while models train in a plain loop one process cannot fill a GPU


@dataclass(frozen=True, slots=True)
class Share:
    """What every worker gets, and how many work at once."""

    device: str  # cpu, cuda
    workers: int
    gpu: float = 0.0  # share of a GPU for each worker

    def resources(self) -> dict[str, float]:
        """In Tune's words."""
        return {"cpu": 1, "gpu": self.gpu} if self.gpu else {"cpu": 1}


def share(device: str, gpus: int | None, resources: Mapping[str, float]) -> Share:
    """One worker a core, or a few on each GPU; never silently another device than asked for.

    `resources` are the cluster's, in Ray's words; `gpus` limits how many are used (None: all).
    """
    cores, there = max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0))
    if device == "cuda" and not there:
        raise UserError("--device cuda: no GPU is visible to Ray on this machine\nuse --device cpu or --device auto")
    if gpus is not None and gpus > there:
        raise UserError(f"--gpus {gpus}: {there} GPUs are visible\nuse --gpus auto, or --device cpu")
    if device == "cuda" and gpus == 0:
        raise UserError("--device cuda with --gpus 0: nothing to train on\nuse --gpus auto, or --device cpu")
    used = min(cores, there if gpus is None else gpus)
    if device == "cpu" or used == 0:
        return Share("cpu", cores)
    each = min(WORKERS_PER_GPU, cores // used)  # whole workers on each GPU: a share of 2/3 would leave a third idle
    return Share("cuda", used * each, gpu=1 / each)
