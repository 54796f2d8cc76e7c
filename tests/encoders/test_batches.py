"""Batches: an encoder's vectors are the same whatever shares a forward pass, and no pass is too large."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.encoders import _batches, load_encoder
from reno_sweeps.encoders._checkpoint import inspect
from reno_sweeps.encoders._options import Asked

MANY = 2**33  # bytes: all clips of these tests fit one pass
LENGTHS = [9_000, 4_321, 5_000, 777, 9_000, 40, 16_000, 8_999, 16_000, 5_000]
RELATIVE = 1e-4  # norm of the difference over the norm
SQUEEZED = {"squeeze_factor": 2}
POSITIONS = {"conv_pos_kernel_size": 7, "num_conv_pos_embeddings": 2}

# transformers' class, what its small configuration needs beside the others', whether masks keep clips apart
FAMILIES = {
    "wav2vec2": ("Wav2Vec2", {}, True),
    "wavlm": ("WavLM", {}, True),
    "hubert": ("Hubert", {}, True),
    "unispeech": ("UniSpeech", {}, True),
    "unispeech-sat": ("UniSpeechSat", {}, True),
    "stable": ("Wav2Vec2", {"do_stable_layer_norm": True}, True),
    "stable-wavlm": ("WavLM", {"do_stable_layer_norm": True}, True),
    "adapter": ("Wav2Vec2", {"add_adapter": True}, False),
    "batch-norm": ("Hubert", {"conv_pos_batch_norm": True}, False),
    "data2vec-audio": ("Data2VecAudio", POSITIONS, False),
    "sew": ("SEW", SQUEEZED, False),
    "sew-d": ("SEWD", SQUEEZED, False),
    "conformer": ("Wav2Vec2Conformer", {}, False),
    "conformer-rotary": ("Wav2Vec2Conformer", {"position_embeddings_type": "rotary"}, False),
}


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    return [(0.1 * dice.standard_normal(n)).astype(np.float32) for n in LENGTHS]


@pytest.fixture(
    scope="module", params=[(family, norm) for family in FAMILIES for norm in ("group", "layer")], ids="-".join
)
def folder(request, save_checkpoint, tmp_path_factory):
    family, norm = request.param
    kind, more, _ = FAMILIES[family]
    return save_checkpoint(tmp_path_factory.mktemp("model"), kind, feat_extract_norm=norm, **more)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest relative difference between the rows of two arrays."""
    return float((np.linalg.norm(one - other, axis=1) / np.linalg.norm(one, axis=1)).max())


def widths(encoder, clips) -> list[list[int]]:
    """The lengths (samples) of the clips in each forward pass."""
    seen = []
    encoder._states, heard = (lambda pieces: seen.append([len(p) for p in pieces]) or heard(pieces)), encoder._states
    encoder.embed(clips)
    return seen


def test_a_clip_s_vector_is_the_same_alone_and_in_any_batch(folder, clips):
    encoder = load_encoder(f"hf:{folder}@pooling=mean-std")
    alone = encoder.embed(clips)
    encoder.bound = MANY

    assert apart(alone, encoder.embed(clips)) < RELATIVE
    assert apart(alone, encoder.embed(clips[::-1])[::-1]) < RELATIVE
    assert apart(alone[3:6], encoder.embed(clips[3:6])) < RELATIVE


def test_every_layer_is_the_same_alone_and_in_a_batch(folder, clips):
    encoder = load_encoder(f"hf:{folder}@layer=1")
    alone = encoder.embed(clips)
    encoder.bound = MANY

    assert apart(alone, encoder.embed(clips)) < RELATIVE


@pytest.mark.parametrize("kind", ["whisper", "bert"])
def test_so_it_is_for_those_that_hear_features(request, clips, kind):
    encoder = load_encoder(f"hf:{request.getfixturevalue(kind)}@pooling=mean-std")
    alone = encoder.embed(clips)
    encoder.bound = MANY

    assert apart(alone, encoder.embed(clips)) < RELATIVE
    assert len(widths(encoder, clips)) == 1


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("family", FAMILIES)
def test_lengths_are_mixed_only_where_padding_reaches_no_neighbour(family, norm, save_checkpoint, tmp_path, clips):
    kind, more, apart_by_masks = FAMILIES[family]
    encoder = load_encoder(f"hf:{save_checkpoint(tmp_path, kind, feat_extract_norm=norm, **more)}")
    encoder.bound = MANY

    passes = widths(encoder, clips)

    if apart_by_masks and norm == "layer":
        assert passes == [sorted(LENGTHS)]
    else:
        assert all(len(set(lengths)) == 1 for lengths in passes)
        assert len(passes) == len(set(LENGTHS))


@pytest.mark.parametrize("family", ["data2vec-audio", "sew", "sew-d", "conformer", "adapter", "batch-norm"])
def test_the_law_would_not_hold_where_masks_were_trusted_too_much(family, save_checkpoint, tmp_path, clips):
    import dataclasses

    kind, more, _ = FAMILIES[family]
    encoder = load_encoder(f"hf:{save_checkpoint(tmp_path, kind, feat_extract_norm='layer', **more)}")
    alone = encoder.embed(clips)
    encoder.bound, encoder._found = MANY, dataclasses.replace(encoder._found, masked=True)

    assert apart(alone, encoder.embed(clips)) > 10 * RELATIVE


def test_a_group_norm_hears_padding(save_checkpoint, tmp_path, clips):
    import dataclasses

    encoder = load_encoder(f"hf:{save_checkpoint(tmp_path)}")  # WavLM; group is its default, and the paper's models'
    alone = encoder.embed(clips)
    encoder.bound, encoder._found = MANY, dataclasses.replace(encoder._found, masked=True)

    assert apart(alone, encoder.embed(clips)) > 10 * RELATIVE


def test_a_cpu_hears_one_clip_at_a_time(wavlm, clips):
    encoder = load_encoder(f"hf:{wavlm}")

    assert encoder.bound == 0
    assert all(len(lengths) == 1 for lengths in widths(encoder, clips))


def test_normalisation_is_the_clip_s_own_before_it_is_padded(save_checkpoint, tmp_path, clips):
    encoder = load_encoder(f"hf:{save_checkpoint(tmp_path, feat_extract_norm='layer', normalize=True)}")
    encoder.bound = MANY
    loud = [5 * clip + 0.2 for clip in clips]

    assert apart(encoder.embed(clips), encoder.embed([clips[0], *loud[1:]])) < 1e-3


def test_a_long_clip_is_heard_whole_beside_short_ones(save_checkpoint, tmp_path, clips):
    encoder = load_encoder(f"hf:{save_checkpoint(tmp_path, feat_extract_norm='layer', conv_stride=(5, 8, 8))}")
    minute = (0.1 * np.random.default_rng(1).standard_normal(60 * 16_000)).astype(np.float32)
    company = [minute, clips[0], minute[: 40 * 16_000]]
    alone = encoder.embed(company)
    encoder.bound = MANY

    assert apart(alone, encoder.embed(company)) < RELATIVE
    assert [len(lengths) for lengths in widths(encoder, company)] == [1, 2]  # 40 s and 60 s share a pass


@given(st.lists(st.integers(1, 10**6), max_size=30), st.integers(0, 10**10), st.integers(1, 16), st.booleans())
def test_every_clip_is_in_one_group_and_no_group_is_too_large(lengths, bound, heads, mixed):
    groups = list(_batches.groups(lengths, bound, heads, mixed=mixed))

    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[index] for index in group)
        assert len(group) == 1 or len(group) * _batches.memory(longest, heads) <= bound
        shortest = min(lengths[index] for index in group)
        assert longest <= (max(2 * shortest, 16_000) if mixed else shortest)
    assert [lengths[i] for group in groups for i in group] == sorted(lengths)


def test_a_minute_by_a_base_model_needs_less_than_three_gigabytes():
    assert 1.8e9 < _batches.memory(60 * 16_000, heads=12) < 3e9  # 1.8 GB measured, of WavLM base


def test_an_empty_folder_of_batches_is_no_batch():
    assert list(_batches.groups([], 0, 12, mixed=True)) == []


def test_heads_and_masks_are_read_from_the_configuration(save_checkpoint, tmp_path):
    found = inspect("x", Asked("x"), save_checkpoint(tmp_path, feat_extract_norm="layer"))

    assert (found.kind, found.heads, found.masked) == ("wavlm", 2, True)


def test_padding_is_not_counted_as_a_frame(save_checkpoint, tmp_path, clips):
    encoder = load_encoder(f"hf:{save_checkpoint(tmp_path, feat_extract_norm='layer', normalize=False)}")

    states = encoder._states([clips[0], clips[3]])
    with torch.inference_mode():
        alone = encoder._states([clips[3]])[0]

    assert states[1].shape == alone.shape
    assert states[0].shape[0] > states[1].shape[0]
