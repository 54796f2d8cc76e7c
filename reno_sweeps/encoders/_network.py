"""A checkpoint's network, loaded from safetensors, complete, frozen, without a word."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reno_sweeps.records import UserError


def frozen(name: str, folder: Path, precision: str) -> Any:
    """The frozen network; a UserError where the folder's weights do not fill it."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModel

    try:
        with quiet():
            model, loading = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=getattr(torch, precision),
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, by name
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as fault:
        raise UserError(f"encoder {name}: {folder} cannot be loaded ({str(fault).strip().splitlines()[0]})") from fault
    _refuse_others(name, folder, loading)
    return model.eval().requires_grad_(False)


def _refuse_others(name: str, folder: Path, loading: Mapping[str, Any]) -> None:
    """Refuse weights that are not those of the model that config.json describes: transformers would draw the rest."""
    if loading["mismatched_keys"]:
        key, found, said = min(loading["mismatched_keys"])
        raise UserError(
            f"encoder {name}: {folder} holds weights of another size than its config.json says\n"
            f"the first: {key} is {list(found)}, a model of that configuration has {list(said)}"
        )
    missing = sorted(key for key in loading["missing_keys"] if not key.endswith("masked_spec_embed"))
    if missing:
        raise UserError(f"encoder {name}: {folder} lacks {len(missing)} weights of the model, the first: {missing[0]}")
    more = sorted(key for key in loading["unexpected_keys"] if "encoder.layers." in key)
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
