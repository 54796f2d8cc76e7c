"""How a machine or a cluster is divided among workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reno_sweeps.records import UserError

WORKERS_PER_GPU = 1  # a cohort is one tensor program, which fills a GPU; a second process would halve its memory
GPU_COHORT = 16  # configurations at once that cost TPE little (tests/search/test_ahead.py); by five folds: 80 models
COHORT_SECONDS = 2.0  # of a worker's training at least: the 0.1 to 0.4 s between two cohorts are then small


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
    """One worker a core, or one on each GPU; never silently another device than asked for.

    A GPU is not shared: its one worker trains a whole cohort as one program, as large as the memory allows.

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


def workers_now(part: Share, gpus: int | None, resources: Mapping[str, float]) -> int:
    """How many workers of this kind a cluster holds whose nodes come and go; 0 while none fits."""
    if part.device == "cpu":
        return int(resources.get("CPU", 0))
    there = int(resources.get("GPU", 0))
    each = round(1 / part.gpu)
    return min(int(resources.get("CPU", 0)), each * (there if gpus is None else min(gpus, there)))


def cohort_size(device: str, *, ahead: int, workers: int, seconds: float | None) -> int:
    """`--cohort auto`: configurations that train together, so that every worker has some and none takes too long.

    Never more than `ahead` allows each worker. On a GPU as many: what does not fit its memory at once, the trainer
    trains in turn. On a CPU, where large stacks are no faster, light trainings go together until a cohort is worth
    its dispatch, and heavy ones alone, so that no worker is busy long after the others. `seconds` is what a trial's
    folds have taken so far on average, in all; None: nothing has ended, and a cohort is one configuration.
    """
    most = max(1, ahead // workers)
    if device != "cpu":
        return most
    return 1 if seconds is None else max(1, min(most, round(COHORT_SECONDS / max(seconds, 1e-3))))
