"""Audio-Mamba: equal to the official code on its fixtures, whatever a clip's length and company."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from reno_sweeps.encoders import _mamba_front, _mamba_model, _mamba_weights, audio_mamba, encoder_facts, load_encoder
from reno_sweeps.encoders._mamba_random import positions, random_state, write_random
from reno_sweeps.encoders._mamba_sizes import ROWS, WIDTHS, count, needed, parse, unused
from reno_sweeps.records import UserError

MODEL_GATE, TIMESTAMPS_GATE, SCENE_GATE, LOG_MEL_GATE, MS_GATE = 2e-5, 1e-4, 1e-5, 1e-4, 1e-3
TINY = "audio-mamba-tiny"
FIXTURES = ("0_6400", "1_32000", "2_49600", "3_123200", "4_31840")


@pytest.fixture(scope="module")
def official(shared_data: Path) -> dict[str, np.ndarray]:
    """What the official classes made of five clips, with a model of two blocks."""
    with np.load(shared_data / "audio-mamba" / "ssam_dev_io.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def net(shared_data: Path) -> _mamba_model.Network:
    """The fixtures' network, from the official run's folder."""
    file = _mamba_weights.locate(TINY, shared_data / "audio-mamba" / "ssam_dev")
    arrays = _mamba_weights.read(TINY, file, depth=None).arrays
    return _mamba_model.network({key: torch.from_numpy(array) for key, array in arrays.items()})


@pytest.fixture(scope="module")
def small() -> _mamba_model.Network:
    """Random weights, two blocks."""
    return _mamba_model.network(random_state(TINY, seed=0, depth=2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a whole tiny model, as a user would give them."""
    place = tmp_path_factory.mktemp("weights")
    write_random(TINY, place)
    return place


def encoder(net: _mamba_model.Network, options: str = "") -> audio_mamba.AudioMamba:
    return audio_mamba.AudioMamba(TINY + options, {}, net, parse(TINY + options))


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def furthest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(np.asarray(a) - b).max())


# --- parity with the official code --------------------------------------------------------------------------


@pytest.mark.parametrize("clip", FIXTURES)
def test_timestamps_and_scene_embeddings_are_the_official_ones(net, official, clip):
    rows, ms = encoder(net).timestamps(official[f"wave_{clip}"])
    scene = encoder(net).embed([official[f"wave_{clip}"]])[0]

    assert rows.shape == official[f"timestamps_emb_{clip}"].shape
    assert furthest(rows, official[f"timestamps_emb_{clip}"]) < TIMESTAMPS_GATE
    assert furthest(ms, official[f"timestamps_ms_{clip}"]) < MS_GATE
    assert furthest(scene, official[f"scene_{clip}"]) < SCENE_GATE


def test_scene_embeddings_are_the_official_ones_in_one_batch(net, official):
    scenes = encoder(net).embed([official[f"wave_{clip}"] for clip in FIXTURES])

    assert furthest(scenes, np.stack([official[f"scene_{clip}"] for clip in FIXTURES])) < SCENE_GATE


def test_the_log_mel_picture_is_the_official_one(official):
    raw = _mamba_front.log_mel(torch.from_numpy(official["wave_2_49600"]))

    assert furthest(raw, official["logmel_raw_2_49600"]) < LOG_MEL_GATE
    assert furthest(_mamba_front.standardised(raw), official["logmel_2_49600"]) < LOG_MEL_GATE


def test_the_model_alone_gives_the_official_rows_of_the_official_picture(net, official):
    chunks = _mamba_front.chunked(torch.from_numpy(official["logmel_2_49600"]))
    together = _mamba_model.regrouped(_mamba_model.encoded(net, chunks), "official").flatten(0, 1)
    alone = [_mamba_model.regrouped(_mamba_model.encoded(net, chunk[None]), "official")[0] for chunk in chunks]
    expected = official["timestamps_emb_2_49600"]

    assert furthest(together[: len(expected)], expected) < MODEL_GATE
    assert furthest(torch.cat(alone)[: len(expected)], expected) < MODEL_GATE


def test_every_stage_of_the_first_chunk_is_the_official_one(net, official):
    chunk = _mamba_front.chunked(torch.from_numpy(official["logmel_2_49600"]))[:1]
    tokens = _mamba_model.patched(net, chunk)
    stream = _mamba_model.entered(net, tokens)
    stages = {"patch_tokens": tokens, "encoder_input": stream}
    for number, block in enumerate(net.blocks):
        out = _mamba_model.mixed(block, _mamba_model.normed(stream, block.norm))
        stages |= {f"block{number}_residual": stream, f"block{number}_mixer_out": out}
        stream = stream + out
    stages["encoder_output"] = _mamba_model.normed(stream, net.norm)

    known = {key.removeprefix("dbg_") for key in official if key.startswith("dbg_")}
    assert stages.keys() == known
    assert {
        name: furthest(stages[name][:8, 0], official[f"dbg_{name}"]) < MODEL_GATE for name in known
    } == dict.fromkeys(known, True)


# --- the gates would notice -----------------------------------------------------------------------------------


def by_chunk(picture: torch.Tensor) -> torch.Tensor:
    parts = [(part - part.mean()) / part.std() for part in picture.split(200)]
    return torch.nn.functional.pad(torch.cat(parts), (0, 0, 0, -len(picture) % 200)).view(-1, 200, 80)


MISTAKES = {
    "a layer norm's eps of 1e-5": (_mamba_model, "EPS", 1e-5, "0_6400"),
    "the biased deviation": (_mamba_front, "standardised", lambda y: (y - y.mean()) / y.std(correction=0), "0_6400"),
    "chunks standardised by themselves": (_mamba_front, "chunked", by_chunk, "1_32000"),
    "a mel bank that begins at 0 Hz": (_mamba_front, "LOWEST", 0.0, "0_6400"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_scene_gate_notices(net, official, monkeypatch, mistake):
    module, word, wrong, clip = MISTAKES[mistake]
    monkeypatch.setattr(module, word, wrong)
    _mamba_front._window_and_bank.cache_clear()
    scene = encoder(net).embed([official[f"wave_{clip}"]])[0]
    _mamba_front._window_and_bank.cache_clear()

    assert furthest(scene, official[f"scene_{clip}"]) > 1.5 * SCENE_GATE


@pytest.mark.parametrize("clip", FIXTURES)
def test_the_gates_notice_the_natural_layout(net, official, clip):
    natural = encoder(net, "@layout=natural")
    rows, _ = natural.timestamps(official[f"wave_{clip}"])

    assert furthest(rows, official[f"timestamps_emb_{clip}"]) > 1e3 * TIMESTAMPS_GATE
    assert furthest(natural.embed([official[f"wave_{clip}"]])[0], official[f"scene_{clip}"]) > 1e3 * SCENE_GATE


# --- sizes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dim", "parameters", "trainable"),
    [
        ("audio-mamba-tiny", 960, 4_808_704, 4_760_512),
        ("audio-mamba-small", 1920, 17_985_472, 17_889_088),
        ("audio-mamba-base", 3840, 69_443_392, 69_250_624),
    ],
)
def test_a_size_has_exactly_the_published_number_of_parameters(name, dim, parameters, trainable):
    shapes = needed(WIDTHS[name]) | unused(WIDTHS[name])
    row = next(row for row in ROWS if row.id == name)

    assert count(shapes) == parameters == row.parameters
    assert parameters - count({"frozen": shapes["pos_embed"]}) == trainable
    assert row.dim == dim


def test_random_weights_have_every_key_and_shape_of_a_checkpoint(shared_data):
    from safetensors import safe_open

    with safe_open(shared_data / "audio-mamba" / "ssam_dev.safetensors", "pt") as file:
        known = {key: tuple(file.get_tensor(key).shape) for key in file.keys()}  # noqa: SIM118  # no mapping

    assert {key: tuple(tensor.shape) for key, tensor in random_state(TINY, 0, depth=2).items()} == known


def test_positions_are_the_waves_of_the_band_group_and_then_of_the_time():
    table, rates = positions(192)[0], 10_000.0 ** (-np.arange(48) / 48)
    time, group = 7, 3
    expected = [wave(place * rates) for place in (group, time) for wave in (np.sin, np.cos)]

    assert not table[0].any()
    np.testing.assert_allclose(table[1 + 5 * time + group], np.concatenate(expected), atol=1e-6)


def test_random_weights_follow_their_seed(small):
    again = _mamba_model.network(random_state(TINY, seed=0, depth=2))
    other = _mamba_model.network(random_state(TINY, seed=1, depth=2))

    assert torch.equal(small.blocks[1].into, again.blocks[1].into)
    assert not torch.equal(small.blocks[1].into, other.blocks[1].into)


# --- clips of every length, in any company ------------------------------------------------------------------


def test_a_clip_alone_has_the_vector_that_it_has_in_any_batch(small):
    clips = [noise(samples, seed) for seed, samples in enumerate((48_000, 1, 32_000, 201, 31_999, 5_000, 80_000))]
    mine = encoder(small)
    alone = np.concatenate([mine.embed([clip]) for clip in clips])

    np.testing.assert_allclose(mine.embed(clips), alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mine.embed(clips[::-1])[::-1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_how_many_chunks_share_a_pass_changes_nothing(small, monkeypatch, at_once):
    clips = [noise(70_000, 1), noise(20_000, 2), noise(33_000, 3)]
    usual = encoder(small).embed(clips)
    monkeypatch.setitem(audio_mamba.AT_ONCE, "cpu", at_once)

    np.testing.assert_allclose(encoder(small).embed(clips), usual, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "frames", "chunks", "rows"),
    [
        (1, 2, 1, 1),  # padded to 201 samples
        (201, 2, 1, 1),
        (6_400, 41, 1, 11),
        (31_840, 200, 1, 50),  # frames fill the chunk: no second one
        (31_999, 200, 1, 50),
        (32_000, 201, 2, 51),  # exactly two seconds
        (63_840, 400, 2, 100),
        (960_000, 6_001, 31, 1_501),
    ],
)
def test_frames_chunks_and_rows_of_a_length(samples, frames, chunks, rows):
    picture = _mamba_front.log_mel(torch.from_numpy(noise(samples)))

    assert picture.shape == (frames, 80)
    assert _mamba_front.chunked(picture).shape == (chunks, 200, 80)
    assert _mamba_front.rows_of(frames) == rows


def test_the_chunk_of_padding_that_is_left_out_would_change_nothing(small):
    picture = _mamba_front.standardised(_mamba_front.log_mel(torch.from_numpy(noise(31_840))))
    official = torch.nn.functional.pad(picture, (0, 0, 0, 200)).view(2, 200, 80)
    rows = _mamba_model.regrouped(_mamba_model.encoded(small, official), "official").flatten(0, 1)[:50]

    np.testing.assert_allclose(encoder(small).timestamps(noise(31_840))[0], rows, rtol=1e-4, atol=1e-5)


def test_a_minute_is_heard_whole(small):
    rows, ms = encoder(small).timestamps(noise(960_000))

    assert rows.shape == (1_501, 960)
    assert np.isfinite(rows).all()
    assert ms[0] == 0
    assert ms[-1] == pytest.approx(60_000 * 1_500 / 1_501)


@pytest.mark.parametrize("samples", [1, 160, 200])
def test_a_clip_too_short_to_be_mirrored_is_padded_with_zeros_at_its_end(small, samples):
    padded = np.concatenate([noise(samples), np.zeros(201 - samples, np.float32)])

    np.testing.assert_array_equal(*(encoder(small).embed([clip]) for clip in (noise(samples), padded)))


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_silence_is_a_picture_of_zeros_at_any_offset(small, level):
    silence = np.full(16_000, level, np.float32)
    picture = _mamba_front.standardised(_mamba_front.log_mel(torch.from_numpy(silence)))
    vectors = encoder(small).embed([np.zeros(16_000, np.float32), np.zeros(16_000, np.float32)])

    assert not picture.any()
    assert np.isfinite(vectors).all()
    np.testing.assert_array_equal(*vectors)


def test_a_whisper_just_above_silence_is_still_standardised():
    picture = _mamba_front.standardised(_mamba_front.log_mel(torch.from_numpy(1e-4 * noise(16_000))))

    assert float(picture.std()) == pytest.approx(1.0, abs=1e-3)


def test_recordings_that_cannot_be_written_to_or_run_backwards_are_heard(small):
    clip = noise(5_000)
    locked = clip.copy()
    locked.flags.writeable = False
    with warnings.catch_warnings(action="error"):
        vectors = encoder(small).embed([clip, locked, clip[::-1][::-1]])

    np.testing.assert_allclose(vectors[1:], vectors[[0, 0]], rtol=1e-4, atol=1e-5)


def test_what_is_no_number_in_one_clip_does_not_reach_its_neighbours(small):
    broken = noise(16_000, 1)
    broken[5_000] = np.nan
    alone = encoder(small).embed([noise(16_000)])[0]
    vectors = encoder(small).embed([broken, noise(16_000)])

    assert np.isnan(vectors[0]).all()
    np.testing.assert_allclose(vectors[1], alone, rtol=1e-4, atol=1e-5)


# --- pooling and layout ---------------------------------------------------------------------------------------


def test_mean_and_deviation_are_those_of_the_rows(small):
    clip = noise(50_000)
    rows, _ = encoder(small).timestamps(clip)
    both = encoder(small, "@pooling=mean-std")

    assert both.dim == 2 * 960
    np.testing.assert_allclose(both.embed([clip])[0], np.concatenate([rows.mean(0), rows.std(0)]), rtol=1e-4, atol=1e-5)


def test_the_natural_layout_puts_a_time_in_a_row_and_the_official_one_a_fifth_of_the_chunk_in_a_column():
    token = torch.arange(250.0).view(250, 1, 1)
    natural, official = (_mamba_model.regrouped(token, layout)[0] for layout in ("natural", "official"))

    assert natural[1].tolist() == [5, 6, 7, 8, 9]
    assert official[1].tolist() == [1, 51, 101, 151, 201]


def test_patches_are_numbered_time_by_time_with_bands_fastest(small):
    chunk = torch.zeros(1, 200, 80)
    chunk[0, 4:8, 32:48] = 1.0  # second time, third band group
    tokens = _mamba_model.patched(small, chunk)[:, 0] - small.patch[1]

    assert tokens.abs().sum(1).nonzero().flatten().tolist() == [5 * 1 + 2]


# --- as an entry of the catalogue -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "@pooling=mean-std", "@layout=natural"])
def test_it_is_loaded_by_its_id_and_knows_the_facts_of_its_address(folder, options):
    mine = load_encoder(TINY + options, weights=str(folder))
    vectors = mine.embed([noise(8_000), noise(40_000)])

    assert mine.facts == encoder_facts(TINY + options, weights=str(folder))
    assert vectors.shape == (2, mine.dim)
    assert vectors.dtype == np.float32
    assert mine.embed([]).shape == (0, mine.dim)


def test_every_choice_that_changes_a_vector_changes_the_address(folder):
    ids = ["", "@pooling=mean-std", "@layout=natural", "@layout=natural@pooling=mean-std", "@precision=bf16"]
    addresses = [str(encoder_facts(TINY + options, weights=str(folder))) for options in ids]

    assert len(set(addresses)) == len(ids)
    assert encoder_facts(f"{TINY}@precision=fp32@layout=official", str(folder)) == encoder_facts(TINY, str(folder))


def test_facts_wait_for_neither_torch_nor_numpy(folder):
    program = (
        "import sys; from reno_sweeps.encoders import encoder_facts, list_encoders;"
        f"encoder_facts({TINY!r}, {str(folder)!r}); list_encoders();"
        "print([name for name in ('torch', 'numpy', 'safetensors', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("@layer=3", r"no option @layer=3\non offer: @layout=official\|natural, @pooling"),
        ("@pooling=max", "no option @pooling=max"),
        ("@layout", r"no option @layout\non offer"),
        ("@layout=natural@layout=official", "@layout is given twice"),
    ],
)
def test_options_that_do_not_exist_are_answered_with_those_that_do(folder, id, message):  # noqa: A002
    with pytest.raises(UserError, match=message):
        load_encoder(TINY + id, weights=str(folder))


def test_half_precision_is_refused_on_a_cpu(folder):
    with pytest.raises(UserError, match="bfloat16 needs a GPU"):
        load_encoder(f"{TINY}@precision=bf16", weights=str(folder))
    with pytest.raises(UserError, match="float16 needs a GPU"):
        load_encoder(TINY, weights=str(folder), precision="float16")
    with pytest.raises(UserError, match="asks for bfloat16, the precision given is float16"):
        load_encoder(f"{TINY}@precision=bf16", weights=str(folder), precision="float16")
    with pytest.raises(UserError, match=r"precision int8: .* offers float32, bfloat16, float16"):
        load_encoder(TINY, weights=str(folder), precision="int8")


@pytest.mark.parametrize(("half", "far"), [(torch.bfloat16, 0.05), (torch.float16, 5e-3)])
def test_matrix_products_in_half_precision_move_a_vector_only_a_little(half, far):
    exact, rough = (_mamba_model.network(random_state(TINY, 0, depth=2), half=kind) for kind in (None, half))
    moved = np.abs(encoder(rough).embed([noise(20_000)]) - encoder(exact).embed([noise(20_000)]))

    assert 0 < moved.max() < far
    assert rough.blocks[0].rates.dtype == rough.norm[0].dtype == torch.float32


def test_without_weights_it_says_where_a_person_finds_them():
    for asked in (
        lambda: load_encoder(TINY),
        lambda: encoder_facts(TINY, download=True),
        lambda: audio_mamba.fetch(TINY),
    ):
        with pytest.raises(UserError, match="ssam_tiny_200_16x4_4x256_fp16_r1") as told:
            asked()
        assert audio_mamba.PAGE in str(told.value)
        assert str(told.value).count("\n") == 2


def test_the_surroundings_are_left_as_they_were(small):
    torch.set_float32_matmul_precision("high")
    encoder(small).embed([noise(400)])
    after = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")

    assert after == "high"
    assert not torch.is_inference_mode_enabled()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_on_a_gpu_vectors_are_those_of_the_cpu(folder):
    clips = [noise(50_000, 1), noise(3_000, 2)]
    cpu = load_encoder(TINY, weights=str(folder)).embed(clips)
    gpu = load_encoder(TINY, weights=str(folder), device="cuda").embed(clips)
    half = load_encoder(f"{TINY}@precision=bf16", weights=str(folder), device="cuda").embed(clips)

    np.testing.assert_allclose(gpu, cpu, atol=1e-4)
    np.testing.assert_allclose(half, cpu, atol=0.1)
