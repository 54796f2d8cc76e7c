"""Intervals keep their promises on simulated folds, and stand below the folds in the folds' own units."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.reports import intervals, tables, wording

scores = st.lists(st.floats(0, 1), min_size=2, max_size=10)


def test_the_t_interval_is_the_textbooks() -> None:
    low, high = intervals.plain([1.0, 2.0, 3.0]) or (0, 0)

    assert (low, high) == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), abs=1e-4)  # t(0.975, 2) = 4.30265


@given(scores.filter(lambda values: np.ptp(values) > 1e-6))
def test_intervals_are_around_the_mean_and_the_corrected_one_is_never_narrower(values: list[float]) -> None:
    plain, corrected = intervals.plain(values), intervals.corrected(values, len(values))
    assert plain is not None
    assert corrected is not None

    assert sum(plain) / 2 == pytest.approx(fmean(values))
    assert sum(corrected) / 2 == pytest.approx(fmean(values))
    assert corrected[0] <= plain[0] <= plain[1] <= corrected[1]


def test_five_folds_widen_the_interval_by_one_and_a_half() -> None:
    values = [0.5, 0.6, 0.55, 0.62, 0.58]
    (low, high), (wide_low, wide_high) = intervals.plain(values) or (0, 0), intervals.corrected(values, 5) or (0, 0)

    assert (wide_high - wide_low) / (high - low) == pytest.approx((1 + 5 / 4) ** 0.5)  # (1/5 + 1/4) / (1/5)


def test_independent_values_are_covered_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    spans = [intervals.plain(rng.normal(size=5).tolist()) or (0, 0) for _ in range(1000)]

    assert np.mean([low <= 0 <= high for low, high in spans]) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5, 0.5], [0.5, float("nan"), 0.6]])
def test_one_fold_or_no_spread_supports_no_interval(values: list[float]) -> None:
    assert intervals.plain(values) is None
    assert intervals.corrected(values, 5) is None
    assert intervals.corrected([0.5, 0.6], 1) is None


def test_below_the_folds_stand_mean_deviation_and_both_intervals(trials: list[Any]) -> None:
    rows = intervals.with_statistics(tables.brief_folds(trials[1].scores), 2)
    uar = [row["test_uar"] for row in rows[:2]]

    assert tuple(row["fold"] for row in rows[2:]) == wording.STATISTICS
    assert rows[2]["test_uar"] == pytest.approx(fmean(uar))
    assert rows[3]["test_uar"] == pytest.approx(stdev(uar))
    assert rows[2]["seconds"] is rows[4]["seconds"] is rows[2]["best epoch"] is None


def test_an_interval_is_shown_in_its_columns_units_and_keeps_the_column_numeric(trials: list[Any]) -> None:
    rows = intervals.with_statistics(tables.brief_folds(trials[1].scores), 2)
    low, high = intervals.plain([s.test["uar"] for s in trials[1].scores]) or (0, 0)
    shown = tables.shown(rows)

    assert high > 1  # of two folds that disagree; no share is more than all
    assert shown[4]["test UAR %"] == f"{100 * low:.1f}–100.0"
    assert tables.is_numeric(shown, "test UAR %")
    assert tables.is_numeric(shown, "fold")


def test_one_fold_has_no_statistics(trials: list[Any]) -> None:
    rows = tables.brief_folds(trials[1].scores[:1])

    assert intervals.with_statistics(rows, 2) == rows


def test_metric_rows_keep_every_digit_and_name_both_intervals(trials: list[Any], hand: Any) -> None:
    row = intervals.metric_rows(trials[1].scores)[0]
    values = [s.test["accuracy"] for s in trials[1].scores]

    assert (row["metric"], row["folds"], row["mean"]) == ("accuracy", 2, fmean(values))
    assert (row["low_t"], row["high_t"]) == intervals.plain(values)
    assert (row["low_corrected"], row["high_corrected"]) == intervals.corrected(values, 2)
    assert intervals.metric_rows([hand.score()])[0]["low_t"] is None


def test_repeats_are_folds_of_one_cross_validation(hand: Any) -> None:
    assert intervals.folds_of([hand.score(fold, repeat=repeat) for repeat in range(3) for fold in range(2)]) == 2
