"""A model hears with the very encoders that it was trained on, or says why it cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from reno_sweeps.encoders import encoder_facts
from reno_sweeps.records import UserError
from reno_sweeps.serving import encoders, open_model

TINY = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": (16, 16), "conv_kernel": (10, 8), "conv_stride": (5, 4), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


def checkpoint(folder: Path, seed: int = 0) -> Path:
    """A tiny WavLM with random weights, as transformers saves it."""
    torch.manual_seed(seed)
    transformers.WavLMModel(transformers.WavLMConfig(**TINY)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 16_000, "do_normalize": True}))
    return folder


@pytest.fixture(scope="session")
def wavlm(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("checkpoints") / "wavlm")


@pytest.fixture(scope="session")
def with_wavlm(tmp_path_factory, wavlm, train_in):
    """Trained on mfcc and a checkpoint named by its folder."""
    return train_in(tmp_path_factory.mktemp("with_wavlm"), "linear", ("mfcc", f"hf:{wavlm}"))


def moved(trained, place, weights):
    """The model's folder on a machine that does not have the weights where they were."""
    shutil.copytree(trained.folder, place)
    facts = json.loads((place / "model.json").read_text())
    known = facts["encoders"][1]
    known |= {"folder": str(weights.parent / "gone"), "id": f"hf:{weights.parent / 'gone'}"}
    (place / "model.json").write_text(json.dumps(facts))
    return place, known["id"]


def test_a_checkpoint_that_lies_where_it_lay_is_found_again(with_wavlm):
    table = open_model(with_wavlm.folder, device="cpu").answer(with_wavlm.files)

    assert np.abs(table.probabilities - with_wavlm.result.test_probabilities).max() < 1e-5


@pytest.mark.parametrize("name", ["weights", "sha256", "audio"])
def test_a_description_that_lacks_a_fact_is_refused(name):
    known = {"id": "mfcc", "weights": "1", "sha256": "1", "audio": "1"}
    del known[name]

    with pytest.raises(UserError, match=f"encoder mfcc: the model's description lacks {name}"):
        encoders.opened([known], {}, "cpu")


def test_a_checkpoint_that_is_gone_is_asked_for_with_its_hash(with_wavlm, tmp_path, wavlm):
    place, encoder = moved(with_wavlm, tmp_path / "model", wavlm)
    with pytest.raises(UserError) as refused:
        open_model(place)

    lines = str(refused.value).splitlines()
    assert len(lines) == 3
    assert lines[1].endswith(encoder_facts(f"hf:{wavlm}")["weights"])
    assert lines[2].startswith(f"say where they lie: --weights {encoder}=DIR; or register it")
    assert lines[2].endswith("--bundle-encoders")


def test_a_checkpoint_that_moved_is_taken_from_where_it_is_said_to_lie(with_wavlm, tmp_path, wavlm):
    place, encoder = moved(with_wavlm, tmp_path / "model", wavlm)
    copy = shutil.copytree(wavlm, tmp_path / "copy")
    table = open_model(place, {encoder: str(copy)}, device="cpu").answer(with_wavlm.files)

    assert np.abs(table.probabilities - with_wavlm.result.test_probabilities).max() < 1e-5


def test_other_weights_are_refused_with_both_hashes(with_wavlm, tmp_path, wavlm):
    place, encoder = moved(with_wavlm, tmp_path / "model", wavlm)
    other = checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(UserError) as refused:
        open_model(place, {encoder: str(other)})

    first = str(refused.value).splitlines()[0]
    assert encoder_facts(f"hf:{other}")["weights"] in first
    assert encoder_facts(f"hf:{wavlm}")["weights"] in first


def test_a_hub_checkpoint_is_also_known_by_its_hash(wavlm, tmp_path, monkeypatch):
    snapshot = tmp_path / "models--owner--name" / "snapshots" / "0a1b2c"
    shutil.copytree(wavlm, snapshot)
    monkeypatch.setattr(
        "reno_sweeps.serving.encoders.cached", lambda hub_id: snapshot if hub_id == "owner/name" else None
    )
    facts = {**encoder_facts(f"hf:{wavlm}"), "weights": "owner/name@0a1b2c"}
    known = encoders.described("hf:owner/name", facts)
    (loaded,) = encoders.opened([known], {"hf:owner/name": str(wavlm)}, "cpu")

    assert known["folder"] == str(snapshot)
    assert known["sha256"] == encoder_facts(f"hf:{wavlm}")["weights"]
    assert loaded.dim == TINY["hidden_size"]


def test_a_computed_encoder_has_no_folder():
    known = encoders.described("mfcc", encoder_facts("mfcc"))

    assert known["folder"] is None
    assert known["id"] == "mfcc"
    assert {**known, **encoder_facts("mfcc")} == known
