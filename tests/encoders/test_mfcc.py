"""Log-mel bands and MFCC: what they measure, and how short clips are met."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reno_sweeps.encoders import encoder_facts, load_encoder, mfcc
from reno_sweeps.records import UserError


def tone(hertz: float, samples: int = 8_000, loudness: float = 0.1) -> np.ndarray:
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(samples) / 16_000)).astype(np.float32)


@pytest.mark.parametrize(("name", "dim"), [("mfcc", 80), ("log-mel", 160)])
def test_the_width_is_mean_then_deviation_of_every_coefficient(name, dim):
    encoder = load_encoder(name)

    vector = encoder.embed([tone(440.0, samples=400 + 160)])[0]  # two frames of one steady tone

    assert encoder.dim == dim
    assert vector.shape == (dim,)
    assert np.abs(vector[dim // 2 :]).max() < 0.2 * np.abs(vector[: dim // 2]).max()


def test_a_higher_tone_lights_a_higher_band():
    low, middle, high = load_encoder("log-mel").embed([tone(300.0), tone(1_000.0), tone(5_000.0)])[:, :80]

    assert low.argmax() < middle.argmax() < high.argmax()


def test_ten_times_the_amplitude_adds_a_hundredfold_power_to_every_loud_band():
    quiet, loud = load_encoder("log-mel").embed([tone(1_000.0, loudness=0.05), tone(1_000.0, loudness=0.5)])

    assert (loud - quiet)[quiet[:80].argmax()] == pytest.approx(np.log(100.0), abs=1e-3)


def test_every_band_holds_a_bin():
    assert (load_encoder("log-mel")._bands.sum(dim=0) > 0).all()


def test_mfcc_is_the_cosine_transform_of_log_mel():
    clip = tone(700.0)
    bands, coefficients = (load_encoder(name).embed([clip])[0] for name in ("log-mel", "mfcc"))
    n, k = np.arange(80), np.arange(40)[:, None]
    cosines = np.sqrt(2 / 80) * np.cos(np.pi / 80 * (n + 0.5) * k) * np.where(k == 0, np.sqrt(0.5), 1.0)

    np.testing.assert_allclose(coefficients[:40], cosines @ bands[:80], rtol=1e-3, atol=1e-3)


def test_a_clip_shorter_than_a_window_is_padded_with_zeros_at_its_end():
    short = tone(440.0, samples=250)
    padded = np.concatenate([short, np.zeros(mfcc.WINDOW - 250, np.float32)])

    np.testing.assert_array_equal(*(load_encoder("mfcc").embed([clip]) for clip in (short, padded)))


def test_samples_that_fill_no_whole_window_do_not_count():
    clip = tone(440.0, samples=400 + 160 * 3)
    longer = np.concatenate([clip, np.ones(159, np.float32)])

    np.testing.assert_array_equal(*(load_encoder("log-mel").embed([heard]) for heard in (clip, longer)))


def test_threads_change_nothing():
    clips = [tone(440.0), tone(880.0, samples=30_000)]
    one = load_encoder("mfcc").embed(clips)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    two = load_encoder("mfcc").embed(clips)
    torch.set_num_threads(before)

    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)


def test_weights_and_other_precisions_are_refused():
    with pytest.raises(UserError, match="mfcc is computed, it has no weights"):
        load_encoder("mfcc", weights="folder")
    with pytest.raises(UserError, match="precision bfloat16: log-mel is computed in float32 only"):
        load_encoder("log-mel", precision="bfloat16")


@pytest.mark.parametrize("name", ["mfcc", "log-mel"])
def test_options_are_refused_and_never_heard_as_another_encoder(name):
    for use in (load_encoder, encoder_facts):
        with pytest.raises(UserError, match=f"{name} has no options"):
            use(f"{name}@layer=9")
