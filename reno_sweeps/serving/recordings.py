"""Recordings as people give them (files, folders, bytes, samples), decoded a few at a time."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps import audio
from reno_sweeps.records import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 64  # recordings in memory at once

Recording = Any  # a file's path (str, Path), a file's content (bytes) or samples (1-D float array at 16 kHz)


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording that could be decoded, or why it could not: one of `samples` and `fault` is there."""

    name: str | None  # its path; None: it came without one
    number: int = 0  # its place among what was given
    samples: NDArray[np.float32] | None = None  # [n] at 16 kHz
    fault: str | None = None

    def __len__(self) -> int:
        """Samples."""
        return 0 if self.samples is None else len(self.samples)


def expand(places: Sequence[str | Path]) -> list[Path]:
    """Files as they were given, folders as all the recordings below them in order of path; hidden files left out."""
    found: list[Path] = []
    for place in map(Path, places):
        inside = list(_below(place)) if place.is_dir() else [place]
        if not inside:
            kinds = ", ".join(audio.SUFFIXES)
            raise UserError(f"folder {place} holds no recordings\nfiles that are heard: {kinds}, at any depth")
        found += inside
    return found


def _below(place: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(audio.SUFFIXES) and not name.startswith("."):
                yield Path(folder) / name


def heard(
    recordings: Sequence[Recording], names: Sequence[str | None] | None = None, seconds: float = math.inf
) -> Iterator[list[Heard]]:
    """The recordings in order, decoded, at most 64 at a time; `names` replace what files are called.

    A UserError as soon as they last longer than `seconds` together.
    """
    called = names or [str(one) if isinstance(one, str | Path) else None for one in recordings]
    left = seconds * audio.RATE
    for start in range(0, len(recordings), BATCH):
        batch = []
        for number in range(start, min(start + BATCH, len(recordings))):
            batch.append(_hear(recordings[number], called[number], number))
            left -= len(batch[-1])
            if left < 0:
                raise UserError(
                    f"the recordings last longer than {seconds:g} s together\nsend them in several requests"
                )
        yield batch


def _hear(recording: Recording, name: str | None, number: int) -> Heard:
    try:
        return Heard(name, number, samples=_samples(recording))
    except audio.AudioError as fault:
        return Heard(name, number, fault=str(fault))
    except (OSError, ValueError) as fault:  # a path that no file can have
        return Heard(name, number, fault=f"{str(recording)[:100]}: cannot be opened ({type(fault).__name__})")


def _samples(recording: Recording) -> NDArray[np.float32]:
    if isinstance(recording, str | Path):
        return audio.decode(Path(recording))
    if isinstance(recording, bytes | bytearray | memoryview):
        return _decoded(bytes(recording))
    return _checked(recording)


def _decoded(content: bytes) -> NDArray[np.float32]:
    """The one way in takes files, and libsndfile reads MP3 best from one."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recording"
        file.write_bytes(content)
        try:
            return audio.decode(file)
        except audio.AudioError as fault:
            raise audio.AudioError(str(fault).replace(f"{file}: ", f"{len(content)} bytes: ", 1)) from fault


def _checked(samples: Any) -> NDArray[np.float32]:
    import numpy as np

    array = np.asarray(samples)
    if array.ndim != 1 or array.dtype.kind != "f":
        kind = f"{array.dtype} {list(array.shape)}"
        raise UserError(f"a recording of {kind}: give a file, a file's bytes, or 1-D real samples at {audio.RATE} Hz")
    if not array.size or not np.isfinite(array).all():
        raise audio.AudioError(f"{array.size} samples: a recording has at least one, all of them finite numbers")
    return np.ascontiguousarray(array, np.float32)
