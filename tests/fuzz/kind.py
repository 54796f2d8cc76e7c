"""What a kind of input is: how one is made from its dice, and what the house does with it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

ROOMS = ("spaces", "corpora", "recordings", "embeddings", "checkpoints", "models")  # files beside this one


@dataclass(frozen=True, slots=True)
class Kind:
    """`make` writes one input below a folder and returns what `read` is given.

    Without dice it makes the whole input, which must be accepted. `read` returns, or raises UserError; everything else
    that it does is a crash.
    """

    name: str
    make: Callable[[Random | None, Path], Path]
    read: Callable[[Path], object]


def kinds() -> dict[str, Kind]:
    """Every kind by name."""
    return {kind.name: kind for room in ROOMS for kind in importlib.import_module(f"tests.fuzz.{room}").KINDS}


def dice_of(kind: str, seed: int, number: int) -> Random | None:
    """The dice of one input: the same on every machine. Number 0 is the whole input."""
    return Random(f"{seed} {kind} {number}") if number else None


def written(folder: Path, name: str, content: bytes) -> Path:
    """A file with this content."""
    file = folder / name
    file.write_bytes(content)
    return file
