"""What every encoder promises: one vector a clip, whatever its company."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from reno_sweeps.encoders import encoder_facts, list_encoders, load_encoder
from reno_sweeps.records import UserError

COMPUTED = [row["id"] for row in list_encoders() if row["source"] == "computed"]
ADDRESS = {"encoder", "weights", "layer", "pooling", "precision", "normalize", "code"}


@pytest.fixture(scope="module", params=[*COMPUTED, "wavlm", "whisper", "bert"])
def encoder(request):
    known = request.param in COMPUTED
    return load_encoder(request.param if known else f"hf:{request.getfixturevalue(request.param)}")


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    lengths = [9_000, 16_000, 300, 9_000, 4_321, 16_000, 16_000, 1]
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

    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, turned)


def test_silence_has_a_finite_vector(encoder):
    assert np.isfinite(encoder.embed([np.zeros(8_000, np.float32)])).all()


def test_embedding_leaves_the_recording_as_it_was(encoder, clips):
    before = [clip.copy() for clip in clips]

    encoder.embed(clips)

    assert all((clip == kept).all() for clip, kept in zip(clips, before, strict=True))


def test_its_facts_are_those_known_before_it_was_loaded(encoder):
    assert encoder.facts == encoder_facts(encoder.id)
    assert set(encoder.facts) == ADDRESS


def test_an_unknown_encoder_is_answered_with_what_is_on_offer():
    with pytest.raises(UserError, match=r"'mfc'; it offers .*log-mel.*hf:<hub id or folder>.*did you mean mfcc"):
        load_encoder("mfc")


def test_every_row_says_whether_it_could_be_used_now():
    rows = {row["id"]: row for row in list_encoders()}

    assert rows["mfcc"] == {
        "id": "mfcc",
        "family": "mfcc",
        "source": "computed",
        "dim": 80,
        "licence": "none needed",
        "at_hand": True,
    }
    assert rows["mms-1b"]["dim"] == 1280
    assert rows["file:<x.npz>"]["at_hand"] is None


def test_facts_are_known_without_torch(wavlm):
    program = (
        "import sys; from reno_sweeps.encoders import encoder_facts, list_encoders;"
        f"[encoder_facts(name) for name in ('mfcc', 'log-mel', 'hf:{wavlm}')]; list_encoders();"
        "print([name for name in ('torch', 'torchaudio', 'transformers', 'numpy') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
