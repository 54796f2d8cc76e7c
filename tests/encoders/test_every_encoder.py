"""What every encoder promises: one vector a clip, whatever its company."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

from reno_sweeps.encoders import convert_encoder, encoder_facts, fetch_encoder, list_encoders, load_encoder
from reno_sweeps.encoders._mamba_random import write_random
from reno_sweeps.records import UserError

COMPUTED = [row["id"] for row in list_encoders() if row["source"] == "computed"]
MADE = ["wavlm", "whisper", "bert"]  # fixtures that make a small random checkpoint and give its folder
ADDRESS = {"encoder", "weights", "layer", "pooling", "precision", "normalize", "code"}
RELATIVE = 1e-4  # norm of the difference over the norm


@pytest.fixture(scope="module", params=[*COMPUTED, *MADE])
def asked(request) -> dict[str, str]:
    """An encoder of every family: its id, and its weights where the id does not say them."""
    if request.param in COMPUTED:
        return {"id": request.param}
    return {"id": f"hf:{request.getfixturevalue(request.param)}"}


@pytest.fixture(scope="module")
def encoder(asked):
    return load_encoder(**asked)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest relative difference between the rows of two arrays."""
    return float((np.linalg.norm(one - other, axis=1) / np.linalg.norm(one, axis=1)).max())


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    lengths = [9_000, 16_000, 160, 9_000, 4_321, 16_000, 16_000, 1]  # 160: 10 ms
    return [(0.1 * dice.standard_normal(n)).astype(np.float32) for n in lengths]


def test_it_gives_one_finite_float32_vector_a_clip(encoder, clips):
    vectors = encoder.embed(clips)

    assert vectors.shape == (len(clips), encoder.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_no_clips_give_no_vectors(encoder):
    assert encoder.embed([]).shape == (0, encoder.dim)


def test_a_clip_alone_has_the_vector_that_it_has_in_any_batch(encoder, clips):
    together = encoder.embed(clips)
    turned = encoder.embed(clips[::-1])[::-1]
    alone = np.concatenate([encoder.embed([clip]) for clip in clips])

    assert apart(alone, together) <= RELATIVE
    assert apart(alone, turned) <= RELATIVE
    assert encoder.id not in COMPUTED or (alone == together).all()  # arithmetic of one clip: the same bits


@pytest.mark.parametrize("samples", [8_000, 160, 1])
def test_silence_has_a_finite_vector(encoder, samples):
    assert np.isfinite(encoder.embed([np.zeros(samples, np.float32)])).all()


def test_a_clip_with_a_sample_that_is_no_number_spoils_no_other(encoder, clips):
    broken = clips[0].copy()
    broken[100] = np.nan

    vectors = encoder.embed([broken, *clips[1:]])

    assert np.isnan(vectors[0]).any()
    assert apart(encoder.embed(clips)[1:], vectors[1:]) <= RELATIVE


def test_embedding_leaves_the_recording_as_it_was(encoder, clips):
    before = [clip.copy() for clip in clips]

    encoder.embed(clips)

    assert all((clip == kept).all() for clip, kept in zip(clips, before, strict=True))


def test_recordings_that_cannot_be_written_to_or_run_backwards_are_heard(encoder, clips):
    clip, locked = clips[4], clips[4].copy()
    locked.flags.writeable = False
    with warnings.catch_warnings(action="error"):
        vectors = encoder.embed([clip, locked, clip[::-1].copy()[::-1]])

    assert apart(vectors[1:], vectors[[0, 0]]) <= RELATIVE


def test_its_facts_are_those_known_before_it_was_loaded(encoder, asked):
    assert encoder.facts == encoder_facts(**asked)
    assert set(encoder.facts) == ADDRESS


@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_computed_has_nothing_to_fetch_or_to_convert(name, tmp_path):
    with pytest.raises(UserError, match=f"{name} is computed: nothing to fetch"):
        fetch_encoder(name)
    with pytest.raises(UserError, match=f"{name} is computed: nothing to convert"):
        convert_encoder(name, tmp_path, tmp_path / "out")


def test_a_file_of_vectors_has_nothing_to_fetch():
    with pytest.raises(UserError, match=r"file:x\.npz is a file of yours: nothing to fetch"):
        fetch_encoder("file:x.npz")


def test_an_unknown_encoder_is_answered_with_what_is_on_offer():
    with pytest.raises(UserError, match=r"'mfc'; it offers .*log-mel.*did you mean mfcc") as refusal:
        load_encoder("mfc")
    assert "hf:<hub id or folder>" in str(refusal.value)


@pytest.mark.parametrize("name", ["emotion2vec", "emotion2vec_plus_large", "hf:emotion2vec/emotion2vec_base"])
@pytest.mark.parametrize("use", [load_encoder, encoder_facts, fetch_encoder])
def test_emotion2vec_is_answered_with_the_way_round(name, use):
    with pytest.raises(UserError, match=r"FunASR's(.|\n)*use file:<x\.npz>"):
        use(name)


def test_what_lies_below_the_weights_folder_is_at_hand_where_it_is_whole_and_of_that_name(
    tmp_path, monkeypatch, wavlm, wide
):
    monkeypatch.setenv("RENO_WEIGHTS", str(tmp_path))
    shutil.copytree(wide, tmp_path / "wavlm-base")
    shutil.copytree(wavlm, tmp_path / "wavlm-large")  # of another width
    write_random("audio-mamba-tiny", tmp_path / "audio-mamba-tiny")
    write_random("audio-mamba-tiny", tmp_path / "audio-mamba-small")  # of another size
    (tmp_path / "hubert-base").mkdir()
    (tmp_path / "hubert-base" / "config.json").write_text("{}")
    (tmp_path / "audio-mamba-base").mkdir()
    (tmp_path / "audio-mamba-base" / "checkpoint-99.pth").write_text("<html>")

    here = {row["id"] for row in list_encoders() if row["at_hand"]}

    assert {"wavlm-base", "audio-mamba-tiny"} <= here
    assert here.isdisjoint({"wavlm-large", "hubert-base", "audio-mamba-small", "audio-mamba-base"})


def test_an_empty_folder_below_the_weights_folder_stands_for_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RENO_WEIGHTS", str(tmp_path))
    (tmp_path / "audio-mamba-tiny").mkdir()

    with pytest.raises(UserError, match="no weights given"):
        encoder_facts("audio-mamba-tiny")


def test_every_row_says_whether_it_could_be_used_now():
    rows = {row["id"]: row for row in list_encoders()}

    assert rows["mfcc"] == {
        "id": "mfcc",
        "family": "mfcc",
        "source": "computed",
        "dim": 80,
        "parameters": None,
        "licence": "none needed",
        "at_hand": True,
        "page": "",
    }
    assert rows["mms-1b"]["dim"] == 1280
    assert rows["file:<x.npz>"]["at_hand"] is None


def test_facts_are_known_without_torch(wavlm):
    program = (
        "import sys; from reno_sweeps.encoders import encoder_facts, list_encoders;"
        f"[encoder_facts(name) for name in ('mfcc', 'log-mel', 'egemaps', 'hf:{wavlm}')]; list_encoders();"
        "print([name for name in ('torch', 'torchaudio', 'transformers', 'numpy') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
