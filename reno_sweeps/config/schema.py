"""The JSON schema of a space file, for editors: `python -m reno_sweeps.config.schema` writes it beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reno_sweeps import catalogue
from reno_sweeps.config._shape import DISTRIBUTIONS, SpaceShape
from reno_sweeps.space import Parameter
from reno_sweeps.training.configuration import parameters_of

FILE = Path(__file__).parent / "space.schema.json"
_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def schema() -> dict[str, Any]:
    """The schema, draft 2020-12: the file's shape, with every parameter's description, default and limits."""
    found = SpaceShape.model_json_schema()
    known = _parameters()
    heads = list(catalogue.names("heads"))
    properties = found["properties"]
    properties["head"]["anyOf"] = [{"enum": heads}, {"type": "array", "items": {"enum": heads}}, {"type": "null"}]
    found["$defs"] |= {shape.__name__: shape.model_json_schema() for shape in DISTRIBUTIONS.values()}
    found["$defs"]["CellShape"]["properties"]["head"]["enum"] = heads
    properties["search"] = _section(
        "Parameters and where to search them.",
        {name: _searched(parameter) for name, parameter in known.items() if parameter.searchable}
        | {"head": _choices("Heads to choose from.", {"enum": heads})}
        | {"encoders": _choices("Encoders to choose from, pairs as 'a+b'.", {"type": "string"})},
    )
    properties["fixed"] = _section("Parameters and their values.", {name: _fixed(p) for name, p in known.items()})
    for name in ("search", "fixed", "protocol", "objective", "budget", "run"):  # an empty section is no fault
        said = SpaceShape.model_fields[name].description
        properties[name] = {"description": said, "anyOf": [properties[name], {"type": "null"}]}
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A search space of reno-sweeps"}
    return {**found, **about}


def text() -> str:
    """The schema as it is shipped."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _parameters() -> dict[str, Parameter]:
    """Every parameter of every head."""
    return {name: p for head in catalogue.names("heads") for name, p in parameters_of(head).items()}


def _section(about: str, properties: dict[str, Any]) -> dict[str, Any]:
    """An object with these keys and no other."""
    return {"type": "object", "description": about, "properties": properties, "additionalProperties": False}


def _fixed(parameter: Parameter) -> dict[str, Any]:
    """What a fixed value of a parameter may be."""
    about = {"description": parameter.help, "default": parameter.default}
    if parameter.choices is not None:
        return {"enum": list(parameter.choices), **about}
    limits = {"minimum": parameter.low, "maximum": parameter.high, "exclusiveMinimum": parameter.above}
    number = {"type": _NAMES[parameter.kind], **{name: limit for name, limit in limits.items() if limit is not None}}
    return {"anyOf": [number, {"enum": list(parameter.also)}], **about} if parameter.also else {**number, **about}


def _searched(parameter: Parameter) -> dict[str, Any]:
    """What may stand below `search.<name>`: the distributions that fit the parameter's kind."""
    one = {key: value for key, value in _fixed(parameter).items() if key not in {"description", "default"}}
    ranges = {int: ["int"], float: ["float", "int"]}.get(parameter.kind, []) if parameter.choices is None else []
    references = [{"$ref": f"#/$defs/{DISTRIBUTIONS[kind].__name__}"} for kind in ranges]
    return {"description": parameter.help, "anyOf": [_choices("One of several values.", one), *references]}


def _choices(about: str, one: dict[str, Any]) -> dict[str, Any]:
    """A categorical distribution of such values."""
    when = {"$ref": "#/$defs/CategoricalShape/properties/when"}
    kind, choices = {"const": "categorical"}, {"type": "array", "minItems": 1, "items": one}
    return {**_section(about, {"type": kind, "choices": choices, "when": when}), "required": ["type", "choices"]}


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
