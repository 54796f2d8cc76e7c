"""Encoders' weights inside a model's folder: packed when it is registered, known by their hashes when it is opened."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reno_sweeps.encoders import convert_encoder
from reno_sweeps.encoders._hashes import sha256
from reno_sweeps.encoders._hub import SMALL
from reno_sweeps.encoders._open import family_of
from reno_sweeps.files import parsed
from reno_sweeps.records import UserError

FOLDER = "encoders"
KEY = "bundle"  # of an encoder's facts: {"folder": …, "files": {name: sha256}, "licence": …}
UNPAID = re.compile(r"\bNC\b|non-?commercial|no commercial", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """An encoder whose weights can travel."""

    position: int  # among the model's encoders
    id: str
    source: Path
    licence: str
    bytes: int  # nearly: what lies there, or what its parameters take in float32

    @property
    def said(self) -> str:
        """Id, size and licence, in half a sentence."""
        terms = "; no commercial use" if UNPAID.search(self.licence) and "commercial" not in self.licence else ""
        return f"{self.id} ({max(self.bytes, 100_000) / 1e6:.1f} MB; licence: {self.licence}{terms})"


def parts(known: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Of the encoders' descriptions those that have weights, with size and licence; computed ones have none."""
    found = []
    for position, facts in enumerate(known):
        if facts.get("folder") is None:
            continue
        name, source = str(facts["id"]), Path(facts["folder"])
        if not source.exists():
            raise UserError(f"encoder {name}: its weights are not at {source} any more\nsay where: --weights ID=DIR")
        found.append(Part(position, name, source, _licence(name), _size(name, facts, source)))
    return found


def packed(folder: Path, target: Path, travelling: Sequence[Part]) -> Path:
    """A copy of a model's folder with those encoders' weights in it, as safetensors; `target` must not exist."""
    from reno_sweeps.training.export import FACTS

    shutil.copytree(folder, target)
    description = parsed((target / FACTS).read_bytes())
    for part in travelling:
        facts, place = description["encoders"][part.position], target / FOLDER / str(part.position)
        place.mkdir(parents=True)
        if facts["encoder"] == "huggingface":
            for file in _files(part.source):
                shutil.copyfile(file, place / file.name)
        else:
            convert_encoder(part.id.partition("@")[0], part.source, place)
        files = {file.name: sha256(file) for file in sorted(place.iterdir())}
        facts[KEY] = {"folder": f"{FOLDER}/{part.position}", "files": files, "licence": part.licence}
    (target / FACTS).write_text(json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return target


def unpacked(known: Mapping[str, Any], folder: Path) -> str | None:
    """The folder of an encoder's weights inside the model's `folder`; None where they did not travel.

    A UserError where a file lacks, is one too many, or is not the one that was packed.
    """
    said = known.get(KEY)
    if said is None:
        return None
    try:
        place, files = str(said["folder"]), dict(said["files"])
    except (LookupError, TypeError, ValueError) as fault:
        raise _damaged(known, "the model's description of them cannot be read") from fault
    inside = folder / place
    if not re.fullmatch(rf"{FOLDER}/\d{{1,3}}", place) or not inside.is_dir() or inside.is_symlink():
        raise _damaged(known, f"the model's folder has no {place}")
    there = {file.name: file for file in inside.iterdir()}
    if odd := sorted(there.keys() ^ files.keys()):
        raise _damaged(known, f"{place}/{odd[0]} is {'one file too many' if odd[0] in there else 'not there'}")
    for name, file in there.items():
        if file.is_symlink() or not file.is_file() or sha256(file) != files[name]:
            raise _damaged(known, f"{place}/{name} is not the file that was packed")
    return str(inside)


def _damaged(known: Mapping[str, Any], why: str) -> UserError:
    return UserError(
        f"encoder {known['id']}: its weights, which travel with the model, are damaged: {why}\n"
        "copy the model's folder again, or register the model again"
    )


def _files(source: Path) -> Iterator[Path]:
    """What a speech checkpoint is loaded from: settings, weights, the list of their files."""
    yield from (source / name for name in SMALL if (source / name).is_file())
    yield from sorted([*source.glob("*.safetensors"), *source.glob("*.safetensors.index.json")])


def _licence(name: str) -> str:
    """Of the weights, as the encoder's row says it."""
    rows = {row.id: row.licence for row in family_of(name).ROWS}
    return str(rows.get(name.partition("@")[0], "unknown here, see where the weights come from"))


def _size(name: str, facts: Mapping[str, Any], source: Path) -> int:
    if facts["encoder"] == "huggingface":
        return sum(file.stat().st_size for file in _files(source))
    return 4 * next((row.parameters or 0 for row in family_of(name).ROWS if row.id == name.partition("@")[0]), 0)
