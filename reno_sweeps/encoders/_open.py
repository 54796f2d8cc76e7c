"""From an encoder's id to its facts and to the encoder itself. Nothing heavy is imported before one is loaded."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from reno_sweeps import catalogue
from reno_sweeps.encoders._facts import Encoder, EncoderFacts
from reno_sweeps.records import UserError


def load_encoder(
    id: str,  # noqa: A002  # the word of the interface
    weights: str | None = None,
    device: str = "cpu",
    precision: str = "float32",
    download: bool = False,
) -> Encoder:
    """A frozen encoder: `.embed(list of 1-D float32 arrays at 16 kHz)` gives float32 [n, dim].

    `weights` is a local folder to use instead of the id's own source. Nothing is downloaded unless asked.
    """
    encoder: Encoder = _family(id).load(id, weights or shelved(id), device, precision, download)
    return encoder


def encoder_facts(id: str, weights: str | None = None, download: bool = False) -> dict[str, Any]:  # noqa: A002
    """What makes an embedding of this encoder what it is: encoder, weights, layer, pooling, precision, normalize, code.

    Light: weights are hashed or looked up, not loaded. A UserError says what is missing and how to get it.
    """
    facts: dict[str, Any] = _family(id).facts(id, weights or shelved(id), download)
    return facts


def shelved(name: str) -> str | None:
    """The folder of a named encoder's weights below RENO_WEIGHTS, where there is one: a folder for each id."""
    shelf, base = os.environ.get("RENO_WEIGHTS"), name.partition("@")[0]
    folder = Path(shelf).expanduser() / base if shelf and re.fullmatch(r"[a-z0-9-]+", base) else None
    return str(folder) if folder and folder.is_dir() else None


def list_encoders() -> list[dict[str, Any]]:
    """One row per id on offer: its facts and whether it could be used now, offline ('file:' and 'hf:' depend: None)."""
    rows = []
    for family in _families():
        rows += [dataclasses.asdict(row) | {"at_hand": bool(shelved(row.id)) or family.at_hand(row.id)} for row in family.ROWS]
        if family.PREFIX:
            rows.append(dataclasses.asdict(family.PATTERN) | {"at_hand": None})
    return rows


def _families() -> list[ModuleType]:
    return [catalogue.load("encoders", name) for name in catalogue.names("encoders")]


def _family(asked: str) -> ModuleType:
    """The module that knows the id; options behind '@' are its own business."""
    families = _families()
    for family in families:
        if family.PREFIX and asked.startswith(family.PREFIX) and asked != family.PREFIX:
            return family
        if asked.split("@", 1)[0] in {row.id for row in family.ROWS}:
            return family
    offer: list[EncoderFacts] = [row for family in families for row in family.ROWS]
    patterns = [family.PATTERN.id for family in families if family.PREFIX]
    raise UserError(catalogue.unknown("encoders", asked, tuple([row.id for row in offer] + patterns)))
