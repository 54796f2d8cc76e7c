"""How parameters act together: every trial drawn once, nothing claimed where nothing was tried."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from reno_sweeps.records import Objective, Sweep, Trial
from reno_sweeps.reports import search_relations
from reno_sweeps.reports.theme import BLUE, ORANGE, template
from reno_sweeps.space import Categorical, Float, Int

SEARCH = {
    "renyi.beta": Float(1.0, 100.0, log=True),
    "loss.lambda": Float(0.0, 1.0),
    "trunk.kind": Categorical(("a", "b")),
}


@pytest.fixture
def planned(hand: Any) -> Sweep:
    found: Sweep = hand.sweep(search=SEARCH)
    return found


def tried(hand: Any, several: int, objective: Any = None) -> list[Trial]:
    rng = np.random.default_rng(0)
    trials = []
    for number in range(several):
        beta, weight = 10 ** rng.uniform(0, 2), rng.uniform()
        proposal = {"renyi.beta": float(beta), "loss.lambda": float(weight), "trunk.kind": "ab"[number % 2]}
        value = objective(proposal) if objective else float(rng.uniform())
        trials.append(hand.trial(number, value, proposal=proposal))
    return trials


def test_plotly_accepts_every_figure_in_both_schemes(hand: Any, planned: Sweep) -> None:
    import plotly.graph_objects as go

    trials = tried(hand, 12)
    drawn = [
        search_relations.importance({"renyi.beta": 0.7, "loss.lambda": 0.3}, "optimistic"),
        search_relations.parallel(planned, trials, "optimistic"),
        search_relations.contour(planned, trials, ("renyi.beta", "loss.lambda"), "optimistic"),
    ]
    for figure in drawn:
        assert figure is not None
        assert figure["layout"]["title"]["subtitle"]["text"] == "optimistic"
        json.dumps(figure, allow_nan=False)
        for scheme in ("light", "dark"):
            go.Figure(
                {**figure, "layout": {**figure["layout"], "template": template(scheme)}}
            )  # raises for a wrong key


def test_importances_are_ordered_and_none_make_no_figure() -> None:
    figure = search_relations.importance({"a": 0.1, "b": 0.7, "c": 0.2})

    assert figure is not None
    assert figure["data"][0]["y"] == ["b", "c", "a"]
    assert search_relations.importance({}) is None


def test_every_trial_has_one_line_and_the_best_its_own(hand: Any, planned: Sweep) -> None:
    trials = tried(hand, 12)
    figure = search_relations.parallel(planned, trials)
    assert figure is not None
    lines = sum(trace["y"].count(None) for trace in figure["data"])
    best = figure["data"][-1]

    assert lines == 12
    assert best["line"]["color"] == ORANGE
    assert best["text"][0].startswith(f"trial {max(trials, key=lambda t: t.objective or 0).number}:")
    assert {trace["line"]["color"] for trace in figure["data"][:-1]} == {BLUE}


def test_the_best_is_the_lowest_where_less_is_better(hand: Any) -> None:
    sweep = hand.sweep(search=SEARCH, objective=Objective("cross_entropy", "minimize"))
    trials = tried(hand, 5)
    figure = search_relations.parallel(sweep, trials)

    assert figure is not None
    assert figure["data"][-1]["text"][0].startswith(f"trial {min(trials, key=lambda t: t.objective or 0).number}:")


def test_heights_are_shares_of_what_was_searched(hand: Any, planned: Sweep) -> None:
    middle = {"renyi.beta": 10.0, "loss.lambda": 0.25, "trunk.kind": "b"}
    trials = [hand.trial(0, 0.9, proposal=middle), hand.trial(1, 0.1, proposal=middle)]
    figure = search_relations.parallel(planned, trials)

    assert figure is not None
    assert figure["data"][-1]["y"][:4] == pytest.approx([0.5, 0.25, 1.0, 1.0])  # 10 is the middle of 1 … 100 in powers


def test_a_parameter_that_some_trials_lack_has_no_axis(hand: Any, planned: Sweep) -> None:
    trials = tried(hand, 4)
    trials.append(hand.trial(9, 0.5, proposal={"renyi.beta": 2.0, "loss.lambda": 0.5}))
    figure = search_relations.parallel(planned, trials)

    assert figure is not None
    assert figure["layout"]["xaxis"]["ticktext"] == ["renyi.beta", "loss.lambda", "val macro-F1"]


def test_one_trial_or_parameter_is_no_picture(hand: Any, planned: Sweep) -> None:
    assert search_relations.parallel(planned, tried(hand, 1)) is None
    assert search_relations.parallel(planned, []) is None
    assert (
        search_relations.parallel(hand.sweep(search={"a": Int(1, 2)}), [hand.trial(n, 0.5) for n in range(3)]) is None
    )


def test_a_plane_is_interpolated_as_a_plane_in_the_searchs_own_scale(hand: Any, planned: Sweep) -> None:
    trials = tried(hand, 30, lambda p: 0.1 * math.log10(p["renyi.beta"]) + 0.5 * p["loss.lambda"])
    figure = search_relations.contour(planned, trials, ("renyi.beta", "loss.lambda"))
    assert figure is not None
    field = figure["data"][0]
    found = [
        (0.1 * math.log10(x) + 0.5 * y, z)
        for y, row in zip(field["y"], field["z"], strict=True)
        for x, z in zip(field["x"], row, strict=True)
        if z is not None
    ]

    assert len(found) > 500
    assert [z for _, z in found] == pytest.approx([z for z, _ in found])
    assert any(z is None for row in field["z"] for z in row)  # nothing is claimed beyond the trials


def test_what_spans_no_plane_has_no_surface(hand: Any, planned: Sweep) -> None:
    line = [hand.trial(n, 0.1 * n, proposal={"renyi.beta": 2.0, "loss.lambda": n / 10}) for n in range(10)]

    assert search_relations.contour(planned, line, ("renyi.beta", "loss.lambda")) is None
    assert search_relations.contour(planned, tried(hand, 7), ("renyi.beta", "loss.lambda")) is None
    assert search_relations.contour(planned, tried(hand, 12), ("renyi.beta", "trunk.kind")) is None


def test_the_strongest_pair_follows_the_objective_or_the_given_shares(hand: Any) -> None:
    sweep = hand.sweep(search={**SEARCH, "training.lr": Float(0.0, 1.0)})
    rng = np.random.default_rng(1)
    trials = [
        hand.trial(t.number, t.proposal["loss.lambda"], proposal={**t.proposal, "training.lr": float(rng.uniform())})
        for t in tried(hand, 40)
    ]
    strongest = search_relations.strongest(sweep, trials)
    given = search_relations.strongest(sweep, trials, {"training.lr": 0.6, "renyi.beta": 0.3, "loss.lambda": 0.1})

    assert strongest is not None
    assert strongest[0] == "loss.lambda"
    assert given == ("training.lr", "renyi.beta")
    assert search_relations.strongest(sweep, trials[:5]) is None


def test_a_long_choice_is_shortened_beside_its_axis(hand: Any) -> None:
    search = {"encoders": Categorical(("audio-mamba-base+hubert-base", "a+b")), "loss.lambda": Float(0.0, 1.0)}
    trials = [hand.trial(n, 0.5, proposal={"encoders": "a+b", "loss.lambda": 0.5}) for n in range(2)]
    figure = search_relations.parallel(hand.sweep(search=search), trials)

    assert figure is not None
    assert {mark["text"] for mark in figure["layout"]["annotations"]} >= {"audio-mamba-base+…", "a+b", "0", "1"}


def test_searched_text_is_not_markup(hand: Any) -> None:
    search = {"encoders": Categorical(("file:<b>+x", "a+b")), "loss.lambda": Float(0.0, 1.0)}
    trials = [hand.trial(n, 0.5, proposal={"encoders": "file:<b>+x", "loss.lambda": 0.5}) for n in range(2)]

    assert "<b>" not in json.dumps(search_relations.parallel(hand.sweep(search=search), trials))
