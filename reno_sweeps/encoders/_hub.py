"""Where a checkpoint's folder lies: given, or in the local Hugging Face cache; downloads only when told to."""

from __future__ import annotations

import hashlib
from pathlib import Path

from reno_sweeps.files import replacing
from reno_sweeps.records import UserError

SMALL = ["config.json", "preprocessor_config.json", "processor_config.json"]
SAFE = ["*.safetensors", "*.safetensors.index.json"]
LEGACY = "pytorch_model.bin"


def hub_folder(name: str, hub_id: str, download: bool) -> Path:
    """The newest snapshot of `hub_id` at hand; a UserError says how to get one where there is none."""
    folder = cached(hub_id)
    if folder and any(folder.glob("*.safetensors")):
        return folder
    if download:
        return fetch(name, hub_id)
    raise UserError(
        f"encoder {name}: the weights of {hub_id} are not on this machine\n"
        "nothing is downloaded unless asked: add --download\n"
        f"or give a folder with config.json and model.safetensors: --weights {name}=DIR"
    )


def cached(hub_id: str) -> Path | None:
    """The snapshot's folder in the local cache, named by its revision; None where there is none."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(hub_id, "config.json")
    except HFValidationError as fault:
        raise UserError(f"encoder hf:{hub_id}: neither a folder nor a hub id (owner/name)") from fault
    return Path(found).parent if isinstance(found, str) else None


def fetch(name: str, hub_id: str) -> Path:
    """Download a checkpoint into the local cache: safetensors, or the older format, converted on arrival."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # its HTTP client's, re-exported

    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=SMALL + SAFE))
        if not any(folder.glob("*.safetensors")):
            snapshot_download(hub_id, allow_patterns=[LEGACY])
    except (HTTPError, OSError, ValueError) as fault:
        reason = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        raise UserError(
            f"encoder {name}: {hub_id} could not be downloaded ({reason})\n"
            f"check the name and the network, or give a folder: --weights {name}=DIR"
        ) from fault
    if not any(folder.glob("*.safetensors")):
        convert(folder / LEGACY, folder / "model.safetensors")
    return folder


def convert(legacy: Path, safe: Path) -> None:
    """A `pytorch_model.bin` as safetensors; only tensors are read from it, never code."""
    import pickle

    import torch
    from safetensors.torch import save_file

    if not legacy.is_file():
        raise UserError(f"{safe.parent}: neither {safe.name} nor {legacy.name}")
    try:
        tensors = torch.load(legacy, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as fault:
        raise UserError(f"{legacy}: not a file of plain tensors; convert it where it comes from") from fault
    plain = {key: value.clone().contiguous() for key, value in tensors.items() if isinstance(value, torch.Tensor)}
    with replacing(safe) as temporary:
        save_file(plain, temporary, metadata={"format": "pt"})


def weights_digest(folder: Path) -> str:
    """SHA-256 (64 hex digits) of a local checkpoint: its config.json and its safetensors, whatever else lies there."""
    total = hashlib.sha256()
    for file in [folder / "config.json", *sorted(folder.glob("*.safetensors"))]:
        with file.open("rb") as stream:
            total.update(f"{file.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
