"""Speech encoders of transformers: as the checkpoint says, one clip at a time, offline unless asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reno_sweeps.encoders import _hashes, encoder_facts, huggingface, load_encoder
from reno_sweeps.records import UserError

CLIP = (0.1 * np.random.default_rng(0).standard_normal(5_000)).astype(np.float32)
SHORTEST = 10 + 5 * ((8 - 1) + 4 * (4 - 1))  # receptive field of the tiny stack: kernels 10, 8, 4; strides 5, 4, 2


LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
WHISPER = {  # openai/whisper-base
    "d_model": 512,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "decoder_ffn_dim": 2048,
}


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


def test_the_first_layers_are_transformers_own_too(save_checkpoint, tmp_path):
    from transformers import AutoModel

    folder = save_checkpoint(tmp_path, "Wav2Vec2", normalize=False, do_stable_layer_norm=True)
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder).eval()(torch.from_numpy(CLIP)[None], output_hidden_states=True)

    for layer, state in enumerate(states.hidden_states):
        vector = load_encoder(f"hf:{folder}@layer={layer}").embed([CLIP])[0]
        np.testing.assert_allclose(vector, state[0].mean(dim=0).numpy(), rtol=1e-4, atol=1e-5)


def test_pooling_may_keep_the_deviation_over_time(wavlm):
    encoder, mean = load_encoder(f"hf:{wavlm}@pooling=mean-std"), load_encoder(f"hf:{wavlm}")
    states = encoder._states([CLIP])[0].double()

    vector = encoder.embed([CLIP])[0]

    assert (encoder.dim, encoder.facts["pooling"]) == (48, "mean+std")
    np.testing.assert_array_equal(vector[:24], mean.embed([CLIP])[0])
    np.testing.assert_allclose(vector[24:], states.std(dim=0, correction=0), rtol=1e-4, atol=1e-6)


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


def test_a_named_row_takes_a_local_folder_for_its_weights(wide):
    assert encoder_facts("wavlm-base", weights=str(wide)) == encoder_facts(f"hf:{wide}")
    np.testing.assert_array_equal(
        load_encoder("wavlm-base", weights=str(wide)).embed([CLIP]), load_encoder(f"hf:{wide}").embed([CLIP])
    )


def test_a_named_row_finds_its_folder_among_the_user_s_weights(wide, tmp_path, monkeypatch):
    shutil.copytree(wide, tmp_path / "wavlm-base")
    monkeypatch.setenv("RENO_WEIGHTS", str(tmp_path))

    assert encoder_facts("wavlm-base@layer=1") == encoder_facts(f"hf:{wide}@layer=1")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("hubert-base", "holds a wavlm model of width 768, hubert-base is hubert of width 768"),
        ("wavlm-large", "holds a wavlm model of width 768, wavlm-large is wavlm of width 1024"),
    ],
)
def test_another_model_does_not_pass_under_a_name(wide, name, answer):
    with pytest.raises(UserError, match=answer):
        encoder_facts(name, weights=str(wide))


def test_every_named_row_says_what_it_is():
    rows = {row.id: row for row in huggingface.ROWS}

    assert set(huggingface.KINDS) == set(rows)
    assert all(row.dim and row.parameters and row.licence and "/" in row.source for row in rows.values())


@pytest.mark.parametrize(
    ("name", "kind", "more"),
    [
        ("wavlm-base", "WavLM", {}),
        ("wav2vec2-base", "Wav2Vec2", {}),
        ("unispeech-sat-base", "UniSpeechSat", {}),
        ("hubert-base", "Hubert", {}),
        ("voc2vec", "Wav2Vec2", {}),
        ("data2vec-audio-base", "Data2VecAudio", {}),
        ("wavlm-large", "WavLM", LARGE),
        ("hubert-large", "Hubert", LARGE | {"conv_bias": True}),
        (
            "mms-1b",
            "Wav2Vec2",
            LARGE | {"conv_bias": True, "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 48},
        ),
        ("whisper-base", "Whisper", WHISPER),
    ],
)
def test_parameters_are_those_of_transformers_own_classes(name, kind, more):
    import transformers

    with torch.device("meta"):
        model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**more))
    heard = model.get_encoder() if kind == "Whisper" else model
    row = next(row for row in huggingface.ROWS if row.id == name)

    assert row.parameters == sum(tensor.numel() for tensor in heard.parameters())
    assert row.dim == getattr(model.config, "d_model", None) or model.config.hidden_size


def test_a_hub_id_that_is_not_at_hand_is_answered_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(
        UserError, match=r"\nget them: reno-sweep encoders fetch wavlm-base \(run and embed do it with --download"
    ) as refusal:
        encoder_facts("wavlm-base@layer=3")
    assert len(str(refusal.value).splitlines()) == 3
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


def break_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def break_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 8}))


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def break_bytes(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"cut")


def break_end(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])


def break_header(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:8] + b"?" + whole[9:])


def break_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def set_config(folder: Path, **settings: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))


def break_shapes(folder: Path) -> None:
    set_config(folder, hidden_size=32)


def break_depth(folder: Path) -> None:
    set_config(folder, num_hidden_layers=1)


def break_setting(folder: Path) -> None:
    set_config(folder, conv_kernel="x")


def break_word(folder: Path) -> None:
    set_config(folder, hidden_act="nonsense")


def break_type(folder: Path) -> None:
    set_config(folder, hidden_dropout="x")


def break_stack(folder: Path) -> None:
    set_config(folder, conv_dim=[16, 16])


def break_stride(folder: Path) -> None:
    set_config(folder, conv_stride=[5, 4, 0])


def break_family(folder: Path) -> None:
    set_config(folder, model_type=["wavlm"])


def break_rate(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8_000}))


def break_half(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    kept = dict(list(load_file(folder / "model.safetensors").items())[::2])
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (break_no_weights, r"holds no .safetensors file\nconvert it: reno-sweep encoders convert hf:.* -o DIR"),
        (break_kind, "a bert model is no speech encoder"),
        (break_config, "is not JSON"),
        (break_bytes, r"is cut short: 3 bytes"),
        (break_end, r"its header says [\d,]+: a broken download\?"),
        (break_header, "its header cannot be read"),
        (break_shard, r"lacks 1 of its weights' files, the first: model-00002"),
        (break_shapes, r"another size than its config\.json says\nthe first: .* is \[.*24"),
        (break_depth, r"holds more layers than its config\.json says, the first: encoder\.layers\.1\."),
        (break_setting, r"has a setting that cannot be read \(invalid literal"),
        (break_word, r"cannot be loaded \(KeyError: 'nonsense'\)"),
        (break_type, "cannot be loaded .*'hidden_dropout': TypeError: Field 'hidden_dropout' with value 'x'"),
        (break_stack, "cannot be loaded .*'validate_architecture': ValueError: Configuration for convolutional"),
        (break_stride, "has a setting that cannot be read .convolutions of no width"),
        (break_family, r"a \['wavlm'\] model is no speech encoder"),
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


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_lower_precision_is_close_and_has_an_address_of_its_own(wavlm, precision):
    short = {"bfloat16": "bf16", "float16": "fp16"}[precision]
    name = f"hf:{wavlm}@precision={short}"
    found, facts = huggingface._found(name, None, download=False)  # load() would refuse it: this is a CPU

    half = huggingface.HuggingFace(name, found, facts, "cpu")

    np.testing.assert_allclose(half.embed([CLIP]), load_encoder(f"hf:{wavlm}").embed([CLIP]), atol=0.1)
    assert half.facts["precision"] == encoder_facts(name)["precision"] == precision


def test_a_cpu_refuses_a_lower_precision_in_one_line(wavlm):
    for how in ({"id": f"hf:{wavlm}@precision=bf16"}, {"id": f"hf:{wavlm}", "precision": "float16"}):
        with pytest.raises(UserError, match="needs a GPU, this device is the CPU") as refusal:
            load_encoder(**how)
        assert len(str(refusal.value).splitlines()) == 1


def test_a_file_in_place_of_a_folder_is_said(wavlm):
    with pytest.raises(UserError, match="is a file\ngive a folder"):
        encoder_facts("wavlm-base", weights=str(wavlm / "model.safetensors"))


def test_weights_are_hashed_once_by_a_command_and_again_where_they_change(wavlm, tmp_path, monkeypatch):
    folder, read = shutil.copytree(wavlm, tmp_path / "model"), []
    monkeypatch.setattr(_hashes, "_read", lambda file: read.append(file.name) or str(file.stat().st_size))

    before = encoder_facts(f"hf:{folder}")
    load_encoder(f"hf:{folder}")
    assert sorted(read) == ["config.json", "model.safetensors"]
    set_config(folder, added="word")

    assert encoder_facts(f"hf:{folder}")["weights"] != before["weights"]
    assert read[2:] == ["config.json"]


def test_float32_products_keep_their_digits_whatever_the_program_allows(wavlm):
    encoder, seen = load_encoder(f"hf:{wavlm}"), []
    hear = encoder._states
    encoder._states = lambda pieces: seen.append(torch.get_float32_matmul_precision()) or hear(pieces)
    torch.set_float32_matmul_precision("high")
    encoder.embed([CLIP])
    after = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")

    assert (seen, after) == (["highest"], "high")


def test_loading_and_hearing_say_nothing(save_checkpoint, tmp_path, capfd, recwarn):
    folder = save_checkpoint(tmp_path, feat_extract_norm="layer")
    capfd.readouterr()

    encoder = load_encoder(f"hf:{folder}")
    encoder.bound = 2**33
    encoder.embed([CLIP, CLIP[:900]])

    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
