"""Near duplicates: copies of a recording are found whatever befell them, other takes of the same speaker are not."""

from __future__ import annotations

import io
import itertools
import random
from collections import Counter

import numpy as np
import pytest
import soundfile
import soxr

from reno_sweeps import audio
from reno_sweeps.corpora import _near, manifest
from reno_sweeps.corpora._near import near_duplicates, similarity, sketch


def voice(seed: int, seconds: float = 1.0, peak: float = 0.5) -> np.ndarray:
    """A gliding tone with eight harmonics and breath, swelling and fading: another one for every seed."""
    dice = np.random.default_rng(seed)
    time = np.arange(int(seconds * audio.RATE)) / audio.RATE
    pitch = dice.uniform(120, 350) + np.interp(time, np.linspace(0, seconds, 6), dice.uniform(-60, 60, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / audio.RATE
    sound = sum(dice.uniform(0.1, 1) / k * np.sin(k * phase) for k in range(1, 9)) + 0.05 * dice.normal(size=len(time))
    sound = sound * np.interp(time, np.linspace(0, seconds, 8), [0, *dice.uniform(0.1, 1, 6), 0])
    return (peak * sound / np.abs(sound).max()).astype(np.float32)


def coded(samples: np.ndarray, kind: str, **options) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, samples, audio.RATE, format=kind, **options)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def noisy(samples: np.ndarray, decibels: float) -> np.ndarray:
    level = np.sqrt(np.mean(samples.astype(np.float64) ** 2)) * 10 ** (-decibels / 20)
    return (samples + level * np.random.default_rng(0).normal(size=len(samples))).astype(np.float32)


def through(samples: np.ndarray, rate: int) -> np.ndarray:
    return soxr.resample(soxr.resample(samples, audio.RATE, rate), rate, audio.RATE)


def silence(samples: int) -> np.ndarray:
    return np.zeros(samples, np.float32)


FATES = {
    "gain": lambda x: 0.3 * x,
    "opposite sign": lambda x: -x,
    "an offset": lambda x: x + 0.05,
    "48 kHz and back": lambda x: through(x, 48_000),
    "8 kHz and back": lambda x: through(x, 8_000),
    "mp3": lambda x: coded(x, "MP3"),
    "ogg": lambda x: coded(x, "OGG"),
    "20 ms later": lambda x: np.concatenate([silence(320), x[:-320]]),
    "20 ms cut": lambda x: x[320:],
    "an odd shift": lambda x: np.concatenate([silence(1_001), x]),
    "100 ms of silence": lambda x: np.concatenate([silence(1_600), x]),
    "silence around": lambda x: np.concatenate([silence(16_000), x, silence(8_000)]),
    "noise at 30 dB": lambda x: noisy(x, 30),
    "noise at 20 dB": lambda x: noisy(x, 20),
    "all of it": lambda x: coded(noisy(np.concatenate([silence(1_601), 0.3 * x]), 30), "MP3"),
}


def found(*sounds: np.ndarray) -> list[tuple[int, int]]:
    pairs = near_duplicates([sketch(np.ascontiguousarray(s, np.float32)) for s in sounds])
    return sorted((one, two) for one, two, _ in pairs)


@pytest.mark.parametrize("fate", FATES)
def test_a_copy_is_found_whatever_befell_it(fate):
    sounds = [voice(seed) for seed in range(12)]

    assert found(*sounds, FATES[fate](sounds[7])) == [(7, 12)]


def test_a_long_clip_is_known_by_its_loudest_seconds():
    long = np.concatenate([voice(seed, 2.0, peak) for seed, peak in enumerate([0.1, 0.2, 0.5, 0.9, 0.5, 0.2, 0.1])])

    assert found(long, voice(30), coded(np.concatenate([silence(777), long]), "MP3")) == [(0, 2)]


@pytest.mark.parametrize("shift", range(1, 9))
def test_a_shift_between_two_samples_of_the_waveform_is_no_difference(shift):
    """Breath is bright: half a sample beside, at 4 kHz, its correlation would be halved."""
    breath = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)

    assert similarity(sketch(breath), sketch(np.concatenate([silence(shift), breath]))) > 0.95


@pytest.mark.parametrize(("share", "is_near"), [(0.5, True), (0.7, True), (0.9, False), (1.3, False)])
def test_the_threshold_lies_between_a_noisy_copy_and_a_mixture(share, is_near):
    """A puff of noise and of another beside it: by hand, their correlation is 1 / √(1 + share²)."""
    dice, swelling = np.random.default_rng(0), np.hanning(16_000) ** 4  # one shape: their grids are alike
    one, other = (swelling * dice.normal(0, 0.1, 16_000) for _ in range(2))
    pair = [np.asarray(sound, np.float32) for sound in (one, one + share * other)]

    assert similarity(*map(sketch, pair)) == pytest.approx((1 + share**2) ** -0.5, abs=0.03)
    assert found(*pair) == ([(0, 1)] if is_near else [])


def test_noise_neither_fills_the_grid_nor_moves_the_middle_of_the_loudness():
    """A whistle of a second at the end of twenty, in noise at 15 dB."""
    whistle = (0.3 * np.sin(2 * np.pi * np.cumsum(np.linspace(500, 2_500, 16_000)) / audio.RATE)).astype(np.float32)
    late = np.concatenate([silence(19 * 16_000), whistle])

    alike = float(sketch(late).grid @ sketch(noisy(late, 15)).grid)

    assert alike > 0.9


def test_silence_and_clicks_are_near_to_nothing():
    quiet = 1e-4 * voice(1)
    click = voice(2, seconds=0.05)

    assert sketch(silence(16_000)) is None
    assert sketch(np.full(16_000, 0.3, np.float32)) is None
    assert found(silence(16_000), silence(8_000), quiet, quiet, click, click) == []


@pytest.mark.parametrize("seconds", [0.1, 0.25, 35.0])
def test_a_clip_of_any_length_is_near_to_itself_and_not_to_another(seconds):
    one, other = voice(1, seconds), voice(2, seconds)

    assert found(one, other, 0.5 * one) == [(0, 2)]


def test_thirteen_tones_of_different_pitch_are_thirteen_sounds():
    time = np.arange(8_000) / audio.RATE
    tones = [(0.3 * np.sin(2 * np.pi * 200 * 1.1**n * time)).astype(np.float32) for n in range(13)]

    assert found(*tones) == []


def test_a_corpus_of_one_tone_alone_ends_in_bounded_work():
    time = np.arange(4_000) / audio.RATE
    tones = [sketch((0.3 * np.sin(2 * np.pi * 440 * time + phase)).astype(np.float32)) for phase in range(60)]

    pairs = near_duplicates(tones)

    assert all(number <= _near.NEIGHBOURS for number in Counter(one for one, _, _ in pairs).values())
    assert {row for pair in pairs for row in pair[:2]} == set(range(60))


def test_blocks_change_nothing(monkeypatch):
    sketches = [sketch(voice(seed % 7, 0.4, peak=0.2 + seed / 100)) for seed in range(20)]
    whole = near_duplicates(sketches)
    monkeypatch.setattr(_near, "BLOCK", 3)

    assert near_duplicates(sketches) == whole
    assert len(whole) == sum(a % 7 == b % 7 for a, b in itertools.combinations(range(20), 2))


def test_a_sketch_is_small():
    sketched = sketch(voice(1, 35.0))

    assert sketched.grid.nbytes + sketched.wave.nbytes <= 5_000 + 2 * _near.WAVE_RATE * _near.LONGEST


def test_similarity_is_the_same_both_ways_and_one_for_the_same():
    one, two = sketch(voice(1)), sketch(voice(2))

    assert similarity(one, two) == pytest.approx(similarity(two, one), abs=1e-5)
    assert similarity(one, one) == pytest.approx(1.0, abs=1e-5)


@pytest.fixture(scope="module")
def recordings(shared_data):
    """All takes of 20 speakers: 360 clips, three takes of each emotion."""
    corpus = manifest.read(shared_data / "emogator6" / "manifest.csv")
    clips = [c for c in corpus.clips if c.speaker in sorted({c.speaker for c in corpus.clips})[:20]]
    return [audio.decode(corpus.root / clip.path) for clip in clips]


def test_other_takes_of_real_speakers_are_no_near_duplicates(recordings):
    assert found(*recordings) == []


def test_every_copy_of_real_recordings_is_found(recordings):
    chosen = random.Random(0).sample(range(len(recordings)), 15)
    fates = [fate for name, fate in FATES.items() if name != "noise at 20 dB"]
    copies = [fate(recordings[row]) for row in chosen for fate in fates]

    pairs = found(*recordings, *copies)

    wanted = {(row, len(recordings) + n) for n, row in enumerate(np.repeat(chosen, len(fates)).tolist())}
    assert wanted <= set(pairs)
    assert {one for one, _ in pairs if one < len(recordings)} == set(chosen)
