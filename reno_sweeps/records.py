"""The nouns of the house: clips, splits, sweeps, models to train and the events they send. Standard library only."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reno_sweeps.space import Distribution, Value, distribution_from_dict, distribution_to_dict


class UserError(Exception):
    """Bad input. At most three lines: what was asked, what is on offer, what to do. Exit code 2, no traceback.

    Names from files stand in it: its text spells out what a terminal would obey, and no line of it is without end.
    """

    LONGEST = 1_500  # letters of a line

    def __str__(self) -> str:
        return "\n".join(_harmless(line[: self.LONGEST + 1], self.LONGEST) for line in super().__str__().split("\n"))


def _harmless(line: str, most: int) -> str:
    plain = line if line.isprintable() else "".join(map(_spelled, line))
    return plain if len(plain) <= most else f"{plain[:most]}…"


def _spelled(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


# --- data -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording: `path` names it in its corpus (unique, '/' between folders, relative to the corpus's root)."""

    path: str
    label: str
    speaker: str | None = None
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is no clip of the corpus, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """The clips of a corpus, in the order of their paths, with what was left out. Reading one decodes nothing."""

    id: str
    root: Path  # clip files are root / clip.path
    clips: tuple[Clip, ...]
    skipped: tuple[Skipped, ...] = ()
    synthetic: bool = False  # made by a program: said wherever a figure of it appears
    content: str = ""  # known digest of the audio without reading it (demo); else the files' bytes are hashed
    left_out: Mapping[str, int] = field(default_factory=dict, hash=False)  # no part of it by definition: why → files

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, sorted: index in this tuple = class number everywhere."""
        return tuple(sorted({clip.label for clip in self.clips}))


@dataclass(frozen=True, slots=True)
class Split:
    """Rows (numbers of clips) on which one model trains, stops and is tested. Empty validation: fixed epochs."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


# --- what a human asked for, valid and complete -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """One head on one or two encoders: what is searched as a unit."""

    head: str
    encoders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How folds are made and what selects: method.md, section 5."""

    folds: str = "auto"  # auto, given, stratified, speaker
    n_folds: int = 5
    selection: str = "validation"  # validation, nested, paper
    seed: int = 0
    repeats: int = 1
    seeds: int = 1  # models a fold that differ by their seed alone

    @property
    def rounds(self) -> int:
        """How often all folds are trained: every repeat once a seed. Round = repeat × seeds + number of the seed."""
        return self.repeats * self.seeds


@dataclass(frozen=True, slots=True)
class Objective:
    """The validation metric that the search improves (its mean over folds)."""

    metric: str = "macro_f1"  # macro_f1, accuracy, uar, cross_entropy
    direction: str = "maximize"


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is tried and who proposes. `trials` and `seconds` are not part of a sweep's identity."""

    trials: int = 64
    seconds: float | None = None
    sampler: str = "tpe"  # tpe, random, grid, cmaes, gp
    pruner: str = "none"  # none, median, hyperband, wilcoxon
    ahead: int | None = None  # None: auto, settled when the sweep is created
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sweep:
    """A search-space file with the command line's changes, validated: everything that defines the question."""

    name: str  # the space's name
    corpus: str  # id or path
    cells: tuple[Cell, ...]
    search: Mapping[str, Distribution]
    fixed: Mapping[str, Value] = field(default_factory=dict)
    protocol: Protocol = Protocol()
    objective: Objective = Objective()
    budget: Budget = Budget()
    root: str | None = None  # where a named corpus lies
    weights: Mapping[str, str] = field(default_factory=dict)  # encoder id → file or folder

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `Sweep.from_dict` reads it back."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain["cells"] = [{"head": c.head, "encoders": list(c.encoders)} for c in self.cells]
        plain["search"] = {name: distribution_to_dict(d) for name, d in self.search.items()}
        plain["fixed"], plain["weights"] = dict(self.fixed), dict(self.weights)
        for part in ("protocol", "objective", "budget"):
            plain[part] = dataclasses.asdict(plain[part])
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Sweep:
        """The sweep that `to_dict` wrote."""
        return cls(
            **{
                **plain,
                "cells": tuple(Cell(c["head"], tuple(c["encoders"])) for c in plain["cells"]),
                "search": {name: distribution_from_dict(d) for name, d in plain["search"].items()},
                "protocol": Protocol(**plain["protocol"]),
                "objective": Objective(**plain["objective"]),
                "budget": Budget(**plain["budget"]),
            }
        )


# --- training ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which model: its owner ('trial 17', 'baseline linear', 'refit 17', 'register') and its fold."""

    owner: str
    repeat: int = 0
    fold: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """One model to train: a configuration on one split with one seed. `values` holds every parameter of the head."""

    key: Key
    head: str
    encoders: tuple[str, ...]
    values: Mapping[str, Value]
    seed: int
    split: Split
    epochs: int | None = None  # train exactly so many, keep the last weights; None: early stopping on validation


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """A model has trained one more epoch (the first is 1); `metrics` are plain floats by name."""

    key: Key
    epoch: int
    metrics: Mapping[str, float]  # loss, cross_entropy, divergence (reno), val_macro_f1, val_accuracy, …


@dataclass(frozen=True, slots=True)
class FoldFinished:
    """A model is trained and tested."""

    key: Key
    result: FoldResult


@dataclass(frozen=True, slots=True)
class FoldFailed:
    """A model could not be trained: the reason fails its whole trial."""

    key: Key
    reason: str


@dataclass(frozen=True, slots=True)
class FoldStopped:
    """A model left because it was told to."""

    key: Key
    epoch: int


Event = EpochEnded | FoldFinished | FoldFailed | FoldStopped


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What a finished fold leaves. Arrays are numpy's: probabilities [rows, classes], as the split has its rows."""

    best_epoch: int  # 1-based; the weights that were kept
    epochs: int  # trained in all
    seed: int
    sizes: Mapping[str, int]  # train, validation, test: clips
    validation: Mapping[str, float]  # accuracy, macro_f1, uar, cross_entropy; at the best epoch
    test: Mapping[str, float]
    test_f1: tuple[float | None, ...]  # by class; None: neither truth nor prediction
    test_confusion: tuple[tuple[int, ...], ...]  # [truth][prediction], counts
    curves: Mapping[str, tuple[float, ...]]  # metric name → one value an epoch
    parameters: int  # trainable numbers of the model
    seconds: float
    finished: float  # Unix time
    validation_probabilities: Any = None
    test_probabilities: Any = None
    weights: Mapping[str, Any] | None = None  # name → numpy array: restored best weights, with the standardisation


# --- what is kept -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoldScore:
    """What the ledger keeps of a finished fold: a FoldResult without its arrays, and the file that holds them."""

    repeat: int  # with several seeds a fold the round: repeat × seeds + number of the seed
    fold: int
    best_epoch: int
    epochs: int
    seed: int
    sizes: Mapping[str, int]
    validation: Mapping[str, float]
    test: Mapping[str, float]
    test_f1: tuple[float | None, ...]
    test_confusion: tuple[tuple[int, ...], ...]
    curves: Mapping[str, tuple[float, ...]]
    parameters: int
    seconds: float
    finished: float  # Unix time
    file: str  # below the sweep's folder
    sha256: str  # of the file
    seeds: int = 1  # a fold

    @property
    def place(self) -> tuple[int, int, int]:
        """Repeat, number of the seed, fold."""
        return *divmod(self.repeat, self.seeds), self.fold

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `from_dict` reads it back."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # plain already: asdict would copy it

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> FoldScore:
        """The score that `to_dict` wrote."""
        tuples = {
            "test_f1": tuple(plain["test_f1"]),
            "test_confusion": tuple(tuple(row) for row in plain["test_confusion"]),
            "curves": {name: tuple(values) for name, values in plain["curves"].items()},
        }
        return cls(**{**plain, **tuples})


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration of a sweep as the ledger has it."""

    number: int
    cell: int  # number of the sweep's cell that it belongs to
    state: str  # waiting, running, complete, pruned, failed
    proposal: Mapping[str, Value]  # the searched values
    scores: tuple[FoldScore, ...] = ()  # finished folds, in order
    curve: tuple[float, ...] = ()  # mean of the objective over folds, by epoch
    objective: float | None = None
    reason: str | None = None  # why it failed or was pruned
    started: float | None = None  # Unix time
    finished: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it counts towards the budget."""
        return self.state in {"complete", "pruned", "failed"}


def best_of(trials: Sequence[Trial], sweep: Sweep) -> Trial | None:
    """The complete trial with the best objective, the earliest of equals."""
    sign = -1 if sweep.objective.direction == "maximize" else 1
    done = [trial for trial in trials if trial.state == "complete" and trial.objective is not None]
    return min(done, key=lambda t: (sign * (t.objective or 0.0), t.number), default=None)


# --- hashes -----------------------------------------------------------------------------------------------


def digest(facts: Any) -> str:
    """SHA-256 of canonical JSON: the same facts give the same 64 hex digits on every machine."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def seed_from(*facts: Value) -> int:
    """A seed of 63 bits from plain facts: seed_from(protocol.seed, repeat, fold)."""
    return int(digest(list(facts))[:16], 16) >> 1
