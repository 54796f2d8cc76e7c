"""Curves are the records' own: every fold, training beside validation, the divergence where there is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reno_sweeps.reports import curves


def test_curves_are_those_of_the_folds_with_the_kept_epoch_marked(trials: list[Any]) -> None:
    figure = curves.learning_curves(trials[1].scores, "macro_f1")
    first = figure["data"][0]

    assert first["y"] == list(trials[1].scores[0].curves["val_macro_f1"])
    assert [epoch for epoch, size in zip(first["x"], first["marker"]["size"], strict=True) if size] == [2]
    assert sum(trace["showlegend"] for trace in figure["data"]) == 2  # a fold stands once in the legend


def test_a_head_without_divergence_has_no_panel_for_it(hand: Any) -> None:
    score = hand.score()
    plain = replace(score, curves={name: curve for name, curve in score.curves.items() if name != "divergence"})

    assert "xaxis3" in curves.learning_curves([score], "macro_f1")["layout"]
    assert "xaxis3" not in curves.learning_curves([plain], "macro_f1")["layout"]


def test_training_stands_beside_validation_whatever_is_optimised(trials: list[Any]) -> None:
    for objective, panel in (("macro_f1", "y2"), ("cross_entropy", "y1")):
        drawn = curves.learning_curves(trials[1].scores[:1], objective)["data"]
        lines = [trace["line"]["dash"] for trace in drawn if trace["yaxis"] == panel]

        assert lines == ["solid", "dot"]


def test_more_folds_than_colours_have_no_legend(hand: Any) -> None:
    def legend(folds: int) -> bool:
        scores = [hand.score(fold) for fold in range(folds)]
        return bool(curves.learning_curves(scores, "macro_f1")["layout"]["showlegend"])

    assert [legend(folds) for folds in (1, 5, 25)] == [False, True, False]


def test_rows_have_every_epoch_of_every_fold_and_say_which_was_kept(trials: list[Any]) -> None:
    rows = curves.rows(trials[1].scores)

    assert [(row["fold"], row["epoch"], row["kept"]) for row in rows[:4]] == [
        (0, 1, False), (0, 2, True), (0, 3, False), (1, 1, False),
    ]  # fmt: skip
    assert [row["divergence"] for row in rows[:3]] == [0.4, 0.2, 0.1]


def test_a_fold_without_curves_has_no_rows(hand: Any) -> None:
    assert curves.rows([replace(hand.score(), curves={})]) == []
