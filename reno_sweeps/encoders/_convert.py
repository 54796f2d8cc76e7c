"""Older checkpoints as safetensors: tensors are read, code never."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from reno_sweeps.encoders import _safetensors
from reno_sweeps.encoders._hub import LEGACY, SMALL, weights_digest
from reno_sweeps.files import replacing, write_bytes
from reno_sweeps.records import UserError

SAFE = "model.safetensors"


def legacy(old: Path, safe: Path) -> None:
    """A `pytorch_model.bin` as safetensors."""
    import pickle

    import torch
    from safetensors.torch import save_file

    if not old.is_file():
        raise UserError(f"{old.parent}: neither {SAFE} nor {old.name}")
    try:
        tensors = torch.load(old, map_location="cpu", weights_only=True)
        plain = {key: value.clone().contiguous() for key, value in tensors.items() if isinstance(value, torch.Tensor)}
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError) as fault:
        raise UserError(f"{old}: not a file of plain tensors; convert it where it comes from") from fault
    with replacing(safe) as temporary:
        save_file(plain, temporary, metadata={"format": "pt"})


def folder_of(source: Path) -> Path:
    """A checkpoint's folder, given that or a file in it."""
    place = source.expanduser()
    return place.parent if place.is_file() else place


def folder(name: str, old: Path, target: Path) -> dict[str, Any]:
    """The checkpoint of the folder `old` in the folder `target`, with its hash and its size.

    What makes the folder a checkpoint, config.json, is written last: a conversion that was stopped is none.
    """
    if (target / "config.json").exists():
        raise UserError(f"encoder {name}: {target} holds a checkpoint already\ngive another folder, or remove that one")
    if any(old.glob("*.safetensors")):
        if said := _safetensors.fault(old):
            raise UserError(f"encoder {name}: {said}\nget the checkpoint again")
        for file in sorted(old.glob("*.safetensors*")):
            with replacing(target / file.name) as temporary:
                shutil.copyfile(file, temporary)
    else:
        legacy(old / LEGACY, target / SAFE)
    for small in reversed([small for small in SMALL if (old / small).is_file()]):
        write_bytes(target / small, (old / small).read_bytes())
    return {"encoder": name, "folder": str(target), "sha256": weights_digest(target), "parameters": _count(target)}


def _count(target: Path) -> int:
    """Numbers in all tensors of a checkpoint's folder, heads that are not heard included."""
    import math

    from safetensors import safe_open

    total = 0
    for file in target.glob("*.safetensors"):
        with safe_open(file, framework="np") as tensors:
            total += sum(math.prod(tensors.get_slice(key).get_shape()) for key in tensors.keys())  # noqa: SIM118
    return total
