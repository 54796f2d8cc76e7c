"""Which models train together: equal structure, in order, so many at a time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from reno_sweeps.records import Model
from reno_sweeps.space import Value
from reno_sweeps.training.configuration import parameters_of

Structure = tuple[Value | tuple[str, ...] | tuple[tuple[str, Value], ...], ...]


def structure(model: Model) -> Structure:
    """What models of one cohort share: head, encoders, every whole number and name. Real numbers are dials."""
    known = parameters_of(model.head)
    firm = {name: model.values.get(name, p.default) for name, p in known.items() if p.kind is not float}
    return (model.head, model.encoders, model.epochs, tuple(sorted(firm.items())))


def group(models: Sequence[Model], size: int) -> tuple[tuple[Model, ...], ...]:
    """Cohorts of at most `size` models of one structure each, in the order in which they are first met.

    The folds of one owner stay together where they fit; nobody is dropped, and nobody appears twice.
    """
    if size < 1:
        raise ValueError(f"a cohort of {size} models: it has at least one")
    alike: dict[Structure, list[Model]] = {}
    for model in models:
        alike.setdefault(structure(model), []).append(model)
    return tuple(cohort for family in alike.values() for cohort in _packed(family, size))


def _packed(models: Sequence[Model], size: int) -> list[tuple[Model, ...]]:
    cohorts: list[tuple[Model, ...]] = []
    for _, run in groupby(models, key=lambda model: model.key.owner):
        folds = tuple(run)
        if cohorts and len(cohorts[-1]) + len(folds) <= size:
            cohorts[-1] += folds
        else:
            cohorts += [folds[i : i + size] for i in range(0, len(folds), size)]
    return cohorts
