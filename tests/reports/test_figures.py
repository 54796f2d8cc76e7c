"""Figures hold what was stored, and plotly accepts every one of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from reno_sweeps.records import Objective
from reno_sweeps.reports import curves, figures, search_figures
from reno_sweeps.reports.panels import part
from reno_sweeps.reports.theme import template
from reno_sweeps.space import Categorical, Float, Int

CLASSES = ("anger", "joy", "pain")


@pytest.fixture
def every_figure(sweep: Any, trials: list[Any], summary: dict[str, Any]) -> dict[str, Any]:
    scores = trials[1].scores
    return {
        "history": search_figures.history(sweep, trials, "optimistic"),
        "slices": search_figures.slices(sweep, trials, "optimistic"),
        "curves": curves.learning_curves(scores, "macro_f1", "optimistic"),
        "counts": figures.confusion(scores, CLASSES, caveat="optimistic"),
        "shares": figures.confusion(scores, CLASSES, normalised=True, caveat="optimistic"),
        "classes": figures.class_f1(scores, CLASSES, "optimistic"),
        "compared": figures.compared(summary, "optimistic"),
    }


def test_plotly_accepts_every_figure_in_both_schemes(every_figure: dict[str, Any]) -> None:
    import plotly.graph_objects as go

    for figure in every_figure.values():
        for scheme in ("light", "dark"):
            go.Figure(
                {**figure, "layout": {**figure["layout"], "template": template(scheme)}}
            )  # raises for a wrong key


def test_every_figure_carries_its_caveat_and_is_json(every_figure: dict[str, Any]) -> None:
    for figure in every_figure.values():
        assert figure["layout"]["title"]["subtitle"]["text"] == "optimistic"
        json.dumps(figure, allow_nan=False)


def test_history_shows_each_complete_trial_and_the_best_so_far(sweep: Any, trials: list[Any]) -> None:
    points, best, star, pruned, failed = search_figures.history(sweep, trials)["data"]

    assert points["y"] == [0.50, 0.62, 0.55]
    assert best["y"] == [0.50, 0.62, 0.62]
    assert star["x"] == [1]
    assert (pruned["x"], failed["x"]) == ([2], [3])
    assert failed["text"] == ["loss is NaN at epoch 1 of fold 0"]


def test_best_so_far_falls_where_less_is_better(hand: Any, trials: list[Any]) -> None:
    sweep = hand.sweep(objective=Objective("cross_entropy", "minimize"))

    assert search_figures.history(sweep, trials)["data"][1]["y"] == [0.50, 0.50, 0.50]


def test_a_sweep_without_a_complete_trial_has_a_history_and_no_slices(sweep: Any, trials: list[Any]) -> None:
    lost = trials[2:4]

    assert search_figures.history(sweep, lost)["data"][0]["x"] == []
    assert search_figures.slices(sweep, lost) is None


def test_a_logarithmic_parameter_has_a_logarithmic_axis_over_its_whole_range(sweep: Any, trials: list[Any]) -> None:
    axis = search_figures.slices(sweep, trials)["layout"]["xaxis"]  # type: ignore[index]

    assert axis["type"] == "log"
    assert 10 ** axis["range"][0] < 1.05 < 10.0 < 10 ** axis["range"][1]
    assert axis["tickvals"] == [2.0, 5.0, 10.0]


def test_choices_are_categories_in_their_own_order(sweep: Any, trials: list[Any]) -> None:
    figure = search_figures.slices(sweep, trials)
    assert figure is not None
    heads = next(trace for trace in figure["data"] if trace["xaxis"] == "x2")

    assert figure["layout"]["xaxis2"]["categoryarray"] == ["1", "2", "4"]
    assert heads["x"] == ["4", "2", "4"]


def test_a_conditional_parameter_shows_the_trials_that_have_it(hand: Any) -> None:
    sweep = hand.sweep(search={"trunk.positions": Int(8, 32), "loss.lambda": Float(0.5, 0.5)})
    trials = [hand.trial(0, 0.5, proposal={"trunk.positions": 8}), hand.trial(1, 0.6, proposal={})]
    figure = search_figures.slices(sweep, trials)

    assert figure is not None
    assert figure["data"][0]["x"] == [8]
    assert "xaxis2" not in figure["layout"]


@pytest.mark.parametrize("several", [1, 2, 3, 7])
def test_panels_neither_overlap_nor_leave_the_figure(several: int) -> None:
    parts = [part(place, several, 0.2) for place in range(several)]
    bounds = [bound for domain in parts for bound in domain]

    assert bounds == sorted(bounds)
    assert bounds[0] == 0
    assert bounds[-1] == pytest.approx(1, abs=1e-5)


def test_rows_of_the_normalised_confusion_sum_to_one(trials: list[Any]) -> None:
    shares = figures.confusion(trials[1].scores, CLASSES, normalised=True)["data"][0]["z"]

    assert np.sum(shares, axis=1) == pytest.approx([1, 1, 1])


def test_a_class_that_was_never_tested_has_no_shares(hand: Any) -> None:
    shares = figures.confusion([hand.score(0, ((2, 0), (0, 0)))], ("a", "b"), normalised=True)["data"][0]["z"]

    assert shares == [[1.0, 0.0], [None, None]]


def test_labels_are_text_not_markup(hand: Any) -> None:
    label = '<a href="https://example.org">&amp;</a>'
    figure = figures.confusion([hand.score(0, ((2, 0), (0, 2)))], (label, "b"))

    assert figure["data"][0]["x"][0] == '&lt;a href="https://example.org"&gt;&amp;amp;&lt;/a&gt;'


def test_searched_text_is_not_markup(hand: Any) -> None:
    sweep = hand.sweep(search={"encoders": Categorical(("file:<b>+x", "a+b"))})
    trials = [hand.trial(0, 0.5, proposal={"encoders": "file:<b>+x"})]
    figure = search_figures.slices(sweep, trials)

    assert "<b>+" not in json.dumps(figure)


def test_everything_tested_stands_beside_each_other(summary: dict[str, Any]) -> None:
    figure = figures.compared(summary)
    assert figure is not None
    folds, means = figure["data"][:2]

    assert means["x"][0] == summary["best"]["test"]["macro_f1"]["mean"]
    assert len(means["y"]) == 4
    assert len(folds["x"]) == 8


def test_nothing_tested_is_no_figure(hand: Any, sweep: Any) -> None:
    assert figures.compared({**hand.summary(sweep, []), "baselines": {}}) is None
