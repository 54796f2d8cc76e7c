"""The nouns survive storage, and their hashes depend on facts alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reno_sweeps.records import (
    Budget,
    Cell,
    Clip,
    Corpus,
    FoldScore,
    Objective,
    Protocol,
    Sweep,
    Trial,
    UserError,
    digest,
    seed_from,
)
from reno_sweeps.space import Categorical, Float, Int

SWEEP = Sweep(
    name="x",
    corpus="demo",
    cells=(Cell("reno", ("a", "b")), Cell("fcn", ("a",))),
    search={
        "trunk.kind": Categorical(("conv", None, True)),
        "training.lr": Float(1e-4, 1e-2, log=True, when=(("head", "concat"), ("head", "reno"))),
        "attention.heads": Int(1, 8, 1),
    },
    fixed={"training.epochs": 3},
    protocol=Protocol("speaker", 3, "paper", 1, 2),
    objective=Objective("cross_entropy", "minimize"),
    budget=Budget(3, 60.0, "random", "median", 4, 9),
    root="/r",
    weights={"a": "/w"},
)


def test_a_sweep_survives_storage_as_json() -> None:
    stored = Sweep.from_dict(json.loads(json.dumps(SWEEP.to_dict())))

    assert stored == SWEEP
    assert list(stored.search) == list(SWEEP.search)


def test_a_fold_score_survives_storage_as_json() -> None:
    score = FoldScore(
        repeat=0,
        fold=1,
        best_epoch=2,
        epochs=3,
        seed=4,
        sizes={"train": 5},
        validation={"uar": 0.5},
        test={"uar": 0.4},
        test_f1=(0.1, None),
        test_confusion=((1, 0), (0, 1)),
        curves={"loss": (1.0, 0.5)},
        parameters=6,
        seconds=7.0,
        finished=8.0,
        file="f",
        sha256="0",
    )

    assert FoldScore.from_dict(json.loads(json.dumps(score.to_dict()))) == score


def test_classes_are_sorted_and_named_once() -> None:
    clips = tuple(Clip(f"{i}.wav", label) for i, label in enumerate(["sad", "angry", "sad"]))

    assert Corpus("x", Path(), clips).classes == ("angry", "sad")


@pytest.mark.parametrize(
    ("state", "ended"), [("waiting", False), ("running", False), ("complete", True), ("failed", True)]
)
def test_only_ended_trials_count_towards_the_budget(state: str, ended: bool) -> None:
    assert Trial(0, 0, state, {}).ended is ended


def test_a_digest_depends_on_facts_not_on_their_order() -> None:
    assert digest({"a": 1, "b": [2, "é"]}) == digest({"b": [2, "é"], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})


def test_seeds_differ_by_every_fact_and_fit_63_bits() -> None:
    seeds = {seed_from(seed, repeat, fold) for seed in range(4) for repeat in range(4) for fold in range(4)}

    assert len(seeds) == 64
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_refusal_spells_out_what_a_terminal_would_obey_and_has_an_end() -> None:
    name = "\x1b[2Ja\u202eb\r" + "x" * 5_000

    told = str(UserError(f"{name}: no corpus\ngive another")).split("\n")

    assert told[0].startswith("\\x1b[2Ja\\u202eb\\rxxx")
    assert len(told[0]) < 1_600
    assert told[1] == "give another"
    assert (
        str(UserError("clips of Müller: no 'ß' at 44.1 kHz – 3 × “a”"))
        == "clips of Müller: no 'ß' at 44.1 kHz – 3 × “a”"
    )
