"""Short tones as WAV files, for the corpora's miniatures."""

from __future__ import annotations

import array
import math
import wave
from collections.abc import Sequence
from pathlib import Path

from reno_sweeps.audio import RATE


def write_tones(root: Path, paths: Sequence[str], seconds: float = 0.25) -> None:
    """One tone per path, each of another pitch, mono 16-bit."""
    for number, path in enumerate(paths):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_wave(file, _tone(200 * 1.1**number, seconds))


def write_wave(file: Path, samples: bytes) -> None:
    """16-bit samples, in the machine's byte order, as a mono WAV file at 16 kHz."""
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples)


def _tone(hertz: float, seconds: float) -> bytes:
    step = 2 * math.pi * hertz / RATE
    return array.array("h", (round(8_000 * math.sin(step * n)) for n in range(int(seconds * RATE)))).tobytes()
