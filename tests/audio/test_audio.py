"""Decoding: whatever the format, rate and channels, the same 16 kHz mono samples; faults are named."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

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


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 192_000])
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


def test_channels_are_averaged_without_losing_the_quiet_one(tmp_path):
    """By hand: (10,000 + 0.0001 − 10,000) / 3; in float32 the quiet one would drown."""
    file = save(tmp_path / "a.wav", np.tile(np.float32([1e4, 1e-4, -1e4]), (100, 1)), subtype="FLOAT")

    np.testing.assert_allclose(audio.decode(file), 1e-4 / 3, rtol=1e-6)


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
    if kind == "too slow":
        return save(folder / "slow.wav", sine(800), 800)
    if kind == "too long":
        return save(folder / "long.flac", np.zeros((audio.LONGEST + 1) * 1_000, np.int16), 1_000)
    if kind == "beyond float32":
        return save(folder / "huge.wav", np.full(10, 1e300), subtype="DOUBLE")
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
        ("beyond float32", "10 of 10 samples are not finite numbers"),
        ("cut flac", "truncated or damaged, its header promises 0.5 s"),
        ("cut mp3", "truncated, .* of 8000 samples"),
        ("cut ogg", "truncated, its stream has no end|not readable as audio"),
        ("cut wav", "truncated, 7978 of 16000 bytes of sound"),
        ("promises", "truncated or damaged, its header promises"),
        ("too slow", "800 samples a second; between 1000 and 384000 can be used"),
        ("too long", "longer than 600 s, the most that one clip may last"),
    ],
)
def test_a_broken_recording_is_refused_with_its_name_and_its_fault(tmp_path, kind, fault):
    file = broken(tmp_path, kind)

    with pytest.raises(audio.AudioError, match=fault) as refusal:
        audio.decode(file)

    assert str(refusal.value).startswith(str(file))
    assert isinstance(refusal.value, UserError)


def test_floats_beyond_all_recordings_are_refused(tmp_path):
    """Their squares and sums would be no numbers any more: 1e38, or an offset of 3e38."""
    file = save(tmp_path / "loud.wav", np.array([0.0, -4e37, 1.0], np.float32), subtype="FLOAT")

    with pytest.raises(audio.AudioError, match=r"loud\.wav: samples up to 4e\+37 times full scale are no sound"):
        audio.decode(file)


def test_floats_that_hold_integers_are_taken_as_they_are(tmp_path):
    samples = sine(16_000) * 2.0**31

    np.testing.assert_array_equal(audio.decode(save(tmp_path / "a.wav", samples, subtype="FLOAT")), samples)


def test_a_streamed_wave_whose_length_is_not_known_is_whole(tmp_path):
    file = save(tmp_path / "a.wav", sine(16_000))
    content = bytearray(file.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4

    file.write_bytes(content)

    assert len(audio.decode(file)) == 8_000


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_an_end_that_is_missing_is_noticed(tmp_path, suffix, share):
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 32_000)
    content = save(tmp_path / f"whole.{suffix}", noise).read_bytes()

    (tmp_path / f"cut.{suffix}").write_bytes(content[: int(share * len(content)) - 1])

    with pytest.raises(audio.AudioError):
        audio.decode(tmp_path / f"cut.{suffix}")


def test_an_ogg_that_ends_between_two_pages_is_noticed(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 160_000)
    content = save(tmp_path / "a.ogg", noise).read_bytes()
    (tmp_path / "cut.ogg").write_bytes(content[: content.rindex(b"OggS")])

    with pytest.raises(audio.AudioError, match="truncated, its stream has no end"):
        audio.decode(tmp_path / "cut.ogg")


def test_an_mp3_that_does_not_say_its_length_is_taken_as_it_is(tmp_path):
    content = save(tmp_path / "whole.mp3", sine(16_000)).read_bytes()
    second = content.index(content[:2], 100)  # the first frame is the tag that says it

    (tmp_path / "bare.mp3").write_bytes(content[second : second + 2 * len(content) // 3])

    assert audio.decode(tmp_path / "bare.mp3").size > 1_000


def test_bytes_after_the_end_do_no_harm(tmp_path):
    for suffix in audio.SUFFIXES:
        file = save(tmp_path / f"a{suffix}", sine(16_000))
        whole = audio.decode(file)
        file.write_bytes(file.read_bytes() + b"more" * 50)

        assert audio.samples_digest(audio.decode(file)) == audio.samples_digest(whole)


def test_a_header_that_promises_hours_takes_no_memory_for_them(tmp_path):
    """36 hours in a megabyte of FLAC: ten minutes of it are read and it is refused."""
    file = tmp_path / "bomb.flac"
    with soundfile.SoundFile(file, "w", 8_000, 1) as out:
        for _ in range(36):
            out.write(np.zeros(8_000 * 100, np.int16))

    tracemalloc.start()
    with pytest.raises(audio.AudioError, match="longer than 600 s"):
        audio.decode(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4 * 4 * audio.LONGEST * 8_000


def test_at_a_high_rate_a_recording_may_last_less(tmp_path, monkeypatch):
    """So that ten minutes of silence at 384 kHz, a small FLAC, are no bomb; here with a thousandth of the bound."""
    monkeypatch.setattr(audio, "MOST", audio.MOST // 1_000)
    samples = np.zeros(30_000, np.float32)

    assert len(audio.decode(save(tmp_path / "short.wav", samples[:28_000], 96_000)))
    with pytest.raises(audio.AudioError, match=r"longer than 0\.3 s, .* at 96000 samples a second; cut it"):
        audio.decode(save(tmp_path / "long.wav", samples, 96_000))


@pytest.mark.parametrize("channels", [2, 3, 5, 8])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_equal_channels_sound_exactly_as_one(tmp_path, channels, suffix):
    samples = sine(44_100)
    mono = save(tmp_path / f"mono{suffix}", samples, 44_100)
    several = save(tmp_path / f"several{suffix}", np.stack([samples] * channels, axis=1), 44_100)

    assert audio.decode(several).tobytes() == audio.decode(mono).tobytes()


def test_blocks_change_nothing(tmp_path, monkeypatch):
    dice = np.random.default_rng(0)
    file = save(tmp_path / "a.wav", dice.uniform(-1, 1, (5_000, 3)), 22_050)
    whole = audio.decode(file)
    monkeypatch.setattr(audio, "BLOCK", 100)

    assert audio.decode(file).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("subtype", "error"), [("PCM_U8", 2**-7), ("PCM_16", 2**-15), ("PCM_24", 2**-23), ("PCM_32", 2**-23), ("FLOAT", 0)]
)
def test_every_depth_of_a_wave_is_read(tmp_path, subtype, error):
    decoded = audio.decode(save(tmp_path / "a.wav", sine(16_000), subtype=subtype))

    assert np.abs(decoded - sine(16_000)).max() <= error


def test_ten_milliseconds_and_silence_are_recordings(tmp_path):
    brief = audio.decode(save(tmp_path / "brief.wav", sine(48_000, 0.01), 48_000))
    silent = audio.decode(save(tmp_path / "silent.wav", np.zeros(4_410), 44_100))

    assert (len(brief), len(silent)) == (160, 1_600)
    assert not silent.any()


def test_what_was_heard_is_told_with_the_facts_of_the_file(tmp_path):
    file = save(tmp_path / "a.mp3", np.stack([sine(44_100)] * 2, axis=1), 44_100)

    samples, header = audio.hear(file)

    assert header == audio.Header(rate=44_100, channels=2, seconds=0.5)
    assert samples.tobytes() == audio.decode(file).tobytes()


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(audio.AudioError, match="is a folder"):
        audio.decode(tmp_path)


def test_real_recordings_decode_to_the_length_that_their_table_gives(shared_data):
    table = np.genfromtxt(shared_data / "emogator6" / "manifest.csv", delimiter=",", names=True, dtype=None)

    for row in table[:20]:
        samples = audio.decode(shared_data / "emogator6" / str(row["path"]))

        assert len(samples) / audio.RATE == pytest.approx(float(row["duration_s"]), abs=0.01)


def decibels(samples: np.ndarray, error: np.ndarray) -> float:
    return 10 * np.log10(np.sum(samples.astype(np.float64) ** 2) / np.sum(error.astype(np.float64) ** 2))


def test_the_differences_between_formats_are_those_that_are_documented(tmp_path, shared_data):
    """docs/audio.md: formats without loss are equal; another rate differs by little, lossy coding by more."""
    for file in sorted((shared_data / "emogator6" / "audio").glob("*.flac"))[::300]:
        samples = audio.decode(file)
        triple = soxr.resample(samples, 16_000, 48_000, quality="VHQ")
        same = [save(tmp_path / f"a{n}", samples, subtype=s) for n, s in (("1.wav", "PCM_16"), ("2.wav", "FLOAT"))]
        same.append(save(tmp_path / "a.flac", samples))
        soundfile.write(tmp_path / "b.wav", soundfile.read(save(tmp_path / "b.mp3", samples))[0], 16_000)
        faster = audio.decode(save(tmp_path / "c.flac", triple, 48_000))
        lossy = audio.decode(tmp_path / "b.wav")

        assert {audio.samples_digest(audio.decode(f)) for f in same} == {audio.samples_digest(samples)}
        assert len(faster) == len(lossy) == len(samples)
        assert decibels(samples, samples - faster) > 40
        assert decibels(samples, samples - lossy) > 10
        assert audio.samples_digest(lossy) != audio.samples_digest(samples) != audio.samples_digest(faster)
