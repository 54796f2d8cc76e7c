"""What tracking/registry.py promises, with a tiny model and real stores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow import MlflowClient

from tracking import names, registry
from tracking.errors import TrackingError
from tracking.registry import Column, Package
from tracking.rows import RunRow, SweepRow
from tracking.writer import Writer

CODE = '''"""A model that weighs the length of a path."""
import json
from pathlib import Path

import mlflow
import pandas as pd


class Tiny(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.weight = json.loads((Path(context.artifacts["model"]) / "model.json").read_text())["weight"]
        self.unit = context.model_config["unit"]

    def predict(self, context, model_input: pd.DataFrame, params=None):
        return pd.DataFrame(
            {
                "path": model_input["path"],
                "joy": [self.weight * len(path) for path in model_input["path"]],
                "unit": self.unit,
            }
        )


mlflow.models.set_model(Tiny())
'''


@pytest.fixture
def package(tmp_path: Path) -> Package:
    folder, code = tmp_path / "weights", tmp_path / "served.py"
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps({"weight": 0.5}))
    (folder / "weights.safetensors").write_bytes(bytes(8))
    code.write_text(CODE)
    return Package(
        folder=folder,
        code=code,
        inputs=[Column("path"), Column("audio", "binary", required=False)],
        outputs=[Column("path"), Column("joy", "double"), Column("unit")],
        example={"path": ["laugh.wav"], "audio": [b"RIFF"]},
        requirements=["pandas"],
        wheels=[a_wheel(tmp_path)],
        config={"unit": "letters"},
    )


def a_wheel(folder: Path) -> Path:
    """A wheel with one module, as pip takes it."""
    wheel = folder / "tiny_dependency-1.0-py3-none-any.whl"
    facts = "tiny_dependency-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_dependency.py", "answer = 42\n")
        archive.writestr(f"{facts}/METADATA", "Metadata-Version: 2.1\nName: tiny-dependency\nVersion: 1.0\n")
        archive.writestr(
            f"{facts}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{facts}/RECORD", "".join(f"{name},,\n" for name in archive.namelist()))
    return wheel


@pytest.fixture
def trial_run(home: Path, uri: str, a_sweep: Callable[..., SweepRow], a_trial: Callable[..., RunRow]) -> str:
    writer = Writer(uri, home / "artifacts")
    writer.open_sweep(a_sweep())
    writer.write(a_trial(0))
    assert writer.close() == 0
    return str(writer.run_id(names.trial(0)))


def _register(uri: str, package: Package, run: str | None, **more: object) -> registry.RegisteredVersion:
    return registry.register(uri, package, name="reno-demo", experiment="reno/demo", run_id=run, **more)


def test_a_registered_folder_predicts_from_every_uri_that_names_it(uri: str, package: Package, trial_run: str) -> None:
    made = _register(uri, package, trial_run, aliases=["champion"], tags={"corpus": "demo"}, description="**good**")

    uris = ["models:/reno-demo@champion", "models:/reno-demo@candidate", "models:/reno-demo/1", "models:/reno-demo",
            f"models:/{made.model_id}", f"runs:/{trial_run}/reno-demo"]  # fmt: skip
    folders = [registry.resolve(one, uri) for one in uris]
    models = [mlflow.pyfunc.load_model(str(folder)) for folder in folders]
    answers = [model.predict(pd.DataFrame({"path": ["laugh.wav"]})) for model in models]

    assert made.model_uri == "models:/reno-demo/1"
    assert made.aliases == ("candidate", "champion")
    assert [list(answer["joy"]) for answer in answers] == [[4.5]] * len(uris)
    assert answers[0]["unit"][0] == "letters"
    weights = registry.model_folder(folders[0])
    assert json.loads((weights / "model.json").read_text()) == {"weight": 0.5}
    assert (weights / "weights.safetensors").read_bytes() == bytes(8)


def test_a_version_carries_its_tags_run_signature_example_and_wheel(uri: str, package: Package, trial_run: str) -> None:
    made = _register(uri, package, trial_run, tags={"corpus": "demo"}, description="**good**")

    version = MlflowClient(uri, uri).get_model_version("reno-demo", "1")
    folder = registry.resolve(made.model_uri, uri)
    card = mlflow.models.Model.load(str(folder))
    requirements = (folder / "requirements.txt").read_text().splitlines()

    assert (version.run_id, version.tags, version.description) == (trial_run, {"corpus": "demo"}, "**good**")
    assert (card.model_id, card.run_id) == (made.model_id, trial_run)
    assert card.signature.inputs.input_names() == ["path", "audio"]
    assert card.signature.inputs.required_input_names() == ["path"]
    assert card.signature.outputs.input_names() == ["path", "joy", "unit"]
    assert card.load_input_example(str(folder))["path"][0] == "laugh.wav"
    assert "wheels/tiny_dependency-1.0-py3-none-any.whl" in requirements
    assert (folder / "wheels" / "tiny_dependency-1.0-py3-none-any.whl").exists()
    assert "wheels/tiny_dependency-1.0-py3-none-any.whl" in (folder / "conda.yaml").read_text()
    assert "weights.safetensors" in {file.name for file in folder.rglob("*")}
    assert str(package.folder) not in (folder / "MLmodel").read_text()
    assert not list(folder.rglob("*.pkl"))
    assert not list(folder.rglob("__pycache__"))


def test_the_candidate_moves_on_and_the_champion_stays(uri: str, package: Package, trial_run: str) -> None:
    first = _register(uri, package, trial_run, aliases=["champion"])
    second = _register(uri, package, None)

    aliases = {
        alias: str(version)
        for alias, version in MlflowClient(uri, uri).get_registered_model("reno-demo").aliases.items()
    }

    assert (first.version, second.version) == ("1", "2")
    assert aliases == {"champion": "1", "candidate": "2"}
    assert MlflowClient(uri).get_run(second.run_id).info.status == "FINISHED"


def test_what_the_registry_does_not_have_is_answered_with_what_it_has(
    uri: str, package: Package, trial_run: str, tmp_path: Path
) -> None:
    with pytest.raises(TrackingError, match="no model was registered yet"):
        registry.resolve("models:/reno-vivae@champion", uri)
    _register(uri, package, trial_run)

    with pytest.raises(TrackingError, match="no model 'reno-vivae'; it has reno-demo"):
        registry.resolve("models:/reno-vivae@champion", uri)
    with pytest.raises(TrackingError, match="versions 1; aliases @candidate"):
        registry.resolve("models:/reno-demo@champion", uri)
    with pytest.raises(TrackingError, match="versions 1; aliases @candidate"):
        registry.resolve("models:/reno-demo/7", uri)
    with pytest.raises(TrackingError, match="no model folder"):
        registry.resolve(str(tmp_path / "absent"), uri)
    with pytest.raises(TrackingError, match="no model was registered yet"):
        registry.resolve("models:/reno-demo", f"sqlite:///{tmp_path / 'absent.db'}")
    assert not (tmp_path / "absent.db").exists()


def test_a_plain_folder_is_its_own_model(package: Package, uri: str) -> None:
    folder = registry.resolve(str(package.folder), uri)

    assert registry.model_folder(folder) == package.folder


@pytest.mark.parametrize("alias", ["latest", "v3", "the best", ""])
def test_an_impossible_alias_is_refused_before_anything_is_written(
    alias: str, uri: str, package: Package, trial_run: str
) -> None:
    with pytest.raises(TrackingError, match="cannot be an alias"):
        _register(uri, package, trial_run, aliases=[alias])

    assert MlflowClient(uri, uri).search_registered_models() == []


def test_code_that_fails_leaves_no_trace_in_the_registry(uri: str, package: Package, trial_run: str) -> None:
    package.code.write_text("raise OSError('no such microphone')\n")

    with pytest.raises(TrackingError, match="'reno-demo' cannot be registered"):
        _register(uri, package, trial_run)

    client = MlflowClient(uri, uri)
    assert client.search_registered_models() == []
    assert client.search_logged_models(["1"]) == []


@pytest.mark.slow
def test_mlflows_own_command_predicts_with_the_local_environment(
    uri: str, package: Package, trial_run: str, tmp_path: Path
) -> None:
    _register(uri, package, trial_run, aliases=["champion"])
    asked = tmp_path / "input.json"
    asked.write_text(json.dumps({"dataframe_split": {"columns": ["path"], "data": [["laugh.wav"]]}}))

    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", "models:/reno-demo@champion"]
    options = ["--env-manager", "local", "-i", str(asked), "-t", "json", "-o", str(tmp_path / "out.json")]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    subprocess.run([*command, *options], env=environment, check=True, cwd=tmp_path)

    answer = json.loads((tmp_path / "out.json").read_text())
    assert answer["predictions"] == [{"path": "laugh.wav", "joy": 4.5, "unit": "letters"}]
