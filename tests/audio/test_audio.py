"""Decoding: whatever the format, rate and channels, the same 16 kHz mono samples; faults are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from reno_sweeps import audio
from reno_sweeps.records import UserError


def sine(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def save(file: Path, samples: np.ndarray, rate: int = 16_000, **options: str) -> Path:
    soundfile.write(file, samples, rate, **options)
    return file


def middle(samples: np.ndarray) -> np.ndarray:
    return samples[1_000:7_000]  # away from the ends, where filters and codecs ring


def test_a_recording_at_16_khz_comes_through_bit_for_bit(tmp_path):
    samples = sine(16_000)

    decoded = audio.decode(save(tmp_path / "a.wav", samples, subtype="FLOAT"))

    assert decoded.dtype == np.float32
    assert decoded.tobytes() == samples.tobytes()


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_any_rate_becomes_the_same_sine_at_16_khz(tmp_path, rate, suffix):
    decoded = audio.decode(save(tmp_path / f"a{suffix}", sine(rate), rate))

    assert abs(len(decoded) - 8_000) <= 1
    assert np.abs(middle(decoded) - middle(sine(16_000))).max() < 1e-3


@pytest.mark.parametrize(("suffix", "rate"), [(".ogg", 44_100), (".mp3", 44_100), (".mp3", 16_000)])
def test_lossy_formats_come_close(tmp_path, suffix, rate):
    decoded = audio.decode(save(tmp_path / f"a{suffix}", sine(rate), rate))

    heard = np.abs(np.fft.rfft(middle(decoded), 16_000))
    assert abs(int(heard.argmax()) - 440) <= 2
    assert np.std(middle(decoded)) == pytest.approx(0.4 / np.sqrt(2), rel=0.05)


def test_channels_are_averaged(tmp_path):
    left, right = sine(16_000), sine(16_000, hertz=700.0)

    decoded = audio.decode(save(tmp_path / "a.wav", np.stack([left, right], axis=1), subtype="FLOAT"))

    np.testing.assert_allclose(decoded, (left + right) / 2, atol=1e-7)


def test_the_digest_follows_the_samples_and_not_the_file(tmp_path):
    samples = np.round(sine(16_000) * 32_768) / 32_768  # what 16 bits can hold
    flac, wav = save(tmp_path / "a.flac", samples), save(tmp_path / "a.wav", samples)

    assert audio.samples_digest(audio.decode(flac)) == audio.samples_digest(audio.decode(wav))
    assert audio.samples_digest(samples.astype(np.float32)) != audio.samples_digest(sine(16_000, hertz=441.0))


def test_info_reads_the_header_alone(tmp_path):
    file = save(tmp_path / "a.wav", np.stack([sine(44_100)] * 2, axis=1), 44_100)

    assert audio.info(file) == audio.Header(rate=44_100, channels=2, seconds=0.5)


def broken(folder: Path, kind: str) -> Path:
    """A file with one fault."""
    if kind == "missing":
        return folder / "missing.wav"
    if kind == "no bytes":
        (folder / "empty.wav").touch()
        return folder / "empty.wav"
    if kind == "no samples":
        return save(folder / "none.wav", np.zeros(0, np.float32))
    if kind == "not audio":
        (folder / "text.wav").write_text("not a recording")
        return folder / "text.wav"
    if kind == "not a number":
        return save(folder / "nan.wav", np.array([0.0, np.nan, 1.0], np.float32), subtype="FLOAT")
    if kind == "promises":
        file = save(folder / "promises.flac", sine(16_000))
        content = bytearray(file.read_bytes())
        content[21:26] = bytes([content[21] | 0x0F, 255, 255, 255, 255])  # 2³⁶ − 1 samples, says STREAMINFO
        file.write_bytes(content)
        return file
    whole = save(folder / f"whole.{kind[4:]}", sine(16_000))
    (folder / f"cut.{kind[4:]}").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return folder / f"cut.{kind[4:]}"


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("missing", "there is no such file"),
        ("no bytes", "empty"),
        ("no samples", "empty"),
        ("not audio", "not readable as audio"),
        ("not a number", "1 of 3 samples are not finite numbers"),
        ("cut flac", "not readable as audio|truncated"),
        ("cut wav", "truncated, 7978 of 16000 bytes of sound"),
        ("promises", "more samples than memory holds|truncated"),
    ],
)
def test_a_broken_recording_is_refused_with_its_name_and_its_fault(tmp_path, kind, fault):
    file = broken(tmp_path, kind)

    with pytest.raises(audio.AudioError, match=fault) as refusal:
        audio.decode(file)

    assert str(refusal.value).startswith(str(file))
    assert isinstance(refusal.value, UserError)


def test_a_streamed_wave_whose_length_is_not_known_is_whole(tmp_path):
    file = save(tmp_path / "a.wav", sine(16_000))
    content = bytearray(file.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4

    file.write_bytes(content)

    assert len(audio.decode(file)) == 8_000


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(audio.AudioError, match="is a folder"):
        audio.decode(tmp_path)


def test_real_recordings_decode_to_the_length_that_their_table_gives(shared_data):
    table = np.genfromtxt(shared_data / "emogator6" / "manifest.csv", delimiter=",", names=True, dtype=None)

    for row in table[:20]:
        samples = audio.decode(shared_data / "emogator6" / str(row["path"]))

        assert len(samples) / audio.RATE == pytest.approx(float(row["duration_s"]), abs=0.01)
