"""`when`: conditions name what is searched or fixed, ask for values it can have, and never run in circles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reno_sweeps.config._search import known_parameter
from reno_sweeps.config._yaml import Document
from reno_sweeps.config._yaml import Path as Place
from reno_sweeps.records import Cell
from reno_sweeps.space import Categorical, Distribution, Value, same, spell
from reno_sweeps.training.configuration import NAMES, parameters_of, parents_first

Search = Mapping[str, Distribution]


def ordered(
    document: Document, search: Search, fixed: Mapping[str, Value], cells: tuple[Cell, ...]
) -> dict[str, Distribution]:
    """The search with its conditions in their parameters' kinds, parents before children, else in the file's order."""
    heads = _heads(search, cells)
    plain = {name: _examined(document, name, d, search, fixed, cells) for name, d in search.items()}
    for name, distribution in plain.items():
        if "head" in search and name not in NAMES:
            _refuse_unconditional(document, name, distribution, heads)
    try:
        return parents_first(plain)
    except ValueError as circle:
        first = str(circle).split(", ")[0]
        raise document.error(("search", first, "when"), f"conditions in a circle: {circle}", "Remove one") from None


def _heads(search: Search, cells: tuple[Cell, ...]) -> tuple[str, ...]:
    searched = search.get("head")
    if isinstance(searched, Categorical):
        return tuple(map(str, searched.values))
    return tuple(dict.fromkeys(cell.head for cell in cells))


def _examined(
    document: Document,
    name: str,
    distribution: Distribution,
    search: Search,
    fixed: Mapping[str, Value],
    cells: tuple[Cell, ...],
) -> Distribution:
    pairs = []
    for parent, value in distribution.when:
        place: Place = ("search", name, "when", parent)
        if parent == name:
            raise document.error(place, f"{name} depends on itself", "Remove this condition")
        if parent not in NAMES:
            parameter = known_parameter(document, place, parent, _heads(search, cells))
            why = parameter.refuse(value)
            if why is not None:
                raise document.error(place, f"{parent} is never {spell(value)}: {why}", parameter.help)
            value = parameter.plain(value)  # noqa: PLW2901  # 1 for a real number is 1.0
        _refuse_impossible(document, place, parent, value, search, fixed, cells)
        pairs.append((parent, value))
    return replace(distribution, when=tuple(pairs))


def _refuse_impossible(
    document: Document,
    place: Place,
    parent: str,
    value: Value,
    search: Search,
    fixed: Mapping[str, Value],
    cells: tuple[Cell, ...],
) -> None:
    if parent in search:
        offered = _offered(search[parent], value)
        settled = f"search.{parent} never proposes it"
    elif parent in NAMES:
        values = [cell.head if parent == "head" else "+".join(cell.encoders) for cell in cells]
        offered, settled = value in values, f"this space has {', '.join(dict.fromkeys(values))}"
    elif parent in fixed:
        offered, settled = same(fixed[parent], value), f"it is fixed to {spell(fixed[parent])}"
    else:
        raise document.error(place, f"{parent} is neither searched nor fixed", f"Search {parent} too, or fix it")
    if not offered:
        raise document.error(place, f"{parent} is never {spell(value)}: {settled}", "Mend or remove this condition")


def _offered(distribution: Distribution, value: Value) -> bool:
    if isinstance(distribution, Categorical):
        return any(same(value, choice) for choice in distribution.values)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or distribution.step is None:
        return number and distribution.low <= float(value or 0) <= distribution.high
    steps = (float(value or 0) - distribution.low) / distribution.step
    return -1e-8 <= steps <= (distribution.count() or 1) - 1 + 1e-8 and abs(steps - round(steps)) < 1e-8


def _refuse_unconditional(document: Document, name: str, distribution: Distribution, heads: tuple[str, ...]) -> None:
    """With a searched head, what only some heads have says so: the file's reader sees which trials it touches."""
    having = [head for head in heads if name in parameters_of(head)]
    asked = [value for parent, value in distribution.when if parent == "head"] or list(heads)
    lacking = [str(head) for head in asked if head not in having]
    if lacking:
        line = f"when: {{head: {having[0] if len(having) == 1 else '[' + ', '.join(having) + ']'}}}"
        raise document.error(("search", name), f"{', '.join(lacking)} has no {name}", f"Add {line}")
