"""The JSON schema for editors is the present one, and says of the shipped and of wrong spaces what the reader says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reno_sweeps import catalogue
from reno_sweeps.config import _yaml, schema
from reno_sweeps.config._places import shipped_folder
from reno_sweeps.config.sweep_file import shipped
from reno_sweeps.training.configuration import parameters_of

SCHEMA = schema.schema()


def valid(content: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(content))


def test_the_shipped_schema_is_up_to_date() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), "run python -m reno_sweeps.config.schema"


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_space_fits_and_points_to_the_schema(name: str) -> None:
    text = (shipped_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    pointer = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")

    assert valid(_yaml.read(name, text).content)
    assert Path(shipped_folder(), pointer).resolve() == schema.FILE.resolve()


def test_every_parameter_is_described_with_its_default() -> None:
    known = {name: p for head in catalogue.names("heads") for name, p in parameters_of(head).items()}
    fixed = SCHEMA["properties"]["fixed"]["anyOf"][0]["properties"]

    assert {name: (one["default"], one["description"]) for name, one in fixed.items()} == {
        name: (p.default, p.help) for name, p in known.items()
    }


@pytest.mark.parametrize(
    "content",
    [
        {"serach": {}},
        {"head": "rneo"},
        {"fixed": {"training.lr": "fast"}},
        {"fixed": {"training.lr": 0}},
        {"fixed": {"trunk.kind": "convo"}},
        {"search": {"training.lr": {"type": "float", "low": 1}}},
        {"search": {"training.precision": {"type": "categorical", "choices": ["float32"]}}},
        {"search": {"trunk.kind": {"type": "float", "low": 1, "high": 2}}},
        {"search": {"attention.heads": {"type": "categorical", "choices": ["two"]}}},
        {"budget": {"sampler": "tpa"}},
        {"cells": [{"encoders": ["a"]}]},
    ],
)
def test_a_wrong_space_is_marked_by_the_editor_too(content: dict[str, Any]) -> None:
    assert not valid(content)


def test_a_space_with_everything_fits() -> None:
    when = {"when": {"head": ["concat", "reno"]}}
    content = {
        "name": "x",
        "corpus": "demo",
        "search": {
            "head": {"type": "categorical", "choices": ["concat", "reno"]},
            "encoders": {"type": "categorical", "choices": ["a+b"]},
            "trunk.positions": {"type": "categorical", "choices": ["auto", None, 8], **when},
            "align.width": {"type": "int", "low": 64, "high": 256, "step": 64},
            "renyi.symmetric": {"type": "categorical", "choices": [True, False]},
        },
        "fixed": {"training.grad_clip": None, "training.precision": "bf16"},
        "budget": {"time": "2h", "ahead": 4},
        "run": {"gpus": "auto", "cohort": 8},
    }

    assert valid(content)
