"""What MLflow runs answers as the model does: tables of paths, of bytes, of vectors; in its own process too."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array

from reno_sweeps.records import UserError
from reno_sweeps.serving import open_model, pyfunc_file, table


def saved(trained, place: Path) -> Path:
    """The model as MLflow keeps it: code, folder, signature, example."""
    model = open_model(trained.folder, device="cpu")
    mlflow.pyfunc.save_model(
        path=str(place),
        python_model=str(pyfunc_file()),
        artifacts={"model": str(trained.folder)},
        signature=ModelSignature(_schema(table.inputs(model)), _schema(table.outputs(model))),
        input_example=pd.DataFrame(table.example(model, {name: x[0] for name, x in trained.arrays.items()})),
        pip_requirements=[],
        model_config=dict(table.CONFIG),
    )
    return place


def _schema(columns) -> Schema:
    kinds = {"array<double>": Array(DataType.double)}
    return Schema([ColSpec(kinds.get(kind) or DataType[kind], name, required) for name, kind, required in columns])


@pytest.fixture(scope="session")
def pyfunc(trained, tmp_path_factory) -> Path:
    return saved(trained, tmp_path_factory.mktemp("pyfunc") / "model")


@pytest.fixture(scope="session")
def vectors_pyfunc(vectors_model, tmp_path_factory) -> Path:
    return saved(vectors_model, tmp_path_factory.mktemp("vectors_pyfunc") / "model")


@pytest.fixture
def served(pyfunc):
    return mlflow.pyfunc.load_model(str(pyfunc), model_config={"device": "cpu"})


def close(frame, trained) -> bool:
    return bool(np.abs(frame[["joy", "sadness"]].to_numpy() - trained.result.test_probabilities).max() < 1e-5)


def test_paths_are_answered_as_training_did(served, trained):
    answer = served.predict(pd.DataFrame({"path": list(map(str, trained.files))}))

    assert list(answer.columns) == ["path", "emotion", "joy", "sadness"]
    assert answer["path"].tolist() == list(map(str, trained.files))
    assert close(answer, trained)


def test_bytes_are_answered_as_their_files(served, trained):
    contents = [file.read_bytes() for file in trained.files]
    answer = served.predict(pd.DataFrame({"audio": contents}))

    assert list(answer.columns) == ["emotion", "joy", "sadness"]
    assert close(answer, trained)


def test_a_row_is_heard_from_its_bytes_where_it_has_some(trained):
    model = open_model(trained.folder, device="cpu")
    files = trained.files[:2]
    given = pd.DataFrame({"path": ["called so", str(files[1])], "audio": [files[0].read_bytes(), None]})
    text = pd.DataFrame({"audio": [base64.b64encode(file.read_bytes()).decode() for file in files]})
    answer = table.answered(model, given)

    assert answer["path"].tolist() == ["called so", str(files[1])]
    np.testing.assert_array_equal(answer[["joy", "sadness"]], table.answered(model, text)[["joy", "sadness"]])


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"file": ["a.wav"]}, "the table has file; the model takes"),
        ({"path": ["a.wav", None]}, "row 1 has neither"),
        ({"audio": ["no base64!"]}, "row 0: `audio` is text but no base64"),
        ({"path": ["absent.wav"]}, "absent.wav: there is no such file"),
    ],
)
def test_a_table_that_cannot_be_answered_says_why(trained, given, why):
    model = open_model(trained.folder, device="cpu")

    with pytest.raises(UserError, match=why):
        table.answered(model, pd.DataFrame(given))


def test_the_example_is_answered_and_nobodys_voice(pyfunc, served):
    card = mlflow.models.Model.load(str(pyfunc))
    example = card.load_input_example(str(pyfunc))
    answer = served.predict(example)

    assert answer["path"].tolist() == ["tone.wav"]
    assert not list(pyfunc.rglob("*.pkl"))


def test_vectors_are_answered_as_training_did(vectors_pyfunc, vectors_model):
    served = mlflow.pyfunc.load_model(str(vectors_pyfunc))
    arrays = {name: [row.astype(float) for row in x] for name, x in vectors_model.arrays.items()}
    answer = served.predict(pd.DataFrame(arrays))
    named = served.predict(pd.DataFrame({"path": [f"clip {n}" for n in range(8)], **arrays}))

    assert close(answer, vectors_model)
    assert named["path"][7] == "clip 7"


def by_command(model: Path, content: str, kind: str, place: Path) -> pd.DataFrame:
    """What `mlflow models predict` says in this environment."""
    (place / f"input.{kind}").write_text(content)
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", str(model), "--env-manager", "local"]
    files = ["-i", str(place / f"input.{kind}"), "-t", kind, "-o", str(place / "output.json")]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db", "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *files], env=environment, check=True, cwd=place)
    return pd.DataFrame(json.loads((place / "output.json").read_text())["predictions"])


@pytest.mark.slow
def test_mlflows_own_command_answers_paths_from_csv(pyfunc, trained, tmp_path):
    lines = "\n".join(["path", *map(str, trained.files)])

    assert close(by_command(pyfunc, lines + "\n", "csv", tmp_path), trained)


@pytest.mark.slow
def test_mlflows_own_command_answers_bytes_from_json(pyfunc, trained, tmp_path):
    rows = [[base64.b64encode(file.read_bytes()).decode()] for file in trained.files]
    asked = json.dumps({"dataframe_split": {"columns": ["audio"], "data": rows}})

    assert close(by_command(pyfunc, asked, "json", tmp_path), trained)


@pytest.mark.slow
def test_mlflows_own_command_answers_vectors_from_json(vectors_pyfunc, vectors_model, tmp_path):
    arrays = vectors_model.arrays
    rows = [[x[n].tolist() for x in arrays.values()] for n in range(8)]
    asked = json.dumps({"dataframe_split": {"columns": list(arrays), "data": rows}})

    assert close(by_command(vectors_pyfunc, asked, "json", tmp_path), vectors_model)
