"""Where a checkpoint's folder lies: given, or in the local Hugging Face cache; downloads only when told to."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

from reno_sweeps.encoders import _safetensors
from reno_sweeps.encoders._hashes import sha256
from reno_sweeps.records import UserError

SMALL = ["config.json", "preprocessor_config.json", "processor_config.json"]
SAFE = ["model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json"]  # not a language's adapters
LEGACY = "pytorch_model.bin"


def hub_folder(name: str, hub_id: str, download: bool) -> Path:
    """The newest snapshot of `hub_id` at hand; a UserError says how to get one where there is none."""
    folder = cached(hub_id)
    if folder and _safetensors.fault(folder) is None:
        return folder
    if download:
        return fetch(name, hub_id)
    found = "are only in part on" if folder and any(folder.glob("*.safetensors")) else "are not on"
    raise UserError(
        f"encoder {name}: the weights of {hub_id} {found} this machine\n"
        f"get them: reno-sweep encoders fetch {name} (run and embed do it with --download)\n"
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
    """Download a checkpoint into the local cache: safetensors, or the older format, converted on arrival.

    What an interrupted download left is gone on with, by huggingface_hub.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # its HTTP client's, re-exported

    from reno_sweeps.encoders._convert import legacy

    try:
        with _unheard():
            folder = Path(snapshot_download(hub_id, allow_patterns=SMALL + SAFE))
            if not any(folder.glob("*.safetensors")):
                snapshot_download(hub_id, allow_patterns=[LEGACY])
    except (HTTPError, OSError, ValueError, RuntimeError) as fault:
        reason, advice = _reason(hub_id, fault)
        raise UserError(
            f"encoder {name}: {hub_id} could not be downloaded: {reason}\n{advice}, "
            f"or give a folder: --weights {name}=DIR"
        ) from fault
    if not any(folder.glob("*.safetensors")):
        legacy(folder / LEGACY, folder / "model.safetensors")
    if said := _safetensors.fault(folder):
        raise UserError(f"encoder {name}: {said}\nremove that file and fetch again")
    return folder


def _reason(hub_id: str, fault: Exception) -> tuple[str, str]:
    """What stopped a download, and what to do."""
    from huggingface_hub import constants, errors

    hub, place = constants.ENDPOINT, constants.HF_HUB_CACHE
    offline = isinstance(fault, errors.OfflineModeIsEnabled) or constants.HF_HUB_OFFLINE
    full = isinstance(fault, OSError) and fault.errno == errno.ENOSPC
    broken = isinstance(fault, errors.LocalEntryNotFoundError) or not isinstance(fault, OSError | ValueError)
    known = (
        (isinstance(fault, errors.HFValidationError), "neither a folder nor a hub id (owner/name)", "check the name"),
        (offline, "HF_HUB_OFFLINE is set", "unset it"),
        (isinstance(fault, errors.GatedRepoError), "its owners grant access", f"ask at {hub}/{hub_id}, set HF_TOKEN"),
        (isinstance(fault, errors.RepositoryNotFoundError), f"{hub} has no such model", "check the name"),
        (full, "the disk is full", f"make room below {place} (or set HF_HOME) and try again"),
        (broken, f"{hub} cannot be reached, or broke off", "what has arrived is kept: try again"),
    )
    said = str(fault).strip().splitlines()
    other = (said[0] if said else type(fault).__name__, "try again")
    return next(((reason, advice) for holds, reason, advice in known if holds), other)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Without a line for every attempt to resume: what is final is an error, and said once."""
    from huggingface_hub.utils import logging as words

    level = words.get_verbosity()
    words.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        words.set_verbosity(level)


def weights_digest(folder: Path) -> str:
    """SHA-256 (64 hex digits) of a local checkpoint: its config.json and its safetensors, whatever else lies there."""
    total = hashlib.sha256()
    for file in [folder / "config.json", *sorted(folder.glob("*.safetensors"))]:
        total.update(f"{file.name} {sha256(file)}\n".encode())
    return total.hexdigest()
