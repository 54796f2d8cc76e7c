"""A model folder → an MLflow pyfunc from code → a registered version with its aliases; and back to a folder."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow.artifacts
import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array

from tracking import names
from tracking.errors import TrackingError
from tracking.store import connect, exists, trouble

_WHEELS = "wheels"  # beside requirements.txt, whose relative lines pip and uv read from there


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a model's table: `type` is string, binary, boolean, long, float, double, or array<double>."""

    name: str
    type: str = "string"
    required: bool = True


@dataclass(frozen=True, slots=True)
class Package:
    """What makes a folder of weights a model that others can run.

    `code` is a Python file that ends in `mlflow.models.set_model(...)`; its model finds the folder as
    `context.artifacts["model"]` and `config` as `context.model_config`. No pickle is made or read. MLflow warns
    unless the model's `predict` says `model_input: pandas.DataFrame`.
    """

    folder: Path
    code: Path
    inputs: Sequence[Column]
    outputs: Sequence[Column]
    example: Mapping[str, Sequence[Any]]  # input column → values
    requirements: Sequence[str]  # pip's lines; MLflow adds its own version
    wheels: Sequence[Path] = ()  # travel inside the model and are named in its requirements
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A version in the registry; `model_uri` is 'models:/NAME/VERSION'."""

    name: str
    version: str
    run_id: str
    model_id: str
    model_uri: str
    aliases: tuple[str, ...]


def register(
    tracking_uri: str,
    package: Package,
    *,
    name: str,
    experiment: str,
    run_id: str | None = None,
    aliases: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    description: str = "",
    artifact_root: Path | None = None,
) -> RegisteredVersion:
    """Log the package under a run (a new one if `run_id` is None) and register it as the next version of `name`.
    Every version becomes `candidate`, and takes the given aliases from whichever version had them.
    """
    wanted = tuple(dict.fromkeys([names.CANDIDATE, *aliases]))
    _check_names(name, wanted)
    client = connect(tracking_uri, artifact_root)
    with tempfile.TemporaryDirectory() as temporary, trouble(f"model {name!r} cannot be registered"):
        local = Path(temporary) / "pyfunc"
        _save(package, local)  # first: what is wrong with the package leaves no trace in MLflow
        run = client.get_run(run_id) if run_id is not None else _new_run(client, experiment, name)
        model_id = _upload(client, run, local, name, tags or {})
        version = _new_version(client, name, model_id, run.info.run_id, tags or {}, description)
        for alias in wanted:
            client.set_registered_model_alias(name, alias, version)
        if run_id is None:
            client.set_terminated(run.info.run_id)
    return RegisteredVersion(name, version, run.info.run_id, model_id, f"models:/{name}/{version}", wanted)


def resolve(model_uri: str, tracking_uri: str, destination: Path | None = None) -> Path:
    """The local folder of a model: 'models:/NAME@alias', 'models:/NAME/3', 'runs:/RUN/NAME', or a folder as it is.
    What lies elsewhere is fetched into `destination` (a fresh temporary folder if None); what lies on this disk is
    not copied. An unknown name, version or alias is a `TrackingError` that says what the registry has.
    """
    if not model_uri.startswith(("models:/", "runs:/")):
        if not Path(model_uri).is_dir():
            raise TrackingError(f"there is no model folder {model_uri!r}; models:/NAME@alias names a registered one")
        return Path(model_uri)
    if not exists(tracking_uri):
        raise TrackingError(f"there is no {model_uri!r}: no model was registered yet at {tracking_uri}")
    client = connect(tracking_uri)
    location = _location(client, model_uri) if model_uri.startswith("models:/") else _run_location(client, model_uri)
    with trouble(f"{model_uri!r} cannot be fetched"):
        target = None if destination is None else str(destination)
        return Path(
            mlflow.artifacts.download_artifacts(artifact_uri=location, dst_path=target, tracking_uri=tracking_uri)
        )


def model_folder(folder: Path) -> Path:
    """The weights' folder inside a pyfunc's; a folder that is no pyfunc is the weights' folder itself."""
    if not (folder / "MLmodel").exists():
        return folder
    flavors = Model.load(str(folder)).flavors
    try:
        return folder / str(flavors["python_function"]["artifacts"][names.MODEL_FOLDER]["path"])
    except KeyError as error:
        raise TrackingError(f"the model in {folder} was not registered by reno-sweep") from error


# --- packing ------------------------------------------------------------------------------------------------


def _save(package: Package, local: Path) -> None:
    """The pyfunc as files: MLmodel, code, artifacts, wheels, requirements.txt and its conda and venv twins."""
    from pandas import DataFrame

    mlflow.pyfunc.save_model(
        path=str(local),
        python_model=str(package.code),
        artifacts={names.MODEL_FOLDER: str(package.folder)},
        signature=ModelSignature(_schema(package.inputs), _schema(package.outputs)),
        input_example=DataFrame(dict(package.example)),
        pip_requirements=[*package.requirements, *(f"{_WHEELS}/{wheel.name}" for wheel in package.wheels)],
        model_config=dict(package.config) or None,
    )
    if package.wheels:
        (local / _WHEELS).mkdir()
    for wheel in package.wheels:
        shutil.copy(wheel, local / _WHEELS / wheel.name)
    for cache in list(local.rglob("__pycache__")):  # checking the code leaves some
        shutil.rmtree(cache)


def _schema(columns: Sequence[Column]) -> Schema:
    return Schema([ColSpec(_type(column.type), column.name, column.required) for column in columns])


def _type(name: str) -> DataType | Array:
    array = re.fullmatch(r"array<(\w+)>", name)
    return Array(DataType[array[1]]) if array else DataType[name]


# --- uploading ----------------------------------------------------------------------------------------------


def _check_names(name: str, aliases: Sequence[str]) -> None:
    if not re.fullmatch(r"[\w.\- ]+", name) or not name.strip(". "):
        raise TrackingError(f"{name!r} cannot name a model; use letters, digits, '-', '_' and '.'")
    for alias in aliases:
        if not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"[vV]\d+|latest", alias, re.IGNORECASE):
            raise TrackingError(f"{alias!r} cannot be an alias; use letters, digits, '-' and '_' (not v1, not latest)")


def _new_run(client: MlflowClient, experiment: str, name: str) -> Any:
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise TrackingError(f"there is no experiment {experiment!r} to register from")
    return client.create_run(found.experiment_id, int(time.time() * 1000), run_name=f"register {name}")


def _upload(client: MlflowClient, run: Any, local: Path, name: str, tags: Mapping[str, str]) -> str:
    """The files as MLflow's "logged model", shown at its run and its experiment; the model's id."""
    shown = re.sub(r"[^\w-]+", "-", name)
    params = {key: str(value) for key, value in run.data.params.items()}
    logged = client.create_logged_model(run.info.experiment_id, shown, run.info.run_id, dict(tags), params)
    try:
        card = Model.load(str(local))
        card.model_id, card.model_uuid = logged.model_id, logged.model_id
        card.run_id, card.artifact_path = run.info.run_id, logged.artifact_location
        _forget_this_machine(card)
        card.save(str(local / "MLmodel"))
        client.log_model_artifacts(logged.model_id, str(local))
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def _forget_this_machine(card: Model) -> None:
    """MLflow notes where code and folder came from; it loads them from beside the card and never looks there."""
    flavor = card.flavors["python_function"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]


def _new_version(
    client: MlflowClient, name: str, model_id: str, run_id: str, tags: Mapping[str, str], description: str
) -> str:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        name,
        client.get_logged_model(model_id).artifact_location,  # not models:/ID, which MLflow looks up in a global store
        run_id,
        tags=dict(tags),
        description=description or None,
        model_id=model_id,
    )
    client.set_logged_model_tags(model_id, {names.VERSIONS: json.dumps([{"name": name, "version": made.version}])})
    return str(made.version)


# --- finding ------------------------------------------------------------------------------------------------


def _location(client: MlflowClient, model_uri: str) -> str:
    """Where a registered model's files lie. Asked step by step: MLflow's own look-up uses a global store."""
    rest = model_uri.removeprefix("models:/").strip("/")
    with trouble(f"{model_uri!r} cannot be found"):
        if re.fullmatch(r"m-[0-9a-f]{32}", rest):
            return str(client.get_logged_model(rest).artifact_location)
        name, version = _version(client, model_uri, rest)
        location = str(client.get_model_version_download_uri(name, version))
        if location.startswith("models:/"):
            return _location(client, location)
        return location


def _run_location(client: MlflowClient, model_uri: str) -> str:
    """Where 'runs:/RUN/NAME' lies: a model that the run has logged, else a folder among its artifacts."""
    run_id, _, path = model_uri.removeprefix("runs:/").strip("/").partition("/")
    with trouble(f"{model_uri!r} cannot be found"):
        run = client.get_run(run_id)
        outputs = run.outputs.model_outputs if run.outputs else []
        logged = [client.get_logged_model(output.model_id) for output in outputs]
        locations = {model.name: str(model.artifact_location) for model in logged}  # the last of a name counts
        return locations.get(path, f"{run.info.artifact_uri}/{path}")


def _version(client: MlflowClient, model_uri: str, rest: str) -> tuple[str, str]:
    """The name and version behind 'NAME@alias', 'NAME/3', 'NAME/latest' or 'NAME'."""
    name, at, alias = rest.partition("@")
    wanted = "" if at else name.partition("/")[2]
    name = name.partition("/")[0]
    aliases = _aliases(client, name)
    versions = sorted((str(one.version) for one in client.search_model_versions(f"name = '{name}'")), key=int)
    if at and alias in aliases:
        return name, aliases[alias]
    if not at and wanted in versions:
        return name, wanted
    if not at and wanted in {"", "latest"} and versions:
        return name, versions[-1]
    has = f"versions {', '.join(versions) or 'none'}; aliases {', '.join(f'@{one}' for one in aliases) or 'none'}"
    raise TrackingError(f"the registry has no {model_uri!r}; of {name!r} it has {has}")


def _aliases(client: MlflowClient, name: str) -> dict[str, str]:
    """A registered model's aliases and their versions; a `TrackingError` with the registry's names if it has none."""
    try:
        found = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        others = ", ".join(sorted(model.name for model in client.search_registered_models(max_results=100)))
        has = f"it has {others}" if others else "no model was registered yet"
        raise TrackingError(f"the registry has no model {name!r}; {has}") from error
    return {alias: str(version) for alias, version in sorted(found.aliases.items())}
