"""`encoders list`, `check`, `fetch` and `convert`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reno_sweeps.records import UserError


def known() -> list[dict[str, Any]]:
    """Every encoder on offer."""
    from reno_sweeps.encoders import list_encoders

    return list_encoders()


def spelled(rows: Sequence[Mapping[str, Any]]) -> str:
    """The list for people: sizes in millions, what must be got by hand below the table."""
    from reno_sweeps.reports.text import spell

    here = {True: "yes", False: "no", None: "depends"}
    shown = [
        {
            "id": row["id"],
            "source": row["source"],
            "width": row["dim"],
            "parameters": f"{row['parameters'] / 1e6:.1f} M" if row["parameters"] else None,
            "licence of weights": row["licence"],
            "at hand": here[row["at_hand"]],
        }
        for row in rows
    ]
    by_hand = [f"{row['id']}: by hand, from {row['page']}" for row in rows if row["page"]]
    return "\n".join([spell(shown), "", *by_hand, "the others without weights here: reno-sweep encoders fetch ID", ""])


def check(encoder: str, weights: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """One encoder, loaded and tried on half a second of a quiet tone; a UserError says how to get what it lacks."""
    import time

    import numpy as np

    from reno_sweeps.app import devices
    from reno_sweeps.config import settings
    from reno_sweeps.encoders import encoder_facts, load_encoder

    given = _given(encoder, weights)
    facts = encoder_facts(encoder, given)  # light: what is missing is said before PyTorch is imported
    device = devices.settle(settings.gather(options).device)
    loaded = load_encoder(encoder, given, device)
    tone = 0.1 * np.sin(2 * np.pi * 220 * np.arange(8000) / 16000).astype(np.float32)
    loaded.embed([tone])  # the first time costs more than the next
    began = time.monotonic()
    vector = loaded.embed([tone])
    return {
        "encoder": encoder,
        "dim": loaded.dim,
        "finite": bool(np.isfinite(vector).all()),
        "device": device,
        "seconds": round(time.monotonic() - began, 4),  # for half a second of sound
        "facts": dict(facts),
    }


def fetch(names: Sequence[str], *, quiet: bool) -> list[dict[str, Any]]:
    """Where the weights of each encoder lie now, their revision and size; nothing is got where one name is unknown."""
    from reno_sweeps.encoders import fetch_encoder
    from reno_sweeps.encoders._open import family_of

    for name in names:
        family_of(name)
    with _without_bars() if quiet else contextlib.nullcontext():
        return [_fetched(name, fetch_encoder(name)) for name in names]


def convert(encoder: str, source: Path, output: Path | None) -> dict[str, Any]:
    """An official checkpoint as safetensors, in `output` or in the encoder's folder below RENO_WEIGHTS."""
    from reno_sweeps.encoders import convert_encoder
    from reno_sweeps.encoders._open import family_of, shelf

    family_of(encoder)
    target = output or shelf(encoder)
    if target is None:
        raise UserError(f"encoders convert {encoder}: where to?\ngive a folder with -o, or set RENO_WEIGHTS")
    if not source.expanduser().exists():
        raise UserError(f"encoders convert {encoder}: {source} is not there\ngive the checkpoint's folder or file")
    return convert_encoder(encoder, source, target.expanduser())


def _given(encoder: str, weights: Sequence[str]) -> str | None:
    """The weights given for the encoder; a UserError for another's."""
    from reno_sweeps.config.sweep_file import Overrides
    from reno_sweeps.encoders._open import given_for

    given = Overrides.from_options(weights=weights).weights
    names = (encoder, encoder.partition("@")[0])
    if strangers := [name for name in given if name not in names]:
        raise UserError(f"--weights {strangers[0]}=…: the encoder asked about is {encoder}")
    return given_for(encoder, given)


def _fetched(name: str, folder: Path) -> dict[str, Any]:
    revision = folder.name if folder.parent.name == "snapshots" else None  # a hub's cache has a folder per revision
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"encoder": name, "folder": str(folder), "revision": revision, "bytes": size}


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    from huggingface_hub import utils

    bars: Any = utils  # its types hide what its documentation offers
    were = bars.are_progress_bars_disabled()
    bars.disable_progress_bars()
    try:
        yield
    finally:
        if not were:
            bars.enable_progress_bars()
