"""One way in for every recording: decode, mix to mono, resample to 16 kHz."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reno_sweeps.records import UserError

if TYPE_CHECKING:  # the corpora list their files with SUFFIXES before anything heavy is imported
    import numpy as np
    from numpy.typing import NDArray

RATE = 16_000  # samples a second: what every encoder of the house hears (method.md, section 1)
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
VERSION = "1"  # raise it when the same file gives other samples: decoding, mixing or resampling changed


class AudioError(UserError):
    """A recording that cannot be used; names the file and the fault."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file's header says, without decoding it."""

    rate: int  # samples a second
    channels: int
    seconds: float


def info(file: Path) -> Header:
    """The header's facts; an AudioError where there is no readable header."""
    import soundfile

    _refuse_missing(file)
    try:
        header = soundfile.info(str(file))
    except (soundfile.SoundFileError, OSError) as fault:
        raise AudioError(f"{file}: not readable as audio ({_reason(fault)})") from fault
    return Header(header.samplerate, header.channels, header.frames / header.samplerate)


def decode(file: Path) -> NDArray[np.float32]:
    """The recording as float32 samples [n] at 16 kHz: channels averaged, resampled by soxr (VHQ), gain untouched.

    Raises AudioError, naming file and fault, for a missing, unreadable, truncated or empty file and for samples that
    are no numbers.
    """
    import numpy as np

    frames, rate = _read(file)
    samples = frames.mean(axis=1, dtype=np.float64).astype(np.float32) if frames.shape[1] > 1 else frames[:, 0]
    if strange := int(np.count_nonzero(~np.isfinite(samples))):
        raise AudioError(f"{file}: {strange} of {samples.size} samples are not finite numbers")
    if rate != RATE and samples.size:
        samples = _resample(samples, rate)
    if not samples.size:
        raise AudioError(f"{file}: empty, it holds no samples")
    return np.ascontiguousarray(samples)


def samples_digest(samples: NDArray[np.float32]) -> str:
    """SHA-256 (64 hex digits) of decoded samples: two files that sound the same have the same."""
    return hashlib.sha256(samples.astype("<f4", copy=False).tobytes()).hexdigest()


def _read(file: Path) -> tuple[NDArray[np.float32], int]:
    """Frames [n, channels] and their rate."""
    import soundfile

    _refuse_missing(file)
    try:
        with soundfile.SoundFile(str(file)) as source:
            frames: NDArray[np.float32] = source.read(dtype="float32", always_2d=True)
            rate, promised, kind = int(source.samplerate), int(source.frames), str(source.format)
            parsed = str(source.extra_info)
    except (soundfile.SoundFileError, OSError) as fault:
        raise AudioError(f"{file}: not readable as audio ({_reason(fault)})") from fault
    except MemoryError as fault:  # a header may promise anything
        raise AudioError(f"{file}: its header promises more samples than memory holds") from fault
    if kind != "MP3" and len(frames) < promised:  # an MP3's length is an estimate, the others' is a promise
        raise AudioError(f"{file}: truncated, {len(frames)} of {promised} samples")
    _refuse_cut_wave(file, parsed)
    return frames, rate


def _refuse_cut_wave(file: Path, parsed: str) -> None:
    """Refuse a WAV file that ends before its header says; libsndfile only notes it among what it parsed.

    A hundredth is a careless writer's; lengths near 2³¹ and 2³² stand for 'unknown' in recordings that were streamed.
    """
    if found := re.search(r"^data : (\d+) \(should be (\d+)\)", parsed, re.MULTILINE):
        promised, there = map(int, found.groups())
        if there < 0.99 * promised and promised < 0x7FFF0000:
            raise AudioError(f"{file}: truncated, {there} of {promised} bytes of sound")


def _resample(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(samples, rate, RATE, quality="VHQ")
    return resampled


def _refuse_missing(file: Path) -> None:
    if not file.is_file():
        raise AudioError(f"{file}: {'is a folder, not a recording' if file.is_dir() else 'there is no such file'}")
    if not file.stat().st_size:
        raise AudioError(f"{file}: empty, it holds no bytes")


def _reason(fault: Exception) -> str:
    """libsndfile's own words, without the file's name and its boilerplate."""
    return str(fault).rpartition("': ")[2].strip().rstrip(".") or type(fault).__name__
