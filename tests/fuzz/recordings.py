"""Recordings: wav, flac, ogg and mp3 with spoilt headers, chunks and pages, and silences that unpack to hours."""

from __future__ import annotations

import functools
import io
import struct
from pathlib import Path
from random import Random

from tests.fuzz.kind import Kind, written
from tests.fuzz.mutations import EDGES, spoilt

WRITTEN = {  # suffix → what libsndfile is told
    "wav": (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("RF64", "PCM_24"), ("WAVEX", "PCM_16"),
            ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "FLOAT"), ("CAF", "ALAC_16"), ("VOC", "PCM_U8"), ("SVX", "PCM_16")),
    "flac": (("FLAC", "PCM_16"), ("FLAC", "PCM_24")),
    "ogg": (("OGG", "VORBIS"), ("OGG", "OPUS")),
    "mp3": (("MP3", "MPEG_LAYER_III"),),
}  # fmt: skip


@functools.cache
def _whole(suffix: str, rate: int = 16_000, seconds: float = 0.25, channels: int = 1) -> tuple[bytes, ...]:
    import numpy as np
    import soundfile

    phase = np.arange(int(rate * seconds)) / rate
    samples = np.stack([0.3 * np.sin(2 * np.pi * (300 + 100 * c) * phase) for c in range(channels)], axis=1)
    found = []
    for kind, subtype in WRITTEN[suffix]:
        out = io.BytesIO()
        try:
            soundfile.write(out, samples, rate, format=kind, subtype=subtype)
        except soundfile.LibsndfileError:  # of one channel only, or another rate
            continue
        content = out.getvalue()
        found.append(_paged(content, serial=7) if kind == "OGG" else content)
    return tuple(found)


def _checksum(page: bytes) -> int:
    """Ogg's: polynomial 0x04c11db7, no reflection (RFC 3533, section 6)."""
    total = 0
    for byte in page:
        total = (total << 8) & 0xFFFFFFFF ^ _TABLE[total >> 24 ^ byte]
    return total


def _entry(number: int) -> int:
    total = number << 24
    for _ in range(8):
        total = (total << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if total & 0x80000000 else total << 1
    return total


_TABLE = [_entry(number) for number in range(256)]


def _paged(content: bytes, serial: int | None = None) -> bytes:
    """Every Ogg page with the checksum that its bytes have, so that what they say is believed."""
    pages = [b"OggS" + page for page in content.split(b"OggS")[1:]]
    out = []
    for page in pages:
        plain = bytearray(page)
        if len(plain) >= 26:
            if serial is not None:
                plain[14:18] = struct.pack("<I", serial)  # libsndfile draws one by the clock
            plain[22:26] = bytes(4)
            plain[22:26] = struct.pack("<I", _checksum(bytes(plain)))
        out.append(bytes(plain))
    return b"".join(out) or content


def _bomb(dice: Random) -> bytes:
    """An hour of silence at the highest rate, in little."""
    import numpy as np
    import soundfile

    out, rate = io.BytesIO(), dice.choice((8_000, 96_000, 384_000))
    with soundfile.SoundFile(out, "w", rate, dice.choice((1, 8)), format="FLAC", subtype="PCM_16") as file:
        block = np.zeros((rate, file.channels), np.int16)
        for _ in range(dice.choice((100, 800))):
            file.write(block)
    return out.getvalue()


def _chunks(dice: Random, content: bytes) -> bytes:
    """A RIFF file with chunks added, doubled, or of another size."""
    out, place = bytearray(content), content.find(b"fmt ")
    for _ in range(dice.choice((1, 2, 3))):
        kind = dice.choice(
            (b"fmt ", b"data", b"LIST", b"fact", b"ds64", b"bext", b"cue ", b"smpl", b"PEAK", b"id3 ", b"\0\0\0\0")
        )
        size = dice.choice((*EDGES[:17], len(content)))
        chunk = kind + struct.pack("<I", size % 2**32) + dice.randbytes(min(size, dice.choice((0, 16, 300))))
        place = dice.choice((max(place, 0), 12, len(out)))
        out[place:place] = chunk
    return bytes(out)


def _maker(suffix: str) -> object:
    def make(dice: Random | None, folder: Path) -> Path:
        return written(folder, f"x.{suffix}", _content(dice, suffix) if dice else _whole(suffix)[0])

    return make


def _content(dice: Random, suffix: str) -> bytes:
    rate, channels = dice.choice(((16_000, 1), (16_000, 1), (48_000, 2)))
    samples = _whole(suffix, rate, 0.25, channels)
    content = dice.choice(samples)
    roll = dice.random()
    if suffix == "flac" and roll < 0.01:
        return _bomb(dice)
    if suffix == "wav" and roll < 0.3:
        content = _chunks(dice, content)
    if suffix == "ogg" and roll < 0.6:
        return _paged(spoilt(dice, content, samples))
    return spoilt(dice, content, samples)


def _read(file: Path) -> object:
    import contextlib

    import numpy as np

    from reno_sweeps import audio

    with contextlib.suppress(audio.AudioError):
        audio.info(file)
    samples, header = audio.hear(file)
    if samples.dtype != np.float32 or samples.ndim != 1 or not np.isfinite(samples).all() or not header.seconds > 0:
        raise AssertionError(f"{samples.dtype} {samples.shape} {header}")
    return audio.samples_digest(samples)


KINDS = tuple(Kind(f"recording ({suffix})", _maker(suffix), _read) for suffix in WRITTEN)  # type: ignore[arg-type]
