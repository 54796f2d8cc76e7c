"""Calibration: honest probabilities have no error, boasting ones have theirs, and bins lose no clip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.reports.calibration import Reliability, reliability, reliability_figure, rows, said


def made(sure: list[float], right: list[bool]) -> Reliability:
    """Two classes; the answer is always class 0 with the given probability (at least 0.5)."""
    return reliability(np.array([[p, 1 - p] for p in sure]), np.array([0 if r else 1 for r in right]))


def test_the_error_is_the_mean_gap_of_the_bins() -> None:
    found = made([0.55, 0.55, 0.95, 0.95], [True, False, True, True])

    # bin (0.5, 0.6]: confidence 0.55, accuracy 0.5; bin (0.9, 1]: confidence 0.95, accuracy 1; half of the clips each
    assert found.error == pytest.approx(0.5 * 0.05 + 0.5 * 0.05)
    assert (found.confidence, found.accuracy) == (pytest.approx(0.75), 0.75)


def test_certain_and_right_has_no_error_and_certain_and_wrong_has_all() -> None:
    assert made([1.0, 1.0], [True, True]).error == 0
    assert made([1.0, 1.0], [False, False]).error == 1


def test_honest_probabilities_are_found_honest() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(4, 0.6), size=20_000)
    labels = np.array([rng.choice(4, p=p) for p in probabilities])

    assert reliability(probabilities, labels).error < 0.015
    assert "neither" in said(reliability(probabilities, labels)) or "by 0." in said(reliability(probabilities, labels))


@given(st.lists(st.floats(0.5, 1), min_size=1, max_size=40), st.integers(1, 20), st.data())
def test_every_answer_is_in_exactly_one_bin(sure: list[float], bins: int, data: st.DataObject) -> None:
    right = data.draw(st.lists(st.booleans(), min_size=len(sure), max_size=len(sure)))
    labels = np.array([0 if r else 1 for r in right])
    found = reliability(np.array([[p, 1 - p] for p in sure]), labels, bins)

    assert sum(b.clips for b in found.bins) == len(sure)
    assert 0 <= found.error <= 1
    for b in found.bins:
        assert b.confidence is None or b.low - 1e-9 <= b.confidence <= b.high + 1e-9


def test_a_bound_belongs_to_the_bin_below_it() -> None:
    found = made([0.6], [True])

    assert [b.clips for b in found.bins].index(1) == 5  # (0.5, 0.6]


def test_half_precision_that_sums_beyond_one_stays_in_the_last_bin() -> None:
    found = reliability(np.array([[1.0005, 0.0]]), np.array([0]))

    assert found.bins[-1].clips == 1
    assert found.confidence == 1.0


def test_the_sentence_names_the_direction_and_what_it_was_measured_on() -> None:
    boasting, shy = made([0.9] * 4, [True, True, False, False]), made([0.6] * 4, [True] * 4)

    assert "over-confident by 40.0 points" in said(boasting)
    assert "under-confident by 40.0 points" in said(shy)
    assert "(10 bins, 4 answers)" in said(shy)


def test_the_figure_shows_the_bins_that_have_clips_with_their_counts() -> None:
    import plotly.graph_objects as go

    figure = reliability_figure(made([0.55, 0.95, 0.95], [True, True, False]), "optimistic")
    accuracy, _, _, clips = figure["data"]

    assert accuracy["x"] == pytest.approx([0.55, 0.95])
    assert (accuracy["y"], clips["text"]) == ([1.0, 0.5], ["1", "2"])
    go.Figure(figure)  # raises for a wrong key


def test_rows_name_every_bin_also_the_empty_ones() -> None:
    found = rows(made([0.95], [True]))

    assert len(found) == 10
    assert found[9] == {"from": 0.9, "to": 1.0, "clips": 1, "confidence": 0.95, "accuracy": 1.0}
    assert found[0]["accuracy"] is None
