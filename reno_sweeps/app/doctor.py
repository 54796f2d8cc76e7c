"""`doctor`: the installation, examined: versions, devices, memory, folders, stores, weights."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from reno_sweeps.config.settings import Settings, gather, masked

PACKAGES = (
    "reno-sweeps", "torch", "torchaudio", "transformers", "mlflow", "optuna", "ray", "scikit-learn", "pandas", "numpy",
    "soundfile", "soxr", "safetensors", "typer",
)  # fmt: skip
ANSWERS = 5.0  # seconds that the weights' source has for its first answer
LITTLE = 2 * 2**30  # bytes of memory or disk below which a sweep is likely to end badly


def examine(options: Mapping[str, Any]) -> dict[str, Any]:
    """Every check with its state: ok, warning or fault."""
    settings = gather(options)
    examinations: dict[str, Callable[[], tuple[str, str]]] = {
        "python": lambda: ("ok", f"{platform.python_version()} on {platform.platform()}"),
        "packages": _packages,
        "audio": _audio,
        "cores": lambda: ("ok", f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} usable"),
        "memory": _memory,
        "gpu": _gpu,
        "home": lambda: _folder(settings.home),
        "cache": lambda: _folder(settings.cache),
        "temporary folder": _temporary,
        "MLflow": lambda: _tracking(settings),
        "study storage": lambda: _storage(settings),
        "network": _network,
        "encoders": _encoders,
    }
    return {"checks": [_row(name, check) for name, check in examinations.items()]}


def _row(name: str, check: Callable[[], tuple[str, str]]) -> dict[str, str]:
    try:
        state, found = check()
    except Exception as error:  # noqa: BLE001  # a doctor reports what is broken, whatever it is
        state, found = "fault", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return {"check": name, "state": state, "found": found}


def _packages() -> tuple[str, str]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    return ("fault", f"missing: {', '.join(missing)}") if missing else ("ok", ", ".join(found))


def _audio() -> tuple[str, str]:
    import soundfile

    formats = [name for name in ("WAV", "FLAC", "OGG", "MP3") if name in soundfile.available_formats()]
    state = "ok" if len(formats) == 4 else "warning"  # the four that audio.py promises
    return state, f"{soundfile.__libsndfile_version__} reads {', '.join(formats)}"


def _memory() -> tuple[str, str]:
    import psutil

    free = psutil.virtual_memory().available
    return (
        "warning" if free < LITTLE else "ok"
    ), f"{free / 2**30:.1f} GiB free of {psutil.virtual_memory().total / 2**30:.1f}"


def _gpu() -> tuple[str, str]:
    import torch

    if not torch.cuda.is_available():
        return "ok", "none: --device auto uses the CPU"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return "ok", ", ".join(names)


def _folder(folder: Path) -> tuple[str, str]:
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        return "fault", f"{folder}: no permission to write in {there}"
    free = shutil.disk_usage(there).free
    return ("warning" if free < LITTLE else "ok"), f"{folder}: {free / 2**30:.1f} GiB free"


def _temporary() -> tuple[str, str]:
    import tempfile

    return _folder(Path(tempfile.gettempdir()))


def _tracking(settings: Settings) -> tuple[str, str]:
    from tracking.store import connect, exists

    if settings.tracking_uri.startswith("sqlite"):
        made = "there" if exists(settings.tracking_uri) else "made by the first sweep"
        return "ok", f"{settings.tracking_uri} ({made})"
    connect(settings.tracking_uri)
    return "ok", f"{masked(settings.tracking_uri)} answers"


def _storage(settings: Settings) -> tuple[str, str]:
    import sqlalchemy

    url = sqlalchemy.make_url(settings.storage)
    if url.get_backend_name() == "sqlite":
        made = "there" if url.database and Path(url.database).exists() else "made by the first sweep"
        return "ok", f"{settings.storage} ({made})"
    sqlalchemy.create_engine(url).connect().close()
    return "ok", f"{masked(settings.storage)} answers"


def _network() -> tuple[str, str]:
    """Whether weights could be fetched; everything else works without a network."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "ok", "not used: HF_HUB_OFFLINE is set"
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=ANSWERS).close()  # noqa: S310  # the hub's own address
    except HTTPError:
        pass  # refused, but answered
    except OSError as error:
        why = getattr(error, "reason", error)
        return "warning", f"{constants.ENDPOINT} does not answer ({why}): --download cannot work, all else does"
    return "ok", f"{constants.ENDPOINT} answers"


def _encoders() -> tuple[str, str]:
    from reno_sweeps.encoders import list_encoders

    rows = list_encoders()
    here = [row["id"] for row in rows if row["at_hand"]]
    away = [row["id"] for row in rows if row["at_hand"] is False]
    return "ok", f"at hand: {', '.join(here)}" + (f"; without weights here: {', '.join(away)}" if away else "")
