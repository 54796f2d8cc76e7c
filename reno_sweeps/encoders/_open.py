"""From an encoder's id to its facts and to the encoder itself. Nothing heavy is imported before one is loaded."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from reno_sweeps import catalogue
from reno_sweeps.encoders._exact import present
from reno_sweeps.encoders._facts import Encoder, EncoderFacts
from reno_sweeps.records import UserError

ORDER = ("id", "family", "source", "dim", "parameters", "licence", "at_hand", "page")  # of a row's columns


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
    family = family_of(id)
    present(id, device)
    encoder: Encoder = family.load(id, weights or shelved(id), device, precision, download)
    return encoder


def encoder_facts(id: str, weights: str | None = None, download: bool = False) -> dict[str, Any]:  # noqa: A002
    """What makes an embedding of this encoder what it is: encoder, weights, layer, pooling, precision, normalize, code.

    Light: weights are hashed or looked up, not loaded. A UserError says what is missing and how to get it.
    """
    facts: dict[str, Any] = family_of(id).facts(id, weights or shelved(id), download)
    return facts


def fetch_encoder(id: str) -> Path:  # noqa: A002
    """The folder of an encoder's weights, downloaded from their official place as far as they are not there.

    A UserError where there is nothing to fetch, or where a page must be visited by hand (it names the page).
    """
    family = family_of(id)
    if not hasattr(family, "fetch"):
        raise UserError(f"{id} is {_origin(family)}: nothing to fetch")
    folder: Path = family.fetch(id)
    return folder


def convert_encoder(id: str, source: Path, target: Path) -> dict[str, Any]:  # noqa: A002
    """An official checkpoint as safetensors in the folder `target`: what was written, with its hash."""
    family = family_of(id)
    if not hasattr(family, "convert"):
        raise UserError(f"{id} is {_origin(family)}: nothing to convert")
    said: dict[str, Any] = family.convert(id, source, target)
    return said


def shelf(name: str) -> Path | None:
    """Where a named encoder's weights belong below RENO_WEIGHTS; None without that variable, or for other ids."""
    root, base = os.environ.get("RENO_WEIGHTS"), name.partition("@")[0]
    return Path(root).expanduser() / base if root and re.fullmatch(r"[a-z0-9-]+", base) else None


def given_for(name: str, weights: Mapping[str, str]) -> str | None:
    """The weights given for an encoder, under its id with or without its options."""
    return weights.get(name) or weights.get(name.partition("@")[0])


def shelved(name: str) -> str | None:
    """The folder of a named encoder's weights below RENO_WEIGHTS: a folder for each id. None where nothing is in it."""
    folder = shelf(name)
    return str(folder) if folder and folder.is_dir() and any(folder.iterdir()) else None


def list_encoders() -> list[dict[str, Any]]:
    """One row per id on offer: its facts and whether it could be used now, offline ('file:' and 'hf:' depend: None)."""
    rows = []
    for family in _families():
        rows += [_row(row, _at_hand(family, row.id)) for row in family.ROWS]
        if family.PREFIX:
            rows.append(_row(family.PATTERN, at_hand=None))
    return rows


def family_of(asked: str) -> ModuleType:
    """The module that knows the id; options behind '@' are its own business."""
    families = _families()
    for family in families:
        if family.PREFIX and asked.startswith(family.PREFIX) and asked != family.PREFIX:
            return family
        if asked.split("@", 1)[0] in {row.id for row in family.ROWS}:
            return family
    for family in families:
        if why := getattr(family, "elsewhere", lambda _: None)(asked):
            raise UserError(why)
    offer: list[EncoderFacts] = [row for family in families for row in family.ROWS]
    patterns = [family.PATTERN.id for family in families if family.PREFIX]
    raise UserError(catalogue.unknown("encoders", asked, tuple([row.id for row in offer] + patterns)))


def _families() -> list[ModuleType]:
    return [catalogue.load("encoders", name) for name in catalogue.names("encoders")]


def _row(facts: EncoderFacts, at_hand: bool | None) -> dict[str, Any]:
    known = dataclasses.asdict(facts) | {"at_hand": at_hand}
    return {column: known[column] for column in ORDER}


def _at_hand(family: ModuleType, name: str) -> bool:
    """What lies below RENO_WEIGHTS is what would be used, so a broken folder there counts."""
    folder = shelved(name)
    return bool(family.usable(name, Path(folder)) if folder and hasattr(family, "usable") else family.at_hand(name))


def _origin(family: ModuleType) -> str:
    return "computed" if all(row.source == "computed" for row in family.ROWS) and family.ROWS else "a file of yours"
