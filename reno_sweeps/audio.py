"""One way in for every recording: decode, mix to mono, resample to 16 kHz."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.records import UserError

if TYPE_CHECKING:  # the corpora list their files with SUFFIXES before anything heavy is imported
    import numpy as np
    from numpy.typing import NDArray

RATE = 16_000  # samples a second: what every encoder of the house hears (method.md, section 1)
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
LONGEST = 600  # seconds of one recording: what decoding may take of memory has a bound, whatever a header promises
MOST = LONGEST * 48_000  # samples of one recording, its channels mixed: at higher rates it may last less
RATES = (1_000, 384_000)  # samples a second that a recording may have
LOUDEST = 2.0**32  # times full scale: floats that hold 32-bit integers stay below; beyond, sums and squares overflow
BLOCK = 1 << 20  # samples, of all channels together, that are read at once
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
    return Header(header.samplerate, header.channels, header.frames / max(header.samplerate, 1))


def decode(file: Path) -> NDArray[np.float32]:
    """The recording as float32 samples [n] at 16 kHz: channels averaged, resampled by soxr (VHQ), gain untouched.

    Raises AudioError, naming file and fault, for a missing, unreadable, truncated, empty or overlong (`LONGEST`) file,
    a rate outside `RATES` and samples that are no numbers or beyond `LOUDEST`.
    """
    return hear(file)[0]


def hear(file: Path) -> tuple[NDArray[np.float32], Header]:
    """`decode` and the facts of the file that was decoded, the seconds counted instead of promised."""
    import numpy as np

    mono, rate, channels = _read(file)
    if strange := int(np.count_nonzero(~np.isfinite(mono))):
        raise AudioError(f"{file}: {strange} of {mono.size} samples are not finite numbers")
    if mono.size and (peak := float(np.abs(mono).max())) > LOUDEST:
        raise AudioError(f"{file}: samples up to {peak:.0e} times full scale are no sound")
    samples = _resample(mono, rate) if rate != RATE and mono.size else mono
    if not samples.size:
        raise AudioError(f"{file}: empty, it holds no samples")
    return np.ascontiguousarray(samples), Header(rate, channels, mono.size / rate)


def samples_digest(samples: NDArray[np.float32]) -> str:
    """SHA-256 (64 hex digits) of decoded samples: two files that sound the same have the same."""
    return hashlib.sha256(samples.astype("<f4", copy=False).tobytes()).hexdigest()


def _read(file: Path) -> tuple[NDArray[np.float32], int, int]:
    """Mono samples [n], their rate and how many channels they were."""
    _refuse_missing(file)
    with _opened(file) as source:
        rate, channels, promised = int(source.samplerate), int(source.channels), int(source.frames)
        if not RATES[0] <= rate <= RATES[1]:
            raise AudioError(f"{file}: {rate} samples a second; between {RATES[0]} and {RATES[1]} can be used")
        mono = _mixed(file, source)
        if mono.size < promised * _kept(file, source.format):
            raise AudioError(f"{file}: truncated, {mono.size} of {promised} samples")
        if source.format == "OGG":
            _refuse_cut_ogg(file)
        _refuse_cut_wave(file, str(source.extra_info))
    return mono, rate, channels


def _opened(file: Path) -> Any:
    import soundfile

    try:
        return soundfile.SoundFile(str(file))
    except (soundfile.SoundFileError, OSError) as fault:
        raise AudioError(f"{file}: not readable as audio ({_reason(fault)})") from fault


def _mixed(file: Path, source: Any) -> NDArray[np.float32]:
    """The mean of all channels [n], in float64, so that equal channels give exactly one of them.

    Read block by block: a header may promise anything, and only what is there takes memory.
    """
    import numpy as np

    seconds = min(LONGEST, MOST / source.samplerate)
    blocks, left = [np.zeros(0, np.float32)], int(seconds * source.samplerate)
    while left >= 0 and len(frames := _block(file, source)):
        blocks.append(frames.mean(axis=1, dtype=np.float64).astype(np.float32) if source.channels > 1 else frames[:, 0])
        left -= len(frames)
    if left < 0:
        rate = "" if seconds == LONGEST else f" at {source.samplerate} samples a second"
        raise AudioError(f"{file}: longer than {seconds:g} s, the most that one clip may last{rate}; cut it into clips")
    return np.concatenate(blocks)


def _block(file: Path, source: Any) -> NDArray[np.float32]:
    """The next frames [n, channels]; none at the end."""
    import soundfile

    try:
        frames: NDArray[np.float32] = source.read(max(1, BLOCK // source.channels), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as fault:
        promised = f"its header promises {source.frames / source.samplerate:.4g} s"
        raise AudioError(f"{file}: truncated or damaged, {promised} ({_reason(fault)})") from fault
    return frames


def _kept(file: Path, kind: str) -> float:
    """The share of the promised samples that must be there: of an MP3 nine tenths, where it says its length at all.

    Without a Xing or Info tag its length is libsndfile's guess; with one, a careless cutter may have left it as it was.
    """
    if kind != "MP3":
        return 1.0
    with file.open("rb") as stream:
        return 0.9 if re.search(rb"Xing|Info", stream.read(1 << 18)) else 0.0


def _refuse_cut_ogg(file: Path) -> None:
    """Refuse an Ogg file whose last page is cut, or not marked as the last of its stream (RFC 3533, section 6)."""
    with file.open("rb") as stream:
        stream.seek(-min(1 << 17, file.stat().st_size), 2)  # a page is at most 64 kB
        _, _, page = stream.read().rpartition(b"OggS")
    segments = page[23 : 23 + page[22]] if len(page) > 22 else b""
    if not segments or not page[1] & 4 or len(page) < 23 + len(segments) + sum(segments):
        raise AudioError(f"{file}: truncated, its stream has no end")


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
