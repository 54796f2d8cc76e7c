"""Whisper and wav2vec2-bert: their own features, and only the frames that hold sound."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from reno_sweeps.encoders import encoder_facts, load_encoder
from reno_sweeps.records import UserError

CLIP = (0.1 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)  # 2 s


def states(folder, clip: np.ndarray) -> np.ndarray:
    """Hidden states [frames, dim] by transformers' own extractor and encoder."""
    from transformers import AutoFeatureExtractor, AutoModel

    given = AutoFeatureExtractor.from_pretrained(folder)(clip, sampling_rate=16_000, return_tensors="pt")
    model = AutoModel.from_pretrained(folder).eval()
    encoder = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.inference_mode():
        return encoder(given.input_features).last_hidden_state[0].numpy()


def test_whisper_counts_the_frames_that_hold_sound(whisper):
    vector = load_encoder(f"hf:{whisper}").embed([CLIP])[0]

    np.testing.assert_allclose(vector, states(whisper, CLIP)[:100].mean(axis=0), rtol=1e-4, atol=1e-5)  # 20 ms a frame


def test_a_frame_that_is_half_sound_counts(whisper):
    vector = load_encoder(f"hf:{whisper}").embed([CLIP[: 199 * 160]])[0]  # 199 features, two a frame

    np.testing.assert_allclose(vector, states(whisper, CLIP[: 199 * 160])[:100].mean(axis=0), rtol=1e-5, atol=1e-6)


def test_whisper_hears_a_long_clip_in_pieces_of_30_seconds_whose_frames_count_alike(whisper):
    long = np.concatenate([np.tile(CLIP, 15), 0.01 * np.tile(CLIP, 5).cumsum(dtype=np.float32)])  # 40 s: 30 and 10
    pieces = [states(whisper, long[:480_000]), states(whisper, long[480_000:])[:500]]
    both = np.concatenate(pieces)

    vector = load_encoder(f"hf:{whisper}@pooling=mean-std").embed([long])[0]

    assert np.abs(pieces[0].mean(axis=0) - pieces[1].mean(axis=0)).max() > 1e-2  # what the deviation must know of
    np.testing.assert_allclose(vector, [*both.mean(axis=0), *both.std(axis=0)], rtol=1e-4, atol=1e-5)


def test_wav2vec2_bert_counts_every_frame(bert):
    vector = load_encoder(f"hf:{bert}").embed([CLIP])[0]

    np.testing.assert_allclose(vector, states(bert, CLIP).mean(axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["whisper", "bert"])
def test_a_layer_may_be_picked(request, kind):
    folder = request.getfixturevalue(kind)

    first, last, plain = (load_encoder(f"hf:{folder}{layer}").embed([CLIP]) for layer in ("@layer=1", "@layer=2", ""))

    np.testing.assert_allclose(last, plain, rtol=1e-5, atol=1e-6)
    assert np.abs(first - plain).max() > 1e-3


def test_the_extractor_s_settings_are_part_of_the_address(bert, tmp_path):
    other = shutil.copytree(bert, tmp_path / "other")
    settings = (other / "preprocessor_config.json").read_text()
    (other / "preprocessor_config.json").write_text(settings.replace('"stride": 2', '"stride": 3'))

    assert encoder_facts(f"hf:{other}") != encoder_facts(f"hf:{bert}")


def test_normalisation_is_the_extractor_s_business(bert):
    with pytest.raises(UserError, match="leave @normalize away"):
        encoder_facts(f"hf:{bert}@normalize=yes")


def test_without_its_extractor_s_settings_it_is_refused(bert, tmp_path):
    bare = shutil.copytree(bert, tmp_path / "bare")
    (bare / "preprocessor_config.json").unlink()

    with pytest.raises(UserError, match=r"no preprocessor_config\.json"):
        encoder_facts(f"hf:{bare}")


def test_an_extractor_that_nobody_knows_is_refused_in_a_line(bert, tmp_path):
    other = shutil.copytree(bert, tmp_path / "other")
    (other / "preprocessor_config.json").write_text('{"feature_extractor_type": "Unheard"}')

    with pytest.raises(UserError, match="cannot be loaded") as refusal:
        load_encoder(f"hf:{other}")
    assert len(str(refusal.value).splitlines()) <= 3
