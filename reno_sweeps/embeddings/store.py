"""The embedding cache: one safetensors file per address, written whole, checked when read."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.files import parsed, write_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)


class Store:
    """Vectors by address below a folder, two levels deep so that no folder grows without bound.

    Every file holds its facts as metadata, so that it explains itself, and the hash of its vector, so that a damaged
    one is noticed: it counts as missing and is computed again.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, address: str) -> NDArray[np.float32] | None:
        """The vector [dim] at an address; None where there is none, or none that is whole (which is logged)."""
        file = self._file(address)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        vector = _unpacked(content, address)
        if vector is None:
            logger.warning("damaged embedding %s: it is computed again", file)
        return vector

    def put(self, address: str, vector: NDArray[np.float32], facts: Mapping[str, Any]) -> None:
        """Keep a vector [dim]; two writers of one address may race, each writes the same file whole."""
        write_bytes(self._file(address), _packed(address, vector, facts))

    def put_all(self, entries: Sequence[tuple[str, NDArray[np.float32], Mapping[str, Any]]]) -> None:
        """`put` for many (address, vector, facts), side by side: a disk syncs eight files in about the time of one."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(lambda entry: self.put(*entry), entries))

    def _file(self, address: str) -> Path:
        return self._root / address[:2] / f"{address}.safetensors"


def _packed(address: str, vector: NDArray[np.float32], facts: Mapping[str, Any]) -> bytes:
    from safetensors.numpy import save

    known = {"address": address, "sha256": _hash(vector), "facts": json.dumps(dict(facts), sort_keys=True)}
    packed: bytes = save({"embedding": vector}, metadata=known)
    return packed


def _unpacked(content: bytes, address: str) -> NDArray[np.float32] | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        vector: NDArray[np.float32] = load(content)["embedding"]
        known = _metadata(content)
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError):  # a kind of number that numpy lacks
        return None
    if vector.dtype != "float32" or vector.ndim != 1:  # the hash is that of the numbers, not of what they are called
        return None
    return vector if known.get("address") == address and known.get("sha256") == _hash(vector) else None


def _metadata(content: bytes) -> dict[str, str]:
    """The header's metadata; the format begins with the header's length in eight bytes, little-endian."""
    header = parsed(content[8 : 8 + int.from_bytes(content[:8], "little")])
    found: dict[str, str] = header.get("__metadata__") or {}
    return found


def _hash(vector: NDArray[np.float32]) -> str:
    return hashlib.sha256(vector.tobytes()).hexdigest()
