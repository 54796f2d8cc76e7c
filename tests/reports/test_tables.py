"""Rows keep every digit; tables round; formats escape."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.records import Cell
from reno_sweeps.reports import tables


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_fold_rows_hold_all_metrics_and_whole_seeds(trials: list[Any]) -> None:
    row = tables.fold_rows(trials[1].scores)[0]

    assert {"fold", "clips_train", "best_epoch", "val_macro_f1", "test_uar", "test_cross_entropy"} <= set(row)
    assert row["seed"] == str(2**62)  # as a float it would lose digits


def test_csv_gives_back_every_digit(trials: list[Any]) -> None:
    rows = read(tables.csv_text(tables.fold_rows(trials[1].scores)))

    assert [float(row["test_macro_f1"]) for row in rows] == [s.test["macro_f1"] for s in trials[1].scores]


def test_a_trial_row_has_every_searched_value_and_the_mean_of_its_tests(sweep: Any, trials: list[Any]) -> None:
    row = tables.trial_rows(trials, sweep)[1]

    assert row["renyi.beta"] == 2.5
    assert row["attention.heads"] == 2
    assert row["test_accuracy"] == pytest.approx(np.mean([s.test["accuracy"] for s in trials[1].scores]))
    assert row["seconds"] == 2.5


def test_what_did_not_complete_has_a_reason_and_no_means(sweep: Any, trials: list[Any]) -> None:
    rows = tables.trial_rows(trials, sweep)

    assert rows[3]["reason"] == "loss is NaN at epoch 1 of fold 0"
    assert [rows[i]["test_macro_f1"] for i in (2, 3)] == [None, None]


def test_a_searched_head_and_pair_are_the_trials_own(hand: Any) -> None:
    from reno_sweeps.space import Categorical

    sweep = hand.sweep(search={"head": Categorical(("reno", "concat")), "encoders": Categorical(("a+b", "a+c"))})
    row = tables.trial_rows([hand.trial(0, 0.5, proposal={"head": "concat", "encoders": "a+c"})], sweep)[0]

    assert (row["head"], row["encoders"]) == ("concat", "a+c")


@pytest.mark.parametrize(("direction", "first"), [("maximize", 1), ("minimize", 0)])
def test_the_best_comes_first_and_what_failed_last(hand: Any, trials: list[Any], direction: str, first: int) -> None:
    from reno_sweeps.records import Objective

    ranked = tables.ranked(trials, hand.sweep(objective=Objective(direction=direction)))

    assert ranked[0].number == first
    assert [trial.number for trial in ranked[-2:]] == [2, 3]


def test_confusion_over_folds_counts_every_test_clip_once(trials: list[Any]) -> None:
    scores = trials[1].scores
    counts = tables.confusion_counts(scores)

    assert np.sum(counts) == sum(score.sizes["test"] for score in scores)
    assert counts == [[7, 2, 1], [1, 8, 1], [2, 0, 8]]


def test_repeats_are_told_apart(hand: Any) -> None:
    rows = tables.brief_folds([hand.score(0), hand.score(0, repeat=1)])

    assert [row["repeat"] for row in rows] == [0, 1]


def test_each_cell_has_a_row_also_without_a_complete_trial(hand: Any) -> None:
    sweep = hand.sweep(cells=(Cell("reno", ("a", "b")), Cell("linear", ("a", "b"))))
    rows = tables.cell_rows(hand.summary(sweep, [hand.trial(0, 0.5)]))

    assert [row["best trial"] for row in rows] == [0, None]
    assert rows[1]["accuracy %"] == "–"


def test_shares_are_shown_in_percent_and_losses_are_not() -> None:
    shown = tables.shown([{"test_macro_f1": 0.61234, "val_cross_entropy": 0.91234, "training.weight_decay": 1e-5}])

    assert shown == [{"test macro-F1 %": "61.2", "val cross-entropy": "0.9123", "training.weight_decay": "1e-05"}]


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@given(st.lists(st.fixed_dictionaries({"a": words, "b": words}), min_size=1, max_size=5))
def test_csv_gives_back_any_text(rows: list[dict[str, str]]) -> None:
    assert read(tables.csv_text(rows)) == rows


@given(st.lists(st.fixed_dictionaries({"a": words, "b": words}), min_size=1, max_size=5))
def test_markdown_has_a_line_a_row_and_no_html_of_others(rows: list[dict[str, str]]) -> None:
    import re

    lines = tables.markdown(rows).splitlines()

    assert len(lines) == len(rows) + 2
    assert all(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3 for line in lines)
    assert not any(re.search(r"(?<!\\)(?:\\\\)*[<`]", line) for line in lines)


def test_no_row_is_no_table() -> None:
    assert tables.csv_text([]) == tables.markdown([]) == ""


def test_what_each_outer_fold_selected_is_a_row_with_its_test_figures() -> None:
    chosen = {"head": "reno", "encoders": ["mfcc", "log-mel"], "objective": 0.7, "epochs": 3}
    nested = {
        "test": {"macro_f1": {"mean": 0.65, "std": 0.05, "folds": [0.6, 0.7]}},
        "optimism_gap": 0.01,
        "selected": [{**chosen, "selected": {"training.lr": lr}} for lr in (1e-3, 1e-4)],
    }
    rows = tables.nested_rows({"folds": 2, "nested": nested})

    assert [(row["fold"], row["test_macro_f1"], row["training.lr"]) for row in rows] == [(0, 0.6, 1e-3), (1, 0.7, 1e-4)]
    assert tables.nested_rows({"folds": 2}) == []
