"""`when`: conditions name what is searched or fixed, ask for values it can have, and never run in circles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reno_sweeps.config._search import known_parameter
from reno_sweeps.config._yaml import Document
from reno_sweeps.config._yaml import Path as Place
from reno_sweeps.records import Cell
from reno_sweeps.space import Categorical, Distribution, Float, Value, same, spell
from reno_sweeps.training.configuration import NAMES, parameters_of, parents_first


@dataclass(frozen=True)
class Asked:
    """What a file asks for, as far as conditions can refer to it."""

    document: Document
    search: Mapping[str, Distribution]
    fixed: Mapping[str, Value]
    cells: tuple[Cell, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads that are searched, else those of the cells."""
        searched = self.search.get("head")
        heads = searched.values if isinstance(searched, Categorical) else [cell.head for cell in self.cells]
        return tuple(dict.fromkeys(map(str, heads)))


def ordered(asked: Asked) -> dict[str, Distribution]:
    """The search with its conditions in their parameters' kinds, parents before children, else in the file's order."""
    plain = {name: _examined(asked, name, distribution) for name, distribution in asked.search.items()}
    for name, distribution in plain.items():
        if "head" in plain and name not in NAMES:
            _refuse_unconditional(asked, name, distribution)
    try:
        return parents_first(plain)
    except ValueError as circle:
        place = ("search", str(circle).split(", ")[0], "when")
        raise asked.document.error(place, f"conditions in a circle: {circle}", "Remove one") from None


def _examined(asked: Asked, name: str, distribution: Distribution) -> Distribution:
    pairs = []
    for parent, value in distribution.when:
        place: Place = ("search", name, "when", parent)
        if parent == name:
            raise asked.document.error(place, f"{name} depends on itself", "Remove this condition")
        plain = value if parent in NAMES else _plain(asked, place, parent, value)
        _refuse_impossible(asked, place, parent, plain)
        pairs.append((parent, plain))
    return replace(distribution, when=tuple(pairs))


def _plain(asked: Asked, place: Place, parent: str, value: Value) -> Value:
    """The value in its parameter's kind: 1 for a real number is 1.0."""
    parameter = known_parameter(asked.document, place, parent, asked.heads)
    why = parameter.refuse(value)
    if why is not None:
        raise asked.document.error(place, f"{parent} is never {spell(value)}: {why}", parameter.help)
    return parameter.plain(value)


def _refuse_impossible(asked: Asked, place: Place, parent: str, value: Value) -> None:
    """Refuse a condition that no trial can meet: the parameter would never be searched, without a word."""
    if parent in asked.search:
        offered, why = _offered(asked.search[parent], value), f"search.{parent} never proposes it"
    elif parent in NAMES:
        own = [cell.head if parent == "head" else "+".join(cell.encoders) for cell in asked.cells]
        offered, why = value in own, f"this space has {', '.join(dict.fromkeys(own))}"
    elif parent in asked.fixed:
        offered, why = same(asked.fixed[parent], value), f"it is fixed to {spell(asked.fixed[parent])}"
    else:
        raise asked.document.error(place, f"{parent} is neither searched nor fixed", f"Search {parent} too, or fix it")
    if not offered:
        raise asked.document.error(place, f"{parent} is never {spell(value)}: {why}", "Mend or remove this condition")


def _offered(parent: Distribution, value: Value) -> bool:
    """Whether a trial can have the value; a range of real numbers is never met exactly."""
    if isinstance(parent, Categorical):
        return any(same(value, choice) for choice in parent.values)
    if isinstance(parent, Float) or not isinstance(value, int) or isinstance(value, bool):
        return False
    return parent.low <= value <= parent.high and (value - parent.low) % parent.step == 0


def _refuse_unconditional(asked: Asked, name: str, distribution: Distribution) -> None:
    """With a searched head, what only some heads have says so: the file's reader sees which trials it touches."""
    having = [head for head in asked.heads if name in parameters_of(head)]
    meant = [value for parent, value in distribution.when if parent == "head"] or list(asked.heads)
    lacking = [str(head) for head in meant if head not in having]
    if lacking:
        line = f"when: {{head: {having[0] if len(having) == 1 else '[' + ', '.join(having) + ']'}}}"
        raise asked.document.error(("search", name), f"{', '.join(lacking)} has no {name}", f"Add {line}")
