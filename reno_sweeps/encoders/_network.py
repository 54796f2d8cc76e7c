"""A checkpoint's network, loaded from safetensors, complete, frozen, without a word."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reno_sweeps.records import UserError

UNFIT = (OSError, ValueError, RuntimeError, TypeError, LookupError, AttributeError)  # what a config's settings end in


def frozen(name: str, folder: Path, precision: str) -> Any:
    """The frozen network; a UserError where the folder's weights do not fill it."""
    import torch
    from transformers import AutoModel

    with loading(name, folder):
        model, found = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=getattr(torch, precision),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
    _refuse_others(name, folder, found)
    return model.eval().requires_grad_(False)


@contextlib.contextmanager
def loading(name: str, folder: Path) -> Iterator[None]:
    """Transformers at work on a folder, without a word; a UserError for settings or weights that it cannot use."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        with quiet():
            yield
    except (*UNFIT, SafetensorError, StrictDataclassError) as fault:
        raise UserError(f"encoder {name}: {folder} cannot be loaded ({_said(fault)})") from fault


def _said(fault: Exception) -> str:
    """One line of it: a config's faults come in two, its words that nobody knows as a bare word."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    said = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    return f"{type(fault).__name__}: {said}" if isinstance(fault, LookupError) or not said else said


def _refuse_others(name: str, folder: Path, found: Mapping[str, Any]) -> None:
    """Refuse weights that are not those of the model that config.json describes: transformers would draw the rest."""
    if found["mismatched_keys"]:
        key, here, said = min(found["mismatched_keys"])
        raise UserError(
            f"encoder {name}: {folder} holds weights of another size than its config.json says\n"
            f"the first: {key} is {list(here)}, a model of that configuration has {list(said)}"
        )
    missing = sorted(key for key in found["missing_keys"] if not key.endswith("masked_spec_embed"))
    if missing:
        raise UserError(f"encoder {name}: {folder} lacks {len(missing)} weights of the model, the first: {missing[0]}")
    more = sorted(key for key in found["unexpected_keys"] if "encoder.layers." in key)
    if more:
        raise UserError(f"encoder {name}: {folder} holds more layers than its config.json says, the first: {more[0]}")


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Without PyTorch's advice on how transformers calls its attention (WavLM's masks, on every batch)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no advice on training from transformers."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
