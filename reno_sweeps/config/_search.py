"""What is searched and what is fixed: every name one of the heads' parameters, every value one that it takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reno_sweeps import catalogue
from reno_sweeps.config import _cells, _shape
from reno_sweeps.config._shape import CategoricalShape, IntShape, SpaceShape
from reno_sweeps.config._yaml import Document, nearest
from reno_sweeps.config._yaml import Path as Place
from reno_sweeps.space import Categorical, Distribution, Float, Int, Parameter, Value, spell, when_from_dict
from reno_sweeps.training.configuration import NAMES, parameters_of, split_pair


def names_searched(document: Document, shape: SpaceShape, folder: Path) -> dict[str, Categorical]:
    """The searched head and encoders of a space, where it searches them; their paths absolute."""
    found = {}
    for name in NAMES:
        if name not in shape.search:
            continue
        place: Place = ("search", name)
        plain = _shape.distribution(document, place, shape.search[name])
        if not isinstance(plain, CategoricalShape):
            raise document.error(
                place, f"{name} is searched by choices", "For example: {type: categorical, choices: …}"
            )
        if plain.when:
            raise document.error((*place, "when"), f"{name} is always searched: it takes no when", "Remove when")
        values = [_name_choice(document, name, (*place, "choices", i), v, folder) for i, v in enumerate(plain.choices)]
        found[name] = _categorical(document, place, values, ())
    return found


def _name_choice(document: Document, name: str, place: Place, value: Value, folder: Path) -> str:
    """One choice of `head` or `encoders`; the paths of a pair absolute, and still two after a split."""
    if not isinstance(value, str):
        raise document.error(place, f"{spell(value)} is no choice of {name}: it is text", "For example: mfcc+log-mel")
    if name == "head":
        return value
    given = split_pair(value)
    parts = tuple(_cells.encoder(document, place, part, folder) for part in given)
    choice = "+".join(parts)
    if split_pair(choice) != parts:
        raise document.error(place, f"{choice!r} cannot be told apart at '+'", "Move the file to a path without '+'")
    return choice


def distributions(
    document: Document, shape: SpaceShape, heads: tuple[str, ...], named: Mapping[str, Categorical]
) -> dict[str, Distribution]:
    """Everything that is searched, in the file's order; conditions are examined elsewhere."""
    found: dict[str, Distribution] = {}
    for name, plain in shape.search.items():
        if name in named:
            found[name] = named[name]
            continue
        place: Place = ("search", name)
        parameter = known_parameter(document, place, name, heads)
        if not parameter.searchable:
            raise document.error(place, f"{name} cannot be searched", f"Move it to fixed: {name}: …")
        found[name] = _distribution(document, place, plain, parameter)
    return found


def fixed_values(document: Document, shape: SpaceShape, heads: tuple[str, ...]) -> dict[str, Value]:
    """Everything that is fixed, each value in its parameter's own kind."""
    found: dict[str, Value] = {}
    for name, value in shape.fixed.items():
        place: Place = ("fixed", name)
        if name in NAMES:
            raise document.error(place, f"{name} is no parameter", f"Write it at the top of the file: {name}: …")
        parameter = known_parameter(document, place, name, heads)
        if name in shape.search:
            line = document.place(("search", name))
            raise document.error(place, f"{name} is both fixed and searched ({line})", "Remove one of them")
        found[name] = _value(document, place, parameter, value)
    return found


def known_parameter(document: Document, place: Place, name: str, heads: Iterable[str]) -> Parameter:
    """The parameter of that name of any of the heads; a UserError says who has it, or which name is meant."""
    heads = tuple(dict.fromkeys(heads))
    offer = {known: parameter for head in heads for known, parameter in parameters_of(head).items()}
    if name in offer:
        return offer[name]
    who = ", ".join(heads)
    others = [head for head in catalogue.names("heads") if name in parameters_of(head)]
    if others:
        what, do = f"{who} has no {name}; {', '.join(others)} has", "Remove this line, or choose another head"
    else:
        what, do = f"no parameter {name!r}{nearest(name, list(offer))}", f"{who} has {', '.join(offer)}"
    raise document.error(place, what, do)


def _distribution(document: Document, place: Place, plain: dict[str, Any], parameter: Parameter) -> Distribution:
    """One entry of `search` as a distribution whose every value its parameter takes."""
    shape = _shape.distribution(document, place, plain)
    when = when_from_dict(
        {name: _alternatives(document, (*place, "when", name), v) for name, v in (shape.when or {}).items()}
    )
    if isinstance(shape, CategoricalShape):
        values = [_value(document, (*place, "choices", i), parameter, v) for i, v in enumerate(shape.choices)]
        return _categorical(document, place, values, when)
    if parameter.kind not in {int, float} or parameter.choices is not None:
        offer = ", ".join(map(spell, parameter.choices or (False, True)))
        do = f"Write {{type: categorical, choices: [{offer}]}}"
        raise document.error((*place, "type"), f"{parameter.name} is no number: it has choices", do)
    if parameter.kind is int and not isinstance(shape, IntShape):
        raise document.error(
            (*place, "type"), f"{parameter.name} is a whole number", "Write type: int, or list choices"
        )
    for end in ("low", "high"):
        _value(document, (*place, end), parameter, getattr(shape, end))
    try:
        return _range(shape, parameter, when)
    except ValueError as problem:
        raise document.error((*place, "low"), f"{parameter.name}: {problem}") from None


def _range(
    shape: _shape.FloatShape | IntShape, parameter: Parameter, when: tuple[tuple[str, Value], ...]
) -> Distribution:
    """The range, its upper end the last step below `high`: Optuna would move it there, with a warning."""
    if parameter.kind is int and isinstance(shape, IntShape):
        whole = Int(shape.low, shape.high, 1 if shape.step is None else shape.step, shape.log, when)
        return Int(whole.low, whole.low + (whole.count() - 1) * whole.step, whole.step, whole.log, when)
    step = 1 if shape.step is None and isinstance(shape, IntShape) else shape.step  # whole steps of a real parameter
    real = Float(shape.low, shape.high, step, shape.log, when)
    if real.step is None:
        return real
    steps = (real.count() or 1) - 1
    last = real.high if math.isclose(real.low + steps * real.step, real.high) else real.low + steps * real.step
    return Float(real.low, last, real.step, real.log, when)


def _categorical(
    document: Document, place: Place, values: list[Any], when: tuple[tuple[str, Value], ...]
) -> Categorical:
    """A list of choices; a UserError where one is listed twice."""
    try:
        return Categorical(tuple(values), when)
    except ValueError as problem:
        raise document.error((*place, "choices"), f"{place[-1]}: {problem}") from None


def _alternatives(document: Document, place: Place, value: Any) -> tuple[Value, ...]:
    """The values of one condition: {head: reno} and {head: [reno, concat]}."""
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(one, (list, dict)) for one in values):
        raise document.error(place, "a condition is a value or a list of values", "For example: when: {head: reno}")
    return tuple(values)


def _value(document: Document, place: Place, parameter: Parameter, value: Value) -> Value:
    """A value in its parameter's kind; a UserError says why it is none, and what the parameter does."""
    why = parameter.refuse(value)
    if why is None:
        return parameter.plain(value)
    found = f"the text '{value[:60]}'" if isinstance(value, str) and parameter.kind is not str else spell(value)
    near = nearest(value, [c for c in parameter.choices or () if isinstance(c, str)]) if isinstance(value, str) else ""
    raise document.error(place, f"{parameter.name}: {why}, not {found}{near}", parameter.help)
