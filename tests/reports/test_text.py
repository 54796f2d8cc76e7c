"""What people read on stdout."""

from __future__ import annotations

from typing import Any

import pytest

from reno_sweeps.records import Cell, Protocol
from reno_sweeps.reports.text import spell


def test_a_sweep_result_names_its_best_its_baselines_and_what_to_do_next(summary: dict[str, Any]) -> None:
    text = spell(summary)

    assert text.splitlines()[0] == "tiny-1a2b"
    for said in (
        "5 asked: 3 complete, 1 pruned, 1 failed",
        "trial 1, objective 0.62",
        "renyi.beta       2.5",
        "reno, refitted on training and validation",
        "linear (baseline)",
        "majority (baseline)",
        "cross-validated, selected",
        "reno-sweep ui",
        "reno-sweep register tiny-1a2b",
        "1 min 15 s (embedding 3.0 s, training 1 min 0 s)",
    ):
        assert said in text


def test_the_table_shows_percent_of_the_stored_means(summary: dict[str, Any]) -> None:
    row = next(line for line in spell(summary).splitlines() if line.startswith("reno, best"))
    accuracy = summary["best"]["test"]["accuracy"]

    assert f"{100 * accuracy['mean']:.1f} ± {100 * accuracy['std']:.1f}" in row


def test_synthetic_and_optimistic_are_said(hand: Any) -> None:
    sweep = hand.sweep(protocol=Protocol(n_folds=2, selection="paper"))
    text = spell(hand.summary(sweep, [hand.trial(0, 0.5)], corpus="demo"))

    assert "demo (synthetic clips)" in text
    assert "optimistic: the test fold" in text
    assert "reno, best of 1 (trial 0) †" in text
    assert "linear (baseline) †" in text
    assert "majority (baseline) †" not in text


def test_nothing_complete_yet_is_said(hand: Any, sweep: Any) -> None:
    text = spell({**hand.summary(sweep, []), "state": "stopped", "running": []})

    assert text.startswith("tiny-1a2b (stopped)")
    assert "no trial is complete yet" in text
    assert "reno-sweep resume tiny-1a2b" in text
    assert "register" not in text


def test_precomputed_embeddings_are_registered_as_such(hand: Any) -> None:
    sweep = hand.sweep(cells=(Cell("reno", ("file:/a.npz", "file:/b.npz")),))

    assert "register tiny-1a2b --embeddings-input" in spell(hand.summary(sweep, [hand.trial(0, 0.5)]))


def test_a_running_sweep_shows_what_runs(summary: dict[str, Any]) -> None:
    running = [{"trial": 9, "folds_finished": 1, "since": 0.0, "params": {"renyi.beta": 2.0}}]

    assert "trial 9" in spell({**summary, "state": "running", "running": running})


def test_a_server_is_shown_without_its_password(summary: dict[str, Any]) -> None:
    text = spell({**summary, "tracking_uri": "https://anna:secret@host:5000/"})

    assert "https://host:5000/#/experiments/1/runs/r1" in text
    assert "secret" not in text


def test_a_wide_table_is_neither_cut_nor_wrapped() -> None:
    rows = [{"name": "x" * 300, "why": "y" * 300}, {"name": "short", "why": None}]
    lines = spell(rows).splitlines()

    assert len(lines) == 4
    assert lines[2] == "x" * 300 + "  " + "y" * 300


def test_columns_stand_below_each_other_whatever_the_script() -> None:
    lines = spell([{"label": "怒り", "clips": 7}, {"label": "anger", "clips": 120}]).splitlines()

    assert lines[2] == "怒り       7"  # each of the two signs takes two columns
    assert lines[3] == "anger    120"


def test_rows_that_lack_a_column_leave_it_empty() -> None:
    lines = spell([{"a": "x"}, {"b": "y"}]).splitlines()

    assert lines == ["a  b", "-  -", "x", "   y"]


def test_a_terminal_is_never_given_orders() -> None:
    text = spell({"path": "laugh\x1b[2Jnew\nline", "other": ["\x07"]})

    assert text.splitlines() == ["path   laugh\\x1b[2Jnew\\nline", "other  \\x07"]


def test_a_file_name_that_is_no_text_can_be_printed() -> None:
    spell({"path": "laugh\udcff.wav"}).encode()


def test_a_space_is_a_table_and_its_cost() -> None:
    field = {"name": "training.lr", "here": "0.001", "searched": True}
    text = spell({"space": "tiny", "fields": [field], "cost": {"trainings": 10, "remarks": ["wilcoxon saves little"]}})

    assert text.splitlines()[2:] == [
        "name          here  searched",
        "-----------  -----  --------",
        "training.lr  0.001  searched",
        "",
        "trainings  10",
        "wilcoxon saves little",
    ]


def test_a_dry_run_ends_with_its_cost() -> None:
    found = {
        "sweep": "tiny-1",
        "corpus": "demo",
        "classes": ["joy", "pain"],
        "messages": ["given folds"],
        "cost": {"trials": 2},
    }

    assert spell(found).splitlines() == [
        "sweep    tiny-1",
        "corpus   demo (synthetic clips)",
        "classes  joy, pain",
        "given folds",
        "",
        "trials  2",
    ]


@pytest.mark.parametrize(("state", "end"), [("ok", "no faults"), ("fault", "1 fault")])
def test_the_doctor_counts_faults(state: str, end: str) -> None:
    assert spell({"checks": [{"check": "audio", "state": state, "found": "x"}]}).splitlines()[-1] == end


@pytest.mark.parametrize("value", [None, [], {}, "text", 3, 0.1, True, [1, 2], [[1], [2]], {"a": {"b": [{"c": 1}]}}])
def test_any_json_value_can_be_spelled(value: Any) -> None:
    assert isinstance(spell(value), str)


def test_what_lies_deeper_is_indented() -> None:
    assert spell({"a": {"b": {"c": 1}}, "d": 2}).splitlines() == ["a", "  b", "    c  1", "d  2"]


@pytest.mark.parametrize(("takes", "said"), [("audio", True), ("embeddings", False)])
def test_a_registered_model_is_shown_with_its_scores_and_how_to_use_it(takes: str, said: bool) -> None:
    test = {"macro_f1": {"mean": 0.5, "std": 0.02, "folds": [0.48, 0.52]}}
    found = {"model": "laughs", "model_uri": "models:/laughs/1", "input": takes, "selection": "paper", "test": test}
    text = spell(found)

    assert "test macro-F1  50.0 ± 2.0 % (optimistic)" in text
    assert ("reno-sweep predict models:/laughs/1 AUDIO…" in text) == said


def test_a_folder_that_is_called_demo_is_not_taken_for_the_synthetic_corpus(summary: dict[str, Any]) -> None:
    assert "synthetic" in spell({**summary, "corpus": "demo"})
    assert "synthetic" not in spell({**summary, "corpus": "demo", "synthetic": False})
