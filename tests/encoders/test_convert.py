"""Older checkpoints become safetensors: the same vectors, no code run, nothing half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reno_sweeps.encoders import convert_encoder, encoder_facts, load_encoder
from reno_sweeps.records import UserError

CLIP = (0.1 * np.random.default_rng(0).standard_normal(5_000)).astype(np.float32)
NORMED = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def aged(folder: Path, older: Path, prefix: str = "") -> Path:
    """The checkpoint as it was written years ago: a pickle of tensors, a model's prefix, heads, old names of norms."""
    shutil.copytree(folder, older)
    tensors = {}
    for key, value in load_file(older / "model.safetensors").items():
        stem, _, last = key.partition("conv.param")
        tensors[prefix + (f"{stem}conv.{NORMED['param' + last]}" if last else key)] = value
    torch.save(tensors | {"quantizer.codevectors": torch.zeros(2, 3)}, older / "pytorch_model.bin")
    (older / "model.safetensors").unlink()
    return older


@pytest.mark.parametrize(
    ("kind", "prefix"), [("WavLM", ""), ("Wav2Vec2", "wav2vec2."), ("UniSpeechSat", "unispeech_sat."), ("Hubert", "")]
)
def test_it_gives_the_same_vectors(save_checkpoint, tmp_path, kind, prefix):
    folder = save_checkpoint(tmp_path / "new", kind)
    older = aged(folder, tmp_path / "older", prefix)

    said = convert_encoder("hf:any", older, tmp_path / "out")

    np.testing.assert_array_equal(*(load_encoder(f"hf:{f}").embed([CLIP]) for f in (folder, tmp_path / "out")))
    assert said["sha256"] == encoder_facts(f"hf:{tmp_path / 'out'}")["weights"]
    assert said["parameters"] == 6 + sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    assert json.dumps(said)


def test_the_file_itself_may_be_named(tmp_path, wavlm):
    older = aged(wavlm, tmp_path / "older")

    convert_encoder("hf:any", older / "pytorch_model.bin", tmp_path / "out")

    assert encoder_facts(f"hf:{tmp_path / 'out'}")["normalize"] is True  # what stands beside it came along


def test_safetensors_are_taken_as_they_are(tmp_path, wavlm):
    convert_encoder("hf:any", wavlm, tmp_path / "out")

    assert encoder_facts(f"hf:{tmp_path / 'out'}") == encoder_facts(f"hf:{wavlm}")


def test_code_in_an_older_checkpoint_is_never_run(tmp_path, wavlm):
    older = aged(wavlm, tmp_path / "older")
    torch.save({"weight": Path("/")}, older / "pytorch_model.bin")  # needs a class that is no tensor

    with pytest.raises(UserError, match="not a file of plain tensors"):
        convert_encoder("hf:any", older, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, wavlm, content):
    older = aged(wavlm, tmp_path / "older")
    (older / "pytorch_model.bin").write_bytes(content)

    with pytest.raises(UserError, match="not a file of plain tensors"):
        convert_encoder("hf:any", older, tmp_path / "out")


def test_a_file_that_holds_one_tensor_and_no_names_is_refused(tmp_path, wavlm):
    older = aged(wavlm, tmp_path / "older")
    torch.save(torch.zeros(3), older / "pytorch_model.bin")

    with pytest.raises(UserError, match="not a file of plain tensors"):
        convert_encoder("hf:any", older, tmp_path / "out")


def test_a_broken_or_missing_source_is_refused(tmp_path, wavlm):
    cut = shutil.copytree(wavlm, tmp_path / "cut")
    (cut / "model.safetensors").write_bytes((wavlm / "model.safetensors").read_bytes()[:-1])

    with pytest.raises(UserError, match="a broken download"):
        convert_encoder("hf:any", cut, tmp_path / "out")
    with pytest.raises(UserError, match=r"holds no config\.json"):
        convert_encoder("hf:any", tmp_path, tmp_path / "out")
    (cut / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        convert_encoder("hf:any", cut, tmp_path / "out")


def test_a_checkpoint_is_never_written_over(tmp_path, wavlm):
    kept = shutil.copytree(wavlm, tmp_path / "kept")

    with pytest.raises(UserError, match="holds a checkpoint already"):
        convert_encoder("hf:any", wavlm, kept)


def test_a_full_disk_leaves_no_checkpoint(tmp_path, wavlm, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    older = aged(wavlm, tmp_path / "older")
    monkeypatch.setattr("safetensors.torch.save_file", full)

    with pytest.raises(OSError, match="No space left"):
        convert_encoder("hf:any", older, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))
