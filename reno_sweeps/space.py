"""What can be varied: distributions that refuse nonsense at birth, and the facts of every parameter."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Value = float | int | bool | str | None  # what a parameter may be: plain, printable, comparable
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Float:
    """A real number between `low` and `high`, both included; Optuna's FloatDistribution."""

    low: float
    high: float
    step: float | None = None
    log: bool = False
    when: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        _refuse_bad_range(self.low, self.high, self.step, log=self.log)
        for name in ("low", "high") if self.step is None else ("low", "high", "step"):
            object.__setattr__(self, name, float(getattr(self, name)))  # 1 and 1.0 are the same question

    def count(self) -> int | None:
        """How many values it can take; None for a continuum."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return math.floor((self.high - self.low) / self.step + 1e-8) + 1  # 1e-8: 0.3 is three steps of 0.1

    def choices(self) -> tuple[Value, ...] | None:
        """Every value it can take; None where they cannot be listed."""
        if self.step is None:
            return (self.low,) if self.low == self.high else None
        return tuple(self.low + i * self.step for i in range(self.count() or 0))


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number between `low` and `high`, both included; Optuna's IntDistribution."""

    low: int
    high: int
    step: int = 1
    log: bool = False
    when: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        _refuse_bad_range(self.low, self.high, None if self.log else self.step, log=self.log)
        if any(value != int(value) for value in (self.low, self.high, self.step)):
            raise ValueError(f"low={self.low}, high={self.high}, step={self.step}: whole numbers belong here")
        if self.log and self.step != 1:
            raise ValueError(f"step={self.step} with log=true: a logarithmic range takes no step")

    def count(self) -> int:
        """How many values it can take."""
        return (self.high - self.low) // self.step + 1

    def choices(self) -> tuple[Value, ...]:
        """Every value it can take."""
        return tuple(range(self.low, self.high + 1, self.step))


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of the listed values; Optuna's CategoricalDistribution."""

    values: tuple[Value, ...]
    when: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("choices is empty: list at least one value")
        kinds = [(type(v), v) for v in self.values]  # True and 1 are different choices
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"choices {list(self.values)} names a value twice")

    def count(self) -> int:
        """How many values it can take."""
        return len(self.values)

    def choices(self) -> tuple[Value, ...]:
        """Every value it can take."""
        return self.values


Distribution = Float | Int | Categorical


def _refuse_bad_range(low: float, high: float, step: float | None, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"low={low}, high={high}: both must be finite numbers")
    if low > high:
        raise ValueError(f"low={low} is above high={high}: exchange them")
    if log and low <= 0:
        raise ValueError(f"low={low} with log=true: a logarithmic range starts above 0")
    if step is not None and not 0 < step < math.inf:
        raise ValueError(f"step={step}: a step is a finite number above 0")
    if step is not None and log:
        raise ValueError(f"step={step} with log=true: a logarithmic range takes no step")


def applies(distribution: Distribution, chosen: Mapping[str, Value]) -> bool:
    """Whether what is `chosen` so far satisfies the distribution's `when`.

    A name that `when` gives several values is satisfied by any of them; of several names each must be satisfied.
    A name that is not chosen satisfies nothing.
    """
    asked = {name for name, _ in distribution.when}
    met = {n for n, value in distribution.when if n in chosen and same(chosen[n], value)}
    return asked == met


def same(one: Value, other: Value) -> bool:
    """Whether two plain values are the same choice: 1 is 1.0 but not true."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def distribution_to_dict(distribution: Distribution) -> dict[str, Any]:
    """Plain JSON of a distribution, in Optuna's words; `distribution_from_dict` reads it back."""
    when = {"when": _when_to_dict(distribution.when)} if distribution.when else {}
    if isinstance(distribution, Categorical):
        return {"type": "categorical", "choices": list(distribution.values), **when}
    kind = "float" if isinstance(distribution, Float) else "int"
    fields = {"low": distribution.low, "high": distribution.high, "step": distribution.step, "log": distribution.log}
    return {"type": kind, **fields, **when}


def distribution_from_dict(plain: Mapping[str, Any]) -> Distribution:
    """The distribution that `distribution_to_dict` wrote."""
    when = when_from_dict(plain.get("when", {}))
    if plain["type"] == "categorical":
        return Categorical(tuple(plain["choices"]), when)
    if plain["type"] == "int":
        return Int(plain["low"], plain["high"], plain.get("step") or 1, plain.get("log", False), when)
    return Float(plain["low"], plain["high"], plain.get("step"), plain.get("log", False), when)


def _when_to_dict(when: tuple[tuple[str, Value], ...]) -> dict[str, Value | list[Value]]:
    values: dict[str, list[Value]] = {}
    for name, value in when:
        values.setdefault(name, []).append(value)
    return {name: several[0] if len(several) == 1 else several for name, several in values.items()}


def when_from_dict(plain: Mapping[str, Value | Sequence[Value]]) -> tuple[tuple[str, Value], ...]:
    """Conditions as a distribution keeps them, sorted by name: {'head': 'reno'} or {'head': ['reno', 'concat']}."""
    pairs = []
    for name in sorted(plain):
        value = plain[name]
        alternatives = value if isinstance(value, (list, tuple)) else (value,)
        pairs += [(name, alternative) for alternative in alternatives]
    return tuple(pairs)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is known of one parameter: its default, the values it takes, and a sentence on what it does."""

    name: str  # dotted: 'training.lr'
    kind: type  # float, int, bool or str: what a plain value must be
    default: Value
    help: str
    low: float | None = None  # smallest allowed value
    high: float | None = None  # largest allowed value
    above: float | None = None  # every value must be larger than this
    choices: tuple[Value, ...] | None = None  # the only allowed values
    also: tuple[Value, ...] = ()  # values allowed besides numbers: None, 'auto'
    searchable: bool = True

    def refuse(self, value: Value) -> str | None:
        """Why `value` is no value of this parameter, in one clause; None where it is one."""
        if any(type(value) is type(other) and value == other for other in self.also):
            return None
        if self.choices is not None:
            offer = ", ".join(map(spell, self.choices))
            return None if any(same(value, choice) for choice in self.choices) else f"it is one of {offer}"
        if self.kind is bool:
            return None if isinstance(value, bool) else "it is true or false"
        if self.kind is str:
            return None if isinstance(value, str) else "it is text"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"it is a {'whole ' if self.kind is int else ''}number{self._others()}"
        return self._refuse_number(value)

    def plain(self, value: Value) -> Value:
        """A value that `refuse` accepts, in the parameter's own kind: 1 for a real number becomes 1.0."""
        if self.kind in {int, float} and isinstance(value, (int, float)) and not isinstance(value, bool):
            number: Value = self.kind(value)
            return number
        return value

    def _refuse_number(self, value: float) -> str | None:
        if not math.isfinite(value):
            return "it is a finite number"
        if self.kind is int and value != int(value):
            return f"it is a whole number{self._others()}"
        if self.above is not None and value <= self.above:
            return f"it is above {self.above:g}"
        if self.low is not None and value < self.low:
            return f"it is at least {self.low:g}"
        if self.high is not None and value > self.high:
            return f"it is at most {self.high:g}"
        return None

    def _others(self) -> str:
        return "".join(f" or {spell(other)}" for other in self.also)


def spell(value: Value) -> str:
    """A value as a space file writes it: null, true, 0.5."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def parameter(
    default: Value,
    help: str,  # noqa: A002  # the field's own word, as in Typer and argparse
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Sequence[Value] | None = None,
    also: Sequence[Value] = (),
    kind: type | None = None,
    searchable: bool = True,
) -> Any:
    """A dataclass field that is a parameter: its first underscore is the dot of its name (`training_lr`)."""
    limits = {"low": low, "high": high, "above": above, "searchable": searchable, "also": tuple(also)}
    limits["choices"] = None if choices is None else tuple(choices)
    kind = kind or (type(default) if default is not None else int)
    return dataclasses.field(default=default, metadata={"help": help, "kind": kind, **limits})


def parameters(params: type) -> dict[str, Parameter]:
    """The parameters of a `Params` dataclass by dotted name, in the order of its fields."""
    found = {}
    for f in dataclasses.fields(params):
        name = f.name.replace("_", ".", 1)
        default: Any = f.default
        found[name] = Parameter(name=name, default=default, **f.metadata)
    return found


def build(params: type[T], values: Mapping[str, Value]) -> T:
    """A `Params` from a flat mapping of dotted names; names of other rooms are passed over, missing ones default."""
    known = {f.name: f.name.replace("_", ".", 1) for f in dataclasses.fields(params)}  # type: ignore[arg-type]
    return params(**{field: values[name] for field, name in known.items() if name in values})
