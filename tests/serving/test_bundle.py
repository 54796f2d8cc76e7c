"""Weights that travel with a model: a machine without a hub, caches or the weights' folder hears with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from reno_sweeps.corpora import folder as folders
from reno_sweeps.encoders import encoder_facts
from reno_sweeps.records import UserError
from reno_sweeps.serving import bundle, encoders, open_model
from tests.encoders.conftest import save_checkpoint
from tests.serving.served import command, rows, serving, swept

# --- in a folder --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def travelling(tmp_path_factory, train_in) -> SimpleNamespace:
    """A model with a tiny checkpoint, packed; the checkpoint is gone."""
    place = tmp_path_factory.mktemp("travelling")
    weights = save_checkpoint(place / "wavlm")
    (weights / "notes.txt").write_text("not the model's")
    trained = train_in(place, "linear", ("mfcc", f"hf:{weights}"))
    facts = json.loads((trained.folder / "model.json").read_text())["encoders"]
    parts = bundle.parts(facts)
    packed = bundle.packed(trained.folder, place / "packed", parts)
    shutil.move(weights, place / "moved")
    return SimpleNamespace(packed=packed, parts=parts, trained=trained, weights=place / "moved", plain=trained.folder)


@pytest.fixture
def copy(travelling, tmp_path) -> Path:
    return shutil.copytree(travelling.packed, tmp_path / "copy")


def test_a_packed_model_answers_without_the_folder_that_it_learnt_from(travelling):
    table = open_model(travelling.packed, device="cpu").answer(travelling.trained.files)

    assert np.abs(table.probabilities - travelling.trained.result.test_probabilities).max() < 1e-5
    with pytest.raises(UserError, match="register it where they are with --bundle-encoders"):
        open_model(travelling.plain, device="cpu")


def test_only_what_an_encoder_is_loaded_from_travels(travelling):
    names = sorted(file.name for file in (travelling.packed / "encoders" / "1").iterdir())

    assert names == ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert [part.position for part in travelling.parts] == [1]
    assert "licence: unknown here" in travelling.parts[0].said


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_a_file_that_changed_on_the_way_is_refused(copy, name):
    file = copy / "encoders" / "1" / name
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)

    with pytest.raises(UserError, match=rf"damaged: encoders/1/{name} is not the file that was packed"):
        open_model(copy, device="cpu")


def test_a_file_too_many_too_few_or_a_link_is_refused(copy):
    place = copy / "encoders" / "1"
    (place / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"adapter_config\.json is one file too many"):
        open_model(copy, device="cpu")
    (place / "adapter_config.json").unlink()
    (place / "model.safetensors").rename(copy / "elsewhere")
    with pytest.raises(UserError, match=r"model\.safetensors is not there"):
        open_model(copy, device="cpu")
    (place / "model.safetensors").symlink_to(copy / "elsewhere")
    with pytest.raises(UserError, match="is not the file that was packed"):
        open_model(copy, device="cpu")


@pytest.mark.parametrize("place", ["/etc", "../packed/encoders/1", "encoders/../encoders/1", "encoders/9", ""])
def test_a_folder_outside_of_the_model_is_not_believed(copy, place):
    facts = json.loads((copy / "model.json").read_text())
    facts["encoders"][1]["bundle"]["folder"] = place
    (copy / "model.json").write_text(json.dumps(facts))

    with pytest.raises(UserError, match="damaged: the model's folder has no"):
        open_model(copy, device="cpu")


@pytest.mark.parametrize("said", [5, [], {"folder": "encoders/1"}, {"folder": "encoders/1", "files": 5}])
def test_a_bundle_that_cannot_be_read_is_refused(said):
    with pytest.raises(UserError, match="cannot be read"):
        bundle.unpacked({"id": "x", "bundle": said}, Path())


def test_other_weights_in_the_bundle_are_refused_though_their_hashes_are_put_right(travelling, copy, tmp_path):
    other = save_checkpoint(tmp_path / "other", num_hidden_layers=1)
    facts = json.loads((copy / "model.json").read_text())
    plain = {key: value for key, value in facts["encoders"][1].items() if key != "bundle"}
    parts = bundle.parts([facts["encoders"][0], plain | {"folder": str(other)}])
    forged = bundle.packed(travelling.plain, tmp_path / "forged", parts)

    with pytest.raises(UserError, match="its weights here are"):
        open_model(forged, device="cpu")


def test_licences_are_named_and_those_without_commerce_said():
    part = bundle.Part(0, "mms-1b", Path(), "CC BY-NC 4.0", 3_850_000_000)
    free = bundle.Part(0, "wavlm-base", Path(), "CC BY-SA 3.0", 378_000_000)

    assert part.said == "mms-1b (3850.0 MB; licence: CC BY-NC 4.0; no commercial use)"
    assert free.said == "wavlm-base (378.0 MB; licence: CC BY-SA 3.0)"


def test_computed_encoders_have_nothing_to_pack():
    assert bundle.parts([encoders.described(e, encoder_facts(e)) for e in ("mfcc", "log-mel")]) == []


# --- registered ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registered(tmp_path_factory) -> SimpleNamespace:
    """A sweep with a random checkpoint under a known name, registered with and without it; then it is gone."""
    place = tmp_path_factory.mktemp("bundled")
    weights = save_checkpoint(place / "wide", hidden_size=768, num_hidden_layers=1)
    tones = folders.miniature(place / "tones")
    swept(place, str(tones), "wavlm-base,mfcc", "--weights", f"wavlm-base={weights}")
    made = command(place, "register", "tiny", "--as", "whole", "--bundle-encoders")
    plain = command(place, "register", "tiny", "--as", "plain")
    shutil.rmtree(weights)
    files = sorted(tones.rglob("*.wav"))
    return SimpleNamespace(place=place, made=made, plain=plain, files=files, folder=Path(made["folder"]))


def elsewhere(registered, place: Path) -> dict[str, str]:
    """The environment of a machine without a hub, without caches."""
    kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    empty = {"HOME": place / "h", "HF_HOME": place / "hf", "RENO_CACHE": place / "cache", "TMPDIR": place}
    return kept | {key: str(value) for key, value in empty.items()} | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def predicted(registered, place: Path, model: str) -> subprocess.CompletedProcess[str]:
    words = ["predict", f"models:/{model}@candidate", *map(str, registered.files), "--json"]
    started = [sys.executable, "-m", "reno_sweeps.cli", *words, "--home", str(registered.place / "home")]
    environment = elsewhere(registered, place)
    return subprocess.run(started, check=False, env=environment, capture_output=True, text=True, cwd=place)


@pytest.mark.slow
def test_a_bundled_model_predicts_where_there_is_neither_hub_nor_cache(registered, tmp_path):
    said = predicted(registered, tmp_path, "whole")
    facts = json.loads((registered.folder / "model.json").read_text())
    answers = {row["path"]: list(row["probabilities"].values()) for row in json.loads(said.stdout)}
    check = facts["extra"]["check"]
    root = registered.files[0].parents[1]

    assert registered.made["bundled"] == ["wavlm-base"]
    assert registered.made["difference"] < 1e-5
    for path, row in zip(check["paths"], check["probabilities"], strict=True):
        np.testing.assert_allclose(answers[str(root / path)], row, atol=1e-5)


@pytest.mark.slow
def test_a_bundled_model_is_served_where_there_is_neither_hub_nor_cache(registered, tmp_path):
    answers = json.loads(predicted(registered, tmp_path, "whole").stdout)
    uri = registered.made["tracking_uri"]
    with serving("models:/whole@candidate", uri, tmp_path / "log", elsewhere(registered, tmp_path)) as server:
        status, answer = server.ask(rows(*[file.read_bytes() for file in registered.files]))

    assert status == 200
    for row, other in zip(answer["predictions"], answers, strict=True):
        assert row["emotion"] == other["emotion"]
        assert all(abs(row[label] - p) < 1e-5 for label, p in other["probabilities"].items())


@pytest.mark.slow
def test_without_its_weights_such_a_machine_is_told_what_to_do(registered, tmp_path):
    said = predicted(registered, tmp_path, "plain")

    assert said.returncode == 2
    assert said.stdout == ""
    lines = said.stderr.strip().splitlines()
    assert len(lines) == 3
    assert "encoder wavlm-base: the weights of microsoft/wavlm-base are not on this machine" in lines[0]
    assert "--weights wavlm-base=DIR" in lines[2]
    assert "--bundle-encoders" in lines[2]
