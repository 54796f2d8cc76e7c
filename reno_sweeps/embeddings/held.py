"""What a cache holds: its entries by the encoder that made them. Nothing is changed, nothing heavy is imported."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reno_sweeps.embeddings.address import FACTS

_ENTRY = re.compile(r"(?P<address>[0-9a-f]{64})\.safetensors")
_HEADER = 1 << 16  # bytes of an entry's header, at most; ours have some hundreds


@dataclass(slots=True)
class Held:
    """The entries of one encoder."""

    facts: Mapping[str, Any] | None  # those of its address but the sound; None: damaged, so nobody's
    files: list[Path] = field(default_factory=list)
    bytes: int = 0
    last_used: float = 0.0  # Unix time, the latest of all; as far as the file system notes reading


def key(facts: Mapping[str, Any] | None) -> str:
    """The same for the same encoder with the same weights and options."""
    return "" if facts is None else json.dumps({name: facts.get(name) for name in FACTS}, sort_keys=True, default=str)


def held(cache: Path) -> dict[str, Held]:
    """By `key`: what lies in the cache in files that only it can have written; links are passed over."""
    found: dict[str, Held] = {}
    for file, known in _entries(cache):
        facts = _facts(file)
        own = found.setdefault(key(facts), Held(facts))
        own.files.append(file)
        own.bytes += known.st_size
        own.last_used = max(own.last_used, known.st_atime, known.st_mtime)
    return found


def _entries(cache: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for folder in sorted(cache.glob("[0-9a-f][0-9a-f]")):
        if folder.is_symlink() or not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                named = _ENTRY.fullmatch(entry.name)
                if named and named["address"].startswith(folder.name) and entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


def _facts(file: Path) -> dict[str, Any] | None:
    """The facts that an entry holds of itself; None where it is damaged. Reading does not count as use."""
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOATIME", 0))
    except PermissionError:  # only the owner may read without a trace
        descriptor = os.open(file, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        content = stream.read(min(size, _HEADER))
    try:
        facts = json.loads(json.loads(content)["__metadata__"]["facts"])
        return {name: facts[name] for name in FACTS}
    except (ValueError, KeyError, TypeError):
        return None
