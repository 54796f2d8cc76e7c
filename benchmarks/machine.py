"""Where something was measured, and how the figures are shown: shared by all benchmarks."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "reno-sweeps", "torch", "torchaudio", "transformers", "ray", "optuna", "mlflow", "numpy", "soundfile", "soxr",
)  # fmt: skip


def machine() -> dict[str, object]:
    """Processor, cores, load at this moment, torch's threads, GPU, and the versions of what is at hand."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        **_versions(),
    }


def show(found: Mapping[str, object], output: Path | None) -> None:
    """Print the figures as JSON; write them where asked."""
    text = json.dumps(found, indent=2)
    print(text)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text + "\n")


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # a machine with the training floor alone
            continue
    return found


def _processor() -> str:
    facts = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in facts if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
