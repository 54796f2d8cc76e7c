"""`protocol.seeds`: several models a fold that differ by their seed alone; a fold's score is their mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from reno_sweeps.app.opening import identity_of
from reno_sweeps.folds import make_splits, without_seeds
from reno_sweeps.records import Cell, Clip, Corpus, FoldScore, Protocol, Sweep
from reno_sweeps.reports import curves, intervals, summary, tables
from reno_sweeps.reports.summary import metric_over_folds
from reno_sweeps.search.plan import Plan

CORPUS = Corpus("toy", Path("toy"), tuple(Clip(f"{label}{n}", label, None, None) for label in "abc" for n in range(10)))


def plan(seeds: int, repeats: int = 2) -> Plan:
    protocol = Protocol("stratified", 3, repeats=repeats, seeds=seeds)
    splits = make_splits(CORPUS, protocol).splits
    return Plan(Sweep("s", "toy", (Cell("fcn", ("mfcc",)),), {}, protocol=protocol), splits, Path("s"), 1)


def test_the_seeds_of_a_fold_train_and_test_on_the_same_clips() -> None:
    one, three = plan(1), plan(3)

    assert three.splits == tuple(s for r in range(2) for _ in range(3) for s in one.splits[3 * r : 3 * r + 3])
    assert without_seeds(three.splits, three.sweep.protocol) == one.splits


def test_every_model_has_a_seed_of_its_own_and_the_first_is_that_of_a_single_one() -> None:
    one, three = plan(1), plan(3)
    seeds = {place: three.seed(*place) for place in map(three.place, range(len(three.splits)))}

    assert len(set(seeds.values())) == 2 * 3 * 3
    assert [seeds[3 * r, fold] for r in range(2) for fold in range(3)] == [
        one.seed(r, fold) for r in range(2) for fold in range(3)
    ]


def score(turn: int, fold: int, value: float, seeds: int = 2) -> FoldScore:
    test = {"accuracy": value, "macro_f1": value, "uar": value, "cross_entropy": 1.0}
    return FoldScore(
        repeat=turn, fold=fold, best_epoch=1, epochs=2, seed=turn, sizes={"train": 6, "validation": 2, "test": 2},
        validation=test, test=test, test_f1=(value,), test_confusion=((1,),), curves={"val_macro_f1": (value,)},
        parameters=9, seconds=1.0, finished=10.0, file=f"folds/{turn}-{fold}", sha256="", seeds=seeds,
    )  # fmt: skip


SCORES = [score(turn, fold, 0.1 * turn + 0.01 * fold) for turn in range(4) for fold in range(2)]


def test_a_folds_score_is_the_mean_of_its_seeds_and_counts_once() -> None:
    assert metric_over_folds(SCORES, "test", "macro_f1") == pytest.approx([0.05, 0.06, 0.25, 0.26])
    assert summary.tested(SCORES)["macro_f1"]["folds"] == pytest.approx([0.05, 0.06, 0.25, 0.26])
    row = next(row for row in intervals.metric_rows(SCORES) if row["metric"] == "macro_f1")
    assert row["folds"] == 4


def test_the_table_of_folds_tells_seeds_apart_and_its_statistics_do_not_count_them() -> None:
    rows = intervals.with_statistics(tables.brief_folds(SCORES), 2)
    shown = [(row["repeat"], row["seed"], row["fold"]) for row in rows[:8]]

    assert shown == [(r, s, f) for r in range(2) for s in range(2) for f in range(2)]
    mean, deviation = (row["test_macro_f1"] for row in rows[8:10])
    assert mean == pytest.approx(0.155)
    assert deviation == pytest.approx(0.1156, abs=1e-3)  # of 0.05, 0.06, 0.25, 0.26


def test_curves_are_named_by_repeat_seed_and_fold() -> None:
    assert curves.fold_name(SCORES[-1], SCORES) == "repeat 1, seed 1, fold 1"
    assert curves.fold_name(SCORES[1], SCORES[:4]) == "seed 0, fold 1"


def test_one_seed_is_the_question_as_it_always_was() -> None:
    one, two = plan(1).sweep, plan(2).sweep
    facts = {"mfcc": {"id": "mfcc"}}

    assert identity_of(one, "c", facts) != identity_of(two, "c", facts)
    plain = one.to_dict()
    del plain["protocol"]["seeds"]
    assert identity_of(Sweep.from_dict(plain), "c", facts) == identity_of(one, "c", facts)
