"""eGeMAPS: openSMILE's own figures, a rule for short clips, and a clear word where the package is absent."""

from __future__ import annotations

import importlib.util
from importlib import metadata

import numpy as np
import pytest

from reno_sweeps.encoders import encoder_facts, fetch_encoder, list_encoders, load_encoder, opensmile
from reno_sweeps.records import UserError

CLIP = (0.1 * np.random.default_rng(0).standard_normal(8_000)).astype(np.float32)


def test_it_gives_what_opensmile_gives_for_our_samples():
    import opensmile as package

    smile = package.Smile(package.FeatureSet.eGeMAPSv02, package.FeatureLevel.Functionals)

    np.testing.assert_array_equal(load_encoder("egemaps").embed([CLIP])[0], smile.process_signal(CLIP, 16_000).iloc[0])


def test_a_pitch_is_heard_as_a_pitch():
    low, high = ((0.6 * (np.arange(16_000) * f / 16_000 % 1) - 0.3).astype(np.float32) for f in (110, 220))

    semitones = load_encoder("egemaps").embed([low, high])[:, 0]  # F0semitoneFrom27.5Hz, its mean

    assert semitones == pytest.approx([24.0, 36.0], abs=0.2)  # two and three octaves above 27.5 Hz


@pytest.mark.parametrize("samples", [1, 160, 959])
def test_a_short_clip_is_padded_with_zeros_to_the_longest_window(samples):
    padded = np.concatenate([CLIP[:samples], np.zeros(opensmile.SHORTEST - samples, np.float32)])

    short, whole = load_encoder("egemaps").embed([CLIP[:samples], padded])

    assert np.isfinite(short).all()
    np.testing.assert_array_equal(short, whole)


def test_the_package_s_version_is_part_of_the_address():
    assert encoder_facts("egemaps")["weights"] == f"eGeMAPSv02 of opensmile {metadata.version('opensmile')}"


def test_its_licence_is_said():
    (row,) = (row for row in list_encoders() if row["id"] == "egemaps")

    assert "no commercial use" in row["licence"]


def test_options_weights_and_other_precisions_are_refused():
    with pytest.raises(UserError, match="egemaps has no options"):
        load_encoder("egemaps@layer=1")
    with pytest.raises(UserError, match="egemaps is computed, it has no weights"):
        load_encoder("egemaps", weights="folder")
    with pytest.raises(UserError, match="egemaps is computed in float32 only"):
        load_encoder("egemaps", precision="bfloat16")


@pytest.mark.parametrize("use", [load_encoder, encoder_facts, fetch_encoder])
def test_without_the_package_the_way_to_install_it_is_said_with_its_licence(use, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(UserError, match=r"no commercial use(.|\n)*pip install 'reno-sweeps\[opensmile\]'") as refusal:
        use("egemaps")
    assert len(str(refusal.value).splitlines()) <= 3
    assert not opensmile.at_hand("egemaps")
