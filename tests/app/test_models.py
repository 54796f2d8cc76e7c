"""The best model of a sweep, from register to predict: real recordings, real stores, nothing faked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from reno_sweeps import load_model
from reno_sweeps.app import models
from reno_sweeps.corpora import folder as folders
from reno_sweeps.embeddings.extract import extract
from reno_sweeps.records import UserError
from tracking.errors import TrackingError

SPACE = """
name: tiny
head: linear
search: {training.weight_decay: {type: float, low: 0.001, high: 0.1, log: true}}
fixed: {training.epochs: 3}
protocol: {n_folds: 2}
budget: {trials: 2}
"""


def swept(place: Path, encoders: str) -> SimpleNamespace:
    """A finished sweep on eight tones, in a home of its own."""
    root = folders.miniature(place / "tones")
    (place / "tiny.yaml").write_text(SPACE)
    command = [sys.executable, "-m", "reno_sweeps.cli", "run", "--space", str(place / "tiny.yaml"), "--name", "tiny"]
    question = ["--corpus", str(root), "--encoders", encoders, "--home", str(place / "home")]
    options = ["--cache", str(place / "cache"), "--device", "cpu", "--no-baselines", "--json", "--quiet"]
    said = subprocess.run([*command, *question, *options], stdout=subprocess.PIPE, text=True, check=True)
    files = sorted(root.rglob("*.wav"))
    return SimpleNamespace(home=place / "home", root=root, files=files, result=json.loads(said.stdout), name="tiny")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> SimpleNamespace:
    return swept(tmp_path_factory.mktemp("heard"), "mfcc,log-mel")


@pytest.fixture(scope="module")
def registered(sweep) -> SimpleNamespace:
    made = models.register(sweep.name, sweep.home, aliases=["champion"])
    return SimpleNamespace(**vars(sweep), made=made, uri=made["tracking_uri"])


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> SimpleNamespace:
    """A sweep on precomputed embeddings alone."""
    place = tmp_path_factory.mktemp("vectors")
    corpus = folders.read(folders.miniature(place / "tones"))
    x = extract(corpus, ["mfcc"], place / "cache").arrays["mfcc"]
    np.savez(place / "spectra.npz", ids=np.array([clip.path for clip in corpus.clips]), X=x)
    found = swept(place, f"file:{place / 'spectra.npz'}")
    found.x = x
    return found


def numbers(frame) -> np.ndarray:
    return frame[["joy", "sadness"]].to_numpy()


# --- register -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_registered_model_is_the_best_configuration_trained_on_all_clips(registered):
    made, best = registered.made, registered.result["best"]

    assert (made["model"], made["version"], made["model_uri"]) == ("reno-tones", "1", "models:/reno-tones/1")
    assert (made["trial"], made["clips"], made["run_id"]) == (best["number"], 8, best["run_id"])
    assert 1 <= made["epochs"] <= 3
    assert made["aliases"] == ["candidate", "champion"]
    facts = json.loads((Path(made["folder"]) / "model.json").read_text())
    assert facts["values"]["training.weight_decay"] == best["params"]["training.weight_decay"]


@pytest.mark.slow
def test_predict_says_what_training_computed_for_the_same_clip(registered):
    facts = json.loads((Path(registered.made["folder"]) / "model.json").read_text())
    check = facts["extra"]["check"]
    paths = [registered.root / path for path in check["paths"]]
    table = models.predict("models:/reno-tones@champion", paths, registered.home)

    assert len(paths) == 2
    assert np.abs(table.probabilities - np.array(check["probabilities"])).max() < 1e-5
    assert registered.made["difference"] < 1e-5


@pytest.mark.slow
def test_a_version_says_where_it_comes_from_and_what_its_figures_mean(registered):
    client = MlflowClient(registered.uri, registered.uri)
    version = client.get_model_version_by_alias("reno-tones", "champion")
    best = registered.result["best"]

    assert version.tags["sweep"] == "tiny"
    assert version.tags["trial"] == str(best["number"])
    assert version.tags["corpus"] == "tones"
    assert json.loads(version.tags["encoders"]) == {"mfcc": "none", "log-mel": "none"}
    assert float(version.tags["test_macro_f1"]) == pytest.approx(best["test"]["macro_f1"]["mean"], abs=1e-6)
    assert version.tags["protocol"] == "2 stratified folds, selection validation, seed 0"
    assert "optimistic" not in version.tags
    assert "cross-validated, selected" in version.description
    assert "no test score of its own" in version.description


@pytest.mark.slow
def test_a_version_brings_its_code_signature_example_and_pins(registered):
    folder = Path(mlflow.artifacts.download_artifacts(str(_source(registered)), tracking_uri=registered.uri))
    card = mlflow.models.Model.load(str(folder))
    pins = (folder / "requirements.txt").read_text().splitlines()

    assert card.signature.inputs.input_names() == ["path", "audio"]
    assert card.signature.outputs.input_names() == ["path", "emotion", "joy", "sadness"]
    assert list((folder / "wheels").glob("reno_sweeps-*.whl"))
    assert any(line.startswith("wheels/reno_sweeps-") for line in pins)
    assert {line.split("==")[0] for line in pins} >= {"torch", "torchaudio", "soundfile", "mlflow"}
    assert not any(line.startswith("transformers") for line in pins)
    assert not list(folder.rglob("*.pkl"))


def _source(registered) -> str:
    return MlflowClient(registered.uri, registered.uri).get_model_version("reno-tones", "1").source


@pytest.mark.slow
def test_a_second_registration_is_the_next_version_under_the_name_asked_for(registered):
    first = models.register("tiny", registered.home, model="laughs")
    second = models.register("tiny", registered.home, model="laughs")
    one, other = (models.predict(m["model_uri"], registered.files, registered.home) for m in (first, second))

    assert (first["version"], second["version"]) == ("1", "2")
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


@pytest.mark.slow
def test_another_store_gets_the_trial_and_the_model(registered, tmp_path):
    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    made = models.register("tiny", registered.home, tracking_uri=uri)
    run = MlflowClient(uri).get_run(made["run_id"])

    assert made["tracking_uri"] == uri
    assert run.data.tags["reno.kind"] == "trial"
    assert len(models.predict(made["model_uri"], registered.files, tmp_path / "home", tracking_uri=uri).paths) == 8


@pytest.mark.slow
def test_recordings_that_changed_since_are_refused(sweep, tmp_path):
    kept = tmp_path / "kept.wav"
    shutil.copy(sweep.files[0], kept)
    shutil.copy(sweep.files[1], sweep.files[0])
    try:
        with pytest.raises(UserError, match="not what they were"):
            models.register("tiny", sweep.home)
    finally:
        shutil.copy(kept, sweep.files[0])


def test_a_sweep_without_a_complete_trial_is_told_to_go_on(tmp_path):
    from reno_sweeps.app.opening import open_sweep
    from reno_sweeps.config import settings
    from reno_sweeps.config.sweep_file import Overrides, open_space

    (tmp_path / "tiny.yaml").write_text(SPACE)
    root = folders.miniature(tmp_path / "tones")
    asked = Overrides.from_options(corpus=str(root), encoders="mfcc")
    file = open_space(str(tmp_path / "tiny.yaml"), asked)
    home = tmp_path / "home"
    open_sweep(file.sweep, settings.gather({"home": home, "cache": tmp_path, "name": "begun"}), file.text)

    with pytest.raises(UserError, match="no complete trial yet"):
        models.register("begun", home)
    with pytest.raises(UserError, match="has no sweep 'other'"):
        models.register("other", home)


# --- embeddings in ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_precomputed_embeddings_cannot_hear_unless_vectors_are_asked_for(vectors):
    with pytest.raises(UserError, match="--embeddings-input"):
        models.register("tiny", vectors.home)
    made = models.register("tiny", vectors.home, embeddings_input=True)
    model = load_model(made["model_uri"], home=vectors.home)
    answer = model.predict({"spectra": vectors.x})

    assert made["input"] == "embeddings"
    assert list(answer.columns) == ["emotion", "joy", "sadness"]
    assert made["difference"] < 1e-5
    with pytest.raises(UserError, match="takes embeddings, not recordings"):
        models.predict(made["model_uri"], vectors.files, vectors.home)


# --- predict ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_way_to_name_the_model_gives_the_same(registered):
    names = ["models:/reno-tones@champion", "models:/reno-tones/1", registered.made["folder"], _source(registered)]
    found = [models.predict(name, [registered.root], registered.home).probabilities for name in names]

    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.slow
def test_python_and_mlflow_say_what_the_command_says(registered, tmp_path):
    table = models.predict("models:/reno-tones@champion", registered.files, registered.home)
    python = load_model("models:/reno-tones@champion", home=registered.home).predict(registered.files)
    files = pd.DataFrame({"path": list(map(str, registered.files))})
    pyfunc = mlflow.pyfunc.load_model(_source(registered)).predict(files)
    by_command = _mlflow_predicts(registered.uri, files, tmp_path)

    assert python["path"].tolist() == list(table.paths) == by_command["path"].tolist()
    assert python["emotion"].tolist() == list(table.emotions) == by_command["emotion"].tolist()
    for other in (python, pyfunc, by_command):
        np.testing.assert_allclose(numbers(other), table.probabilities, atol=1e-6)


def _mlflow_predicts(uri: str, files: pd.DataFrame, place: Path) -> pd.DataFrame:
    files.to_csv(place / "input.csv", index=False)
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", "models:/reno-tones@champion"]
    options = ["--env-manager", "local", "-i", str(place / "input.csv"), "-t", "csv", "-o", str(place / "out.json")]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *options], env=environment, check=True, cwd=place)
    return pd.DataFrame(json.loads((place / "out.json").read_text())["predictions"])


@pytest.mark.slow
def test_a_model_that_nobody_registered_is_answered_with_those_that_are(registered):
    with pytest.raises(TrackingError, match="no model 'reno-vivae'; it has"):
        models.predict("models:/reno-vivae@champion", registered.files, registered.home)


# --- the package's door -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def door() -> list[str]:
    code = "import sys, reno_sweeps; dir(reno_sweeps); print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return said.stdout.split()


def test_importing_the_package_imports_nothing_heavy(door):
    assert not {"torch", "mlflow", "pandas", "numpy", "optuna", "ray", "pydantic", "yaml"} & set(door)


def test_the_package_offers_load_model_and_says_what_it_lacks():
    import reno_sweeps

    assert reno_sweeps.load_model is models.load_model
    assert {"Sweep", "load_model"} <= set(dir(reno_sweeps))
    with pytest.raises(AttributeError, match="has no attribute 'sweep'"):
        _ = reno_sweeps.sweep
