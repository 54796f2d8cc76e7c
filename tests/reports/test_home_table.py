"""A home's measurements in one table; the optimistic protocol is set against the honest one where folds allow."""

from __future__ import annotations

from typing import Any

import pytest

from reno_sweeps.records import Cell
from reno_sweeps.reports import home_table
from reno_sweeps.reports.home_table import Measured
from reno_sweeps.reports.paper_table import Ours, lay_out
from reno_sweeps.reports.published import Place

PAIR = Place("reno", ("gpvad", "silero"), "emogator6")
HONEST = (0.50, 0.52, 0.51, 0.53, 0.50)


def measured(*folds: float, place: Place = PAIR, digest: str = "d1", **changes: Any) -> Measured:
    return Measured(place, Ours({"macro_f1": folds}, 5, **{"sweep": "s", **changes}), 64, digest)


def test_a_sweeps_best_is_what_it_measured(hand: Any, sweep: Any, trials: list[Any]) -> None:
    (one,) = home_table.of_sweep(hand.summary(sweep, trials), "d1")

    assert one.place == Place("reno", ("mfcc", "log-mel"), "clips")
    assert (one.trials, one.found.n_folds, one.found.sweep, one.found.selection) == (4, 2, "tiny-1a2b", "validation")
    assert one.found.folds["macro_f1"] == tuple(score.test["macro_f1"] for score in trials[1].scores)


def test_every_cell_with_a_best_is_a_place_and_enters_the_papers_table(hand: Any) -> None:
    cells = (Cell("fcn", ("audio-mamba-tiny",)), Cell("cnn", ("audio-mamba-tiny",)), Cell("fcn", ("wavlm-base",)))
    sweep = hand.sweep(cells=cells)
    summary = hand.summary(sweep, [hand.trial(0, 0.6), hand.trial(1, 0.5, cell=1)], corpus="jnv")
    found = {one.place: one.found for one in home_table.of_sweep(summary)}
    verdicts = {entry.place: entry.verdict for entry in lay_out(1, found)}

    assert [place.head for place in found] == ["fcn", "cnn"]
    assert len(verdicts) == 42
    assert all(verdicts[place] != "missing" for place in found)
    assert list(verdicts.values()).count("missing") == 40


def test_rows_are_sorted_by_what_was_asked_and_keep_every_digit() -> None:
    other = Place("concat", ("gpvad", "silero"), "demo")
    rows = home_table.rows([measured(*HONEST), measured(0.1, 0.2, place=other)])

    assert [row["corpus"] for row in rows] == ["demo", "emogator6"]
    assert rows[1]["mean"] == pytest.approx(0.512)
    assert rows[1]["low"] < 0.512 < rows[1]["high"]  # type: ignore[operator]
    assert (rows[1]["trials"], rows[1]["folds"], rows[1]["sweep"]) == (64, 5, "s")


def test_an_interval_of_shares_ends_where_shares_do() -> None:
    (row,) = home_table.rows([measured(0.02, 0.4, 0.1, 0.03, 0.02)])
    (shown,) = home_table.shown([row])

    assert row["low"] < 0  # type: ignore[operator]
    assert shown["95 %"].startswith("0.0–")


def test_the_optimistic_protocol_is_marked() -> None:
    shown = home_table.shown(home_table.rows([measured(*HONEST), measured(*HONEST, selection="paper")]))

    assert [row["macro-F1 %"] for row in shown] == ["51.2 ± 1.3 †", "51.2 ± 1.3"]


def test_nothing_measured_is_a_row_without_numbers() -> None:
    row = home_table.shown(home_table.rows([measured()]))[0]

    assert (row["macro-F1 %"], row["95 %"]) == ("–", "")


def test_both_protocols_at_one_place_show_what_optimism_is_worth() -> None:
    optimistic = measured(0.60, 0.63, 0.61, 0.63, 0.61, selection="paper")
    row = home_table.protocols([measured(*HONEST), optimistic])[0]

    assert (row["validation %"], row["paper % †"], row["difference, points"]) == ("51.2", "61.6", "+10.4")
    assert row["verdict"] == "paper is better"
    assert row["95 % interval"].startswith("+")


def test_other_folds_are_told_not_paired() -> None:
    optimistic = measured(0.60, 0.63, 0.61, 0.63, 0.61, selection="paper", digest="d2")
    row = home_table.protocols([measured(*HONEST), optimistic])[0]

    assert (row["difference, points"], row["95 % interval"]) == ("+10.4", "–")
    assert row["verdict"] == "other folds: not paired"


def test_one_protocol_alone_is_not_set_beside_anything() -> None:
    elsewhere = measured(*HONEST, place=Place("reno", ("gpvad", "silero"), "demo"), selection="paper")

    assert home_table.protocols([measured(*HONEST), elsewhere]) == []
