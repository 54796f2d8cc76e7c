"""Distributions refuse nonsense at birth and mean what Optuna means; parameters say what they take."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reno_sweeps import space
from reno_sweeps.space import Categorical, Float, Int, Parameter, applies

NUMBERS = st.floats(-1e6, 1e6)
FLOATS = st.builds(
    lambda low, width, step: Float(low, low + width, step), NUMBERS, st.floats(0, 100), st.none() | st.floats(0.5, 10)
)
INTS = st.builds(
    lambda low, width, step: Int(low, low + width, step), st.integers(-99, 99), st.integers(0, 99), st.integers(1, 9)
)
LOGS = st.builds(lambda low, factor: Float(low, low * factor, log=True), st.floats(1e-9, 1), st.floats(1, 1e6))
CHOICES = st.lists(st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3), min_size=1, unique_by=repr)
CONDITIONS = st.dictionaries(st.sampled_from(["head", "trunk.kind"]), st.sampled_from(["reno", "conv", 1, None]))


@st.composite
def distributions(draw: st.DrawFn) -> space.Distribution:
    kinds = st.one_of(FLOATS, INTS, LOGS, CHOICES.map(lambda values: Categorical(tuple(values))))
    found = draw(kinds)
    when = space.when_from_dict(draw(CONDITIONS))
    return type(found)(**{name: getattr(found, name) for name in found.__slots__ if name != "when"}, when=when)


@settings(deadline=None)
@given(distributions())
def test_a_distribution_survives_storage_as_json(distribution: space.Distribution) -> None:
    stored = json.dumps(space.distribution_to_dict(distribution))

    assert space.distribution_from_dict(json.loads(stored)) == distribution


@settings(deadline=None)
@given(distributions())
def test_the_count_is_that_of_the_choices(distribution: space.Distribution) -> None:
    choices = distribution.choices()

    assert distribution.count() == (None if choices is None else len(choices))


@settings(deadline=None)
@given(st.one_of(FLOATS, INTS))
def test_every_choice_lies_in_the_range(distribution: Float | Int) -> None:
    for choice in distribution.choices() or ():
        assert distribution.low <= float(choice or 0) <= distribution.high + 1e-6


@settings(deadline=None)
@given(st.one_of(FLOATS, INTS, LOGS))
def test_optuna_accepts_what_is_accepted_here(distribution: Float | Int) -> None:
    fields = {name: getattr(distribution, name) for name in ("low", "high", "step", "log")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # Optuna moves a high that is no step
        kind = (
            optuna.distributions.FloatDistribution
            if isinstance(distribution, Float)
            else optuna.distributions.IntDistribution
        )
        found = kind(**fields)

    assert (found.low, found.log) == (distribution.low, distribution.log)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (Float, {"low": 2, "high": 1}, "low=2 is above high=1"),
        (Float, {"low": math.nan, "high": 1}, "finite"),
        (Float, {"low": 0, "high": math.inf}, "finite"),
        (Float, {"low": 0, "high": 1, "log": True}, "starts above 0"),
        (Float, {"low": 1, "high": 2, "step": 0.1, "log": True}, "takes no step"),
        (Float, {"low": 1, "high": 2, "step": -1}, "a step is a finite number above 0"),
        (Float, {"low": 1, "high": 2, "step": math.inf}, "a step is a finite number above 0"),
        (Float, {"low": 1, "high": 2, "step": math.nan}, "a step is a finite number above 0"),
        (Int, {"low": 2, "high": 1}, "low=2 is above high=1"),
        (Int, {"low": 1.5, "high": 2}, "whole numbers"),
        (Int, {"low": 0, "high": 9, "log": True}, "starts above 0"),
        (Int, {"low": 1, "high": 9, "step": 2, "log": True}, "takes no step"),
        (Int, {"low": 1, "high": 9, "step": 0}, "a step is a finite number above 0"),
        (Categorical, {"values": ()}, "empty"),
        (Categorical, {"values": ("a", "a")}, "twice"),
    ],
)
def test_nonsense_is_refused_at_birth(kind: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(**fields)


def test_true_and_one_are_different_choices() -> None:
    assert Categorical((True, 1)).count() == 2
    assert not space.same(True, 1)
    assert space.same(1, 1.0)


def test_a_condition_asks_for_any_of_its_values_and_every_of_its_names() -> None:
    when = space.when_from_dict({"head": ["concat", "reno"], "trunk.kind": "conv"})
    distribution = Int(1, 2, when=when)

    assert applies(distribution, {"head": "reno", "trunk.kind": "conv"})
    assert applies(distribution, {"head": "concat", "trunk.kind": "conv", "other": 1})
    assert not applies(distribution, {"head": "fcn", "trunk.kind": "conv"})
    assert not applies(distribution, {"head": "reno"})
    assert applies(Int(1, 2), {})


def test_what_is_not_chosen_is_not_null() -> None:
    assert not applies(Int(1, 2, when=(("trunk.positions", None),)), {})
    assert applies(Int(1, 2, when=(("trunk.positions", None),)), {"trunk.positions": None})


LR = Parameter("training.lr", float, 1e-3, "Speed.", above=0.0, high=1.0)
WIDTH = Parameter("align.width", int, 256, "Width.", low=2, also=("auto", None))
KIND = Parameter("trunk.kind", str, "conv", "Kind.", choices=("conv", "linear"))
FLAG = Parameter("renyi.symmetric", bool, False, "Both ways.")


@pytest.mark.parametrize(
    ("parameter", "value", "why"),
    [
        (LR, 0.5, None),
        (LR, 1, None),
        (LR, 0, "it is above 0"),
        (LR, 2, "it is at most 1"),
        (LR, "1", "it is a number"),
        (LR, True, "it is a number"),
        (LR, None, "it is a number"),
        (LR, math.nan, "it is a finite number"),
        (WIDTH, 4, None),
        (WIDTH, 4.0, None),
        (WIDTH, "auto", None),
        (WIDTH, None, None),
        (WIDTH, 4.5, "it is a whole number or auto or null"),
        (WIDTH, math.inf, "it is a finite number"),
        (WIDTH, 1, "it is at least 2"),
        (KIND, "conv", None),
        (KIND, "convo", "it is one of conv, linear"),
        (KIND, 1, "it is one of conv, linear"),
        (FLAG, True, None),
        (FLAG, 1, "it is true or false"),
        (FLAG, "yes", "it is true or false"),
    ],
)
def test_a_parameter_says_why_it_refuses(parameter: Parameter, value: Any, why: str | None) -> None:
    assert parameter.refuse(value) == why


def test_a_value_is_kept_in_its_parameters_kind() -> None:
    kept = [LR.plain(1), WIDTH.plain(4.0), WIDTH.plain("auto"), WIDTH.plain(None), FLAG.plain(True)]

    assert [(value, type(value)) for value in kept] == [
        (1.0, float),
        (4, int),
        ("auto", str),
        (None, type(None)),
        (True, bool),
    ]


def test_values_are_spelled_as_in_a_space_file() -> None:
    assert [space.spell(value) for value in (None, True, False, 1, 0, 1.0, 1e-6, "no")] == [
        "null",
        "true",
        "false",
        "1",
        "0",
        "1.0",
        "1e-06",
        "no",
    ]


@dataclass(frozen=True)
class Params:
    """Two parameters."""

    training_batch_size: int = space.parameter(32, "Clips a step.", low=1)
    renyi_beta: float = space.parameter(2.0, "Order.", above=0.0)


def test_a_field_is_a_parameter_with_its_first_underscore_as_dot() -> None:
    assert list(space.parameters(Params)) == ["training.batch_size", "renyi.beta"]
    assert space.parameters(Params)["training.batch_size"] == Parameter(
        "training.batch_size", int, 32, "Clips a step.", low=1
    )


def test_params_are_built_from_what_concerns_them() -> None:
    assert space.build(Params, {"renyi.beta": 3.0, "trunk.kind": "conv"}) == Params(32, 3.0)
