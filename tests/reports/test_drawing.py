"""Every figure of the page: each has its caption and its caveat, and is drawn only of what is there."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from reno_sweeps.records import Clip
from reno_sweeps.reports import drawing
from reno_sweeps.reports.embedding_map import Map
from reno_sweeps.reports.evidence import Evidence

CLASSES = ("anger", "joy", "pain")


@pytest.fixture
def evidence() -> Evidence:
    numbers = np.arange(6)
    answers = np.full((6, 3), 1 / 3)
    clips = tuple(Clip(f"{n}.wav", CLASSES[n % 3], "s1") for n in numbers)
    return Evidence(clips, numbers, numbers % 3, answers, 0 * numbers, 0 * numbers)


@pytest.fixture
def maps(evidence: Evidence) -> list[Map]:
    return [Map(name, np.zeros((6, 2)), evidence.clips, 6, 0) for name in ("raw", "fused")]


def test_every_figure_has_a_caption(
    hand: Any, sweep: Any, evidence: Evidence, maps: list[Map], summary: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    many = [
        hand.trial(n, float(rng.uniform()), proposal={"renyi.beta": float(rng.uniform(2, 9)), "attention.heads": 2})
        for n in range(12)
    ]
    drawn = drawing.figures_of(sweep, many, summary, CLASSES, evidence, maps, {"renyi.beta": 1.0})

    assert set(drawn) <= set(drawing.captions(evidence, maps))
    assert {"importance", "parallel", "reliability", "map-0-emotion", "map-1-speaker"} <= set(drawn)


def test_every_figure_is_plain_json_with_its_caveat(
    hand: Any, sweep: Any, trials: list[Any], evidence: Evidence, maps: list[Map]
) -> None:
    summary = hand.summary(sweep, trials, corpus="demo")
    for figure in drawing.figures_of(sweep, trials, summary, CLASSES, evidence, maps).values():
        assert figure["layout"]["title"]["subtitle"]["text"] == "synthetic clips"
        json.dumps(figure)


def test_without_answers_and_maps_there_are_no_figures_of_them(
    sweep: Any, trials: list[Any], summary: dict[str, Any]
) -> None:
    drawn = drawing.figures_of(sweep, trials, summary, CLASSES)

    assert not [name for name in drawn if name == "reliability" or name.startswith("map")]
    assert not [name for name in drawing.captions() if name.startswith("map")]


def test_a_caption_says_what_was_measured(evidence: Evidence, maps: list[Map]) -> None:
    said = drawing.captions(evidence, maps)

    assert "Mean confidence 33.3 %, accuracy 33.3 %" in said["reliability"]
    assert "6 clips" in said["map-0-speaker"]


def test_the_best_is_the_one_that_the_summary_names(trials: list[Any], summary: dict[str, Any]) -> None:
    best = drawing.best_of(trials, summary)

    assert best is trials[1]
    assert drawing.best_of(trials, {**summary, "best": None}) is None
