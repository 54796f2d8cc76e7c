"""The commands about encoders: what they answer, and what they ask of the user where something is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reno_sweeps.app import encoders
from reno_sweeps.cli_data import encoders_app
from reno_sweeps.records import UserError


def save(folder: Path, width: int) -> Path:
    """A small random checkpoint, as transformers saves it."""
    from transformers import WavLMConfig, WavLMModel

    config = WavLMConfig(
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_kernel=(10, 8),
        conv_stride=(5, 4),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    WavLMModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    return folder


@pytest.fixture(scope="module")
def wavlm(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("wavlm"), 16)


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    """As wide as WavLM base: it may be used under that name."""
    return save(tmp_path_factory.mktemp("wide"), 768)


@pytest.fixture
def empty_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_the_paper_s_encoders_and_those_that_users_ask_for_are_listed(empty_hub):
    rows = {row["id"]: row for row in encoders.known()}

    asked = {"wavlm-base", "wav2vec2-base", "unispeech-sat-base", "hubert-base", "mms-1b", "egemaps"}
    asked |= {"voc2vec", "whisper-base", "wavlm-large", "hubert-large", "data2vec-audio-base", "mfcc", "log-mel"}
    assert asked <= set(rows)
    assert not any("emotion2vec" in name for name in rows)
    assert all(row["licence"] and row["source"] for row in rows.values())
    assert rows["wavlm-base"]["at_hand"] is False


def test_the_list_is_a_table_for_people_and_json_for_programs(empty_hub):
    table, plain = (CliRunner().invoke(encoders_app, ["list", *more]).stdout for more in ([], ["--json"]))

    rows = encoders.known()
    assert [line.split()[0] for line in table.splitlines()[2 : 2 + len(rows)]] == [row["id"].split()[0] for row in rows]
    assert " ".join(table.splitlines()[0].split()) == "id source width parameters licence of weights at hand"
    assert json.loads(plain) == rows


def test_an_encoder_is_loaded_and_tried(wavlm):
    said = encoders.check(f"hf:{wavlm}@pooling=mean-std", [], {"device": "cpu"})

    assert (said["dim"], said["finite"], said["device"]) == (32, True, "cpu")
    assert said["facts"]["pooling"] == "mean+std"
    assert json.dumps(said)


def test_weights_are_given_to_an_encoder_with_or_without_its_options(wavlm):
    with pytest.raises(UserError, match="holds a wavlm model of width 16, wavlm-base is wavlm of width 768"):
        encoders.check("wavlm-base@layer=1", [f"wavlm-base={wavlm}"], {"device": "cpu"})
    with pytest.raises(UserError, match="the encoder asked about is mfcc"):
        encoders.check("mfcc", [f"wavlm-base={wavlm}"], {"device": "cpu"})


def test_an_encoder_that_gives_no_numbers_ends_with_code_4(tmp_path, wavlm):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(wavlm, tmp_path / "broken")
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer_norm.bias"][0] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    codes = [CliRunner().invoke(encoders_app, ["check", f"hf:{where}"]).exit_code for where in (wavlm, folder)]

    assert codes == [0, 4]


def test_missing_weights_are_said_with_the_command_that_gets_them(empty_hub):
    with pytest.raises(UserError, match="\nget them: reno-sweep encoders fetch hubert-base "):
        encoders.check("hubert-base", [], {"device": "cpu"})


def test_a_gpu_that_is_not_there_is_never_replaced_in_silence(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(UserError, match="sees no GPU"):
        encoders.check("mfcc", [], {"device": "cuda"})


def test_what_is_fetched_is_said_with_its_revision_and_size(tmp_path, monkeypatch, wavlm):
    snapshot = shutil.copytree(wavlm, tmp_path / "snapshots" / "f00d")
    monkeypatch.setattr("reno_sweeps.encoders._hub.fetch", lambda _name, _hub_id: snapshot)

    (said,) = encoders.fetch(["wavlm-base"], quiet=True)

    size = sum(file.stat().st_size for file in wavlm.iterdir())
    assert said == {"encoder": "wavlm-base", "folder": str(snapshot), "revision": "f00d", "bytes": size}


def test_nothing_is_fetched_where_one_name_is_unknown(monkeypatch):
    monkeypatch.setattr("reno_sweeps.encoders._hub.fetch", lambda *_: pytest.fail("fetched"))

    with pytest.raises(UserError, match="did you mean wavlm-base"):
        encoders.fetch(["hubert-base", "wavlm-bas"], quiet=True)


def test_a_converted_checkpoint_lands_on_the_shelf(tmp_path, monkeypatch, wide):
    monkeypatch.setenv("RENO_WEIGHTS", str(tmp_path / "shelf"))

    said = encoders.convert("wavlm-base", wide, None)

    assert said["folder"] == str(tmp_path / "shelf" / "wavlm-base")
    assert (tmp_path / "shelf" / "wavlm-base" / "model.safetensors").is_file()


def test_without_a_shelf_a_folder_must_be_given(tmp_path, monkeypatch, wide):
    monkeypatch.delenv("RENO_WEIGHTS", raising=False)

    with pytest.raises(UserError, match="give a folder with -o, or set RENO_WEIGHTS"):
        encoders.convert("wavlm-base", wide, None)
    assert encoders.convert("wavlm-base", wide, tmp_path / "out")["folder"] == str(tmp_path / "out")


def test_another_model_is_not_converted_under_a_name(tmp_path, wavlm):
    with pytest.raises(UserError, match="holds a wavlm model of width 16, voc2vec is wav2vec2 of width 768"):
        encoders.convert("voc2vec", wavlm, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="none is not there"):
        encoders.convert("wavlm-base", tmp_path / "none", tmp_path / "out")
