"""Families: models of one structure that share nothing else: every dial, seed, fold and number of batches differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reno_sweeps import catalogue
from reno_sweeps.records import Key, Model, Split
from reno_sweeps.training.configuration import encoders_of, parameters_of
from reno_sweeps.training.data import Data

CLASSES, DIMS, BATCH = 3, {"a": 20, "b": 12}, 13
SPOILED, LOUD, SOUND = (0, 122), (1, 121), tuple(range(2, 121))  # rows: not a number; of an odd scale; ordinary

# Clips that train, validate and test: epochs have 1 to 4 batches of 13, the last of them 1, 1, 1, 9, 13 and 7 clips.
SIZES = ((27, 20, 12), (14, 25, 9), (40, 17, 20), (9, 30, 7), (26, 22, 15), (33, 11, 11))

DIALS: dict[str, tuple[Any, ...]] = {
    "training.lr": (1e-3, 3e-3, 3e-4, 1e-2, 2e-3, 5e-4),
    "training.weight_decay": (0.0, 0.1, 1.0, 0.01, 0.0, 0.3),
    "training.dropout": (0.0, 0.3, 0.6, 0.1, 0.5, 0.2),
    "training.label_smoothing": (0.0, 0.1, 0.0, 0.3, 0.05, 0.2),
    "training.grad_clip": (None, 0.5, 1e-2, None, 2.0, 1e3),
    "renyi.beta": (2.0, 1.05, 10.0, 0.5, 1.0, 4.0),
    "renyi.delta": (0.2, 1e-3, 1e-6, 1.0, 0.05, 1e-2),
    "loss.lambda": (0.4, 0.9, 0.1, 1.0, 0.05, 0.7),
}
SPREAD = (1.0, 0.8, 1.2, 0.5, 1.5, 0.9)  # of the default: real parameters that are not known above


class Kind(NamedTuple):
    """What a family is of: a head on so many encoders, with a trunk where it has a choice."""

    head: str
    encoders: int
    trunk: str | None

    def __str__(self) -> str:
        return "-".join(str(part) for part in self if part is not None)


def _trunks(head: str) -> tuple[str | None, ...]:
    known = parameters_of(head).get("trunk.kind")
    return (None,) if known is None or known.choices is None else tuple(str(choice) for choice in known.choices)


KINDS = tuple(
    Kind(head, count, trunk)
    for head in catalogue.names("heads")
    for count in encoders_of(head)
    for trunk in _trunks(head)
)

SETTINGS: dict[str, dict[str, Any]] = {  # structure: what a family shares
    "plain": {"attention.heads": 2},
    "other": {
        "attention.heads": 1,
        "attention.fusion_heads": 4,
        "renyi.symmetric": True,
        "training.class_weights": "balanced",
        "training.standardize": "none",
        "training.warmup_epochs": 2,
    },
}


def material(seed: int = 0) -> Data:
    """Three gaussian clusters for two encoders; two rows are of an odd scale, the first and the last no numbers."""
    source = np.random.default_rng(seed)
    labels = source.integers(0, CLASSES, SPOILED[-1] + 1)
    embeddings = {}
    for name, width in DIMS.items():
        centres = source.normal(size=(CLASSES, width)) * 0.5  # close enough that validation has a best epoch
        embeddings[name] = (centres[labels] + source.normal(size=(len(labels), width))).astype(np.float32)
        embeddings[name][list(LOUD)] *= 1e5
        embeddings[name][list(SPOILED)] = np.nan
    return Data(embeddings, labels, ("anger", "fear", "joy"))


def family(kind: Kind, data: Data, **shared: Any) -> list[Model]:
    """Six models of one structure, whose values in `shared` are the same; the fifth never trains on the last class."""
    return [_member(kind, data, number, shared) for number in range(len(SIZES))]


def _member(kind: Kind, data: Data, number: int, shared: dict[str, Any]) -> Model:
    small: dict[str, Any] = {"trunk.positions": 2, "align.width": 16, "training.epochs": 3, "training.patience": 2}
    values = small | {"training.batch_size": BATCH, "training.precision": "float64"} | _dials(kind.head, number)
    if kind.trunk is not None:
        values["trunk.kind"] = kind.trunk
    encoders = tuple(DIMS)[: kind.encoders]
    split = _split(data, number, without=CLASSES - 1 if number == 4 else None)
    return Model(Key(f"trial {number}", fold=number), kind.head, encoders, values | shared, 100 + number, split)


def _dials(head: str, number: int) -> dict[str, Any]:
    """Every real parameter of the head, another value for every member."""
    found = {}
    for name, known in parameters_of(head).items():
        if known.kind is float:
            value = DIALS[name][number] if name in DIALS else (known.default or 1.0) * SPREAD[number]  # type: ignore[operator]
            found[name] = known.default if known.refuse(value) else value
    return found


def _split(data: Data, number: int, without: int | None = None) -> Split:
    """Ordinary clips in an order of the member's own; none of class `without` trains."""
    train, validation, test = SIZES[number]
    mixed = np.random.default_rng(number).permutation(np.array(SOUND))
    judging, rest = mixed[: validation + test], mixed[validation + test :]
    learning = rest[data.labels[rest] != without][:train]
    parts = (learning, judging[:validation], judging[validation:])
    return Split(*(tuple(int(row) for row in part) for part in parts))


def changed(model: Model, owner: str, **values: Any) -> Model:
    """The model again, as another: a name of its own, some values changed."""
    return replace(model, key=replace(model.key, owner=owner), values={**model.values, **values})


def having(model: Model, part: str, rows: tuple[int, ...]) -> Model:
    """The model with these rows in a part of its split ('train', 'validation', 'test') instead of the first there."""
    kept = getattr(model.split, part)[len(rows) :]
    return replace(model, split=replace(model.split, **{part: (*rows, *kept)}))
