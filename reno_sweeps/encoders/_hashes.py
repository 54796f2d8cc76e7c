"""Hashes of weights: a file is read once in a process, as long as it stays as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

_known: dict[tuple[object, ...], str] = {}


def sha256(file: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    return once(file, "bytes", lambda: _read(file))


def once(file: Path, what: str, compute: Callable[[], str]) -> str:
    """What `compute` makes of the file, called `what`; remembered while place, size and times of change are the same.

    A command asks for the address of weights and then loads them, and both need the hash: of 4 GB, seconds each time.
    """
    now = file.stat()
    key = (what, str(file.resolve()), now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    if key not in _known:
        _known[key] = compute()
    return _known[key]


def _read(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
