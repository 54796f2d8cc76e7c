"""Speech encoders of transformers: as the checkpoint says, one clip at a time, offline unless asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from reno_sweeps.encoders import encoder_facts, load_encoder
from reno_sweeps.encoders._hub import convert
from reno_sweeps.records import UserError

CLIP = (0.1 * np.random.default_rng(0).standard_normal(5_000)).astype(np.float32)
SHORTEST = 10 + 5 * ((8 - 1) + 4 * (4 - 1))  # receptive field of the tiny stack: kernels 10, 8, 4; strides 5, 4, 2


def transformers_vector(folder: Path, clip: np.ndarray, normalize: bool) -> np.ndarray:
    """The same embedding by transformers' own feature extractor and model."""
    from transformers import AutoModel, Wav2Vec2FeatureExtractor

    heard = Wav2Vec2FeatureExtractor(do_normalize=normalize)(clip, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        return AutoModel.from_pretrained(folder).eval()(heard.input_values).last_hidden_state.mean(dim=1)[0].numpy()


@pytest.mark.parametrize("kind", ["WavLM", "Wav2Vec2", "Hubert", "UniSpeechSat", "Data2VecAudio", "SEW"])
def test_it_equals_transformers_own_way(save_checkpoint, tmp_path, kind):
    folder = (
        save_checkpoint(tmp_path / "m", kind, squeeze_factor=2)
        if kind == "SEW"
        else save_checkpoint(tmp_path / "m", kind)
    )

    vector = load_encoder(f"hf:{folder}").embed([CLIP])[0]

    np.testing.assert_allclose(vector, transformers_vector(folder, CLIP, normalize=True), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "SEW"])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_company_is_irrelevant_with_either_kind_of_norm(save_checkpoint, tmp_path, kind, norm):
    encoder = load_encoder(f"hf:{save_checkpoint(tmp_path / 'm', kind, feat_extract_norm=norm)}")
    clips = [CLIP, CLIP[:1_700], CLIP[::-1].copy(), CLIP[:40], CLIP]

    together, alone = encoder.embed(clips), np.concatenate([encoder.embed([clip]) for clip in clips])

    np.testing.assert_array_equal(together, alone)


def test_the_checkpoint_says_whether_clips_are_normalised(save_checkpoint, tmp_path):
    yes, no = save_checkpoint(tmp_path / "yes", normalize=True), save_checkpoint(tmp_path / "no", normalize=False)

    assert [encoder_facts(f"hf:{folder}")["normalize"] for folder in (yes, no)] == [True, False]
    np.testing.assert_allclose(
        load_encoder(f"hf:{no}").embed([CLIP])[0], transformers_vector(no, CLIP, normalize=False), rtol=1e-4, atol=1e-5
    )


def test_a_processor_may_say_it_too(save_checkpoint, tmp_path):
    folder = save_checkpoint(tmp_path, normalize=None)
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": {"do_normalize": False}}))

    assert encoder_facts(f"hf:{folder}")["normalize"] is False


def test_a_checkpoint_that_does_not_say_must_be_told(save_checkpoint, tmp_path):
    folder = save_checkpoint(tmp_path, normalize=None)

    with pytest.raises(UserError, match="holds no preprocessor_config"):
        encoder_facts(f"hf:{folder}")
    assert encoder_facts(f"hf:{folder}@normalize=no")["normalize"] is False
    assert encoder_facts(f"hf:{folder}@normalize=yes")["normalize"] is True


def test_a_loud_clip_is_the_same_to_a_normalising_encoder(wavlm):
    encoder = load_encoder(f"hf:{wavlm}")

    np.testing.assert_allclose(*encoder.embed([CLIP, 3 * CLIP + 0.1]), rtol=1e-3, atol=1e-4)


def test_a_layer_may_be_picked(wavlm):
    first, last, plain = (load_encoder(f"hf:{wavlm}{layer}").embed([CLIP]) for layer in ("@layer=1", "@layer=2", ""))

    np.testing.assert_allclose(last, plain, rtol=1e-5, atol=1e-6)
    assert np.abs(first - plain).max() > 1e-3


def test_a_layer_that_is_not_there_is_refused(wavlm):
    with pytest.raises(UserError, match="no layer 3; on offer: @layer=0 to @layer=2"):
        encoder_facts(f"hf:{wavlm}@layer=3")


def test_an_unknown_option_is_refused(wavlm):
    with pytest.raises(UserError, match="no option @pool=max; on offer: @layer=N"):
        encoder_facts(f"hf:{wavlm}@pool=max")


def test_a_clip_shorter_than_a_frame_is_padded_with_zeros(save_checkpoint, tmp_path):
    encoder = load_encoder(f"hf:{save_checkpoint(tmp_path, normalize=False)}")
    padded = np.concatenate([CLIP[:50], np.zeros(SHORTEST - 50, np.float32)])

    np.testing.assert_allclose(*encoder.embed([CLIP[:50], padded]), rtol=1e-5, atol=1e-6)


def test_the_address_follows_weights_and_config_and_not_the_place(save_checkpoint, tmp_path, wavlm):
    moved = shutil.copytree(wavlm, tmp_path / "elsewhere")
    other = save_checkpoint(tmp_path / "other", hidden_act="relu")
    (moved / "README.md").write_text("words")

    assert encoder_facts(f"hf:{moved}") == encoder_facts(f"hf:{wavlm}")
    assert encoder_facts(f"hf:{other}")["weights"] != encoder_facts(f"hf:{wavlm}")["weights"]


def test_a_named_row_takes_a_local_folder_for_its_weights(wavlm):
    assert encoder_facts("wavlm-base", weights=str(wavlm)) == encoder_facts(f"hf:{wavlm}")
    np.testing.assert_array_equal(
        load_encoder("wavlm-base", weights=str(wavlm)).embed([CLIP]), load_encoder(f"hf:{wavlm}").embed([CLIP])
    )


def test_a_hub_id_that_is_not_at_hand_is_answered_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(UserError, match=r"nothing is downloaded unless asked: add --download"):
        encoder_facts("wavlm-base")
    with pytest.raises(UserError, match="neither a folder nor a hub id"):
        encoder_facts("hf:two words")


def test_a_hub_id_at_hand_is_known_by_its_revision(tmp_path, monkeypatch, wavlm):
    revision = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "models--owner--tiny"
    shutil.copytree(wavlm, repo / "snapshots" / revision)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    assert encoder_facts("hf:owner/tiny")["weights"] == f"owner/tiny@{revision}"


def test_a_download_that_fails_is_answered_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(UserError, match=r"nobody/nothing could not be downloaded \("):
        encoder_facts("hf:nobody/nothing", download=True)  # the tests run with the hub switched off


def test_an_older_checkpoint_is_converted_to_the_same_vectors(tmp_path, wavlm):
    from safetensors.torch import load_file

    older = shutil.copytree(wavlm, tmp_path / "older")
    torch.save(load_file(older / "model.safetensors"), older / "pytorch_model.bin")
    (older / "model.safetensors").unlink()

    convert(older / "pytorch_model.bin", older / "model.safetensors")

    np.testing.assert_array_equal(*(load_encoder(f"hf:{folder}").embed([CLIP]) for folder in (older, wavlm)))


def test_code_in_an_older_checkpoint_is_never_run(tmp_path):
    torch.save({"weight": Path("/")}, tmp_path / "pytorch_model.bin")  # needs a class that is no tensor

    with pytest.raises(UserError, match="not a file of plain tensors"):
        convert(tmp_path / "pytorch_model.bin", tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()


def break_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def break_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 8}))


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def break_bytes(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"cut")


def break_rate(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8_000}))


def break_half(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    kept = dict(list(load_file(folder / "model.safetensors").items())[::2])
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (break_no_weights, "holds no .safetensors file"),
        (break_kind, "a bert model is no speech encoder"),
        (break_config, "is not JSON"),
        (break_bytes, "cannot be loaded"),
        (break_rate, "made for 8000 samples a second"),
        (break_half, r"lacks \d+ weights of the model"),
        (shutil.rmtree, "is not there"),
    ],
)
def test_a_folder_that_cannot_serve_is_refused(tmp_path, wavlm, fault, answer):
    folder = shutil.copytree(wavlm, tmp_path / "model")
    fault(folder)

    with pytest.raises(UserError, match=answer) as refusal:
        load_encoder(f"hf:{folder}")

    assert len(str(refusal.value).splitlines()) <= 3


def test_bfloat16_is_close_and_has_an_address_of_its_own(wavlm):
    half, full = load_encoder(f"hf:{wavlm}", precision="bfloat16"), load_encoder(f"hf:{wavlm}")

    np.testing.assert_allclose(half.embed([CLIP]), full.embed([CLIP]), atol=0.1)
    assert (half.facts["precision"], full.facts["precision"]) == ("bfloat16", "float32")
    with pytest.raises(UserError, match="offers float32, bfloat16"):
        load_encoder(f"hf:{wavlm}", precision="int8")


def test_loading_says_nothing(wavlm, capfd):
    load_encoder(f"hf:{wavlm}").embed([CLIP])

    assert capfd.readouterr() == ("", "")
