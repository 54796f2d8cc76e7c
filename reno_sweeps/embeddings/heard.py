"""What was decoded before: from a file's bytes to the digest of its samples, so that no recording is decoded twice."""

from __future__ import annotations

import json
import logging
import uuid
from pathlib import Path

from reno_sweeps import audio
from reno_sweeps.files import parsed, write_bytes

logger = logging.getLogger(__name__)

BATCH = 256  # recordings in one file: few files to read, little lost when killed


class Heard:
    """An index in a folder: SHA-256 of a file's bytes → digest of its decoded samples.

    Each writer adds files of its own and none is ever changed, so that writers cannot meet. Entries belong to one
    VERSION of audio.py; a damaged file is passed over, its recordings are decoded again.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / f"audio-{audio.VERSION}"
        self._known: dict[str, str] = {}
        self._new: dict[str, str] = {}
        for file in sorted(self._folder.glob("*.json")):
            self._known |= _read(file)

    def get(self, file_digest: str) -> str | None:
        """The digest of the samples of a file with these bytes; None where it was never decoded."""
        return self._known.get(file_digest)

    def add(self, file_digest: str, samples_digest: str) -> None:
        """Remember a decoded file; written in batches, the rest by `flush`."""
        self._known[file_digest] = self._new[file_digest] = samples_digest
        if len(self._new) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is new."""
        if self._new:
            write_bytes(self._folder / f"{uuid.uuid4().hex}.json", json.dumps(self._new).encode())
            self._new = {}


def _read(file: Path) -> dict[str, str]:
    try:
        found = parsed(file.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
        logger.warning("damaged index of recordings %s: they are decoded again", file)
        return {}
    return found
