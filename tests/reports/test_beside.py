"""The files beside the page: each table three times, each figure twice, exact numbers in CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest

from reno_sweeps.records import Clip
from reno_sweeps.reports import beside
from reno_sweeps.reports.embedding_map import Map
from reno_sweeps.reports.evidence import gather

CLASSES = ("anger", "joy", "pain")


@pytest.fixture(scope="module")  # drawing takes a second
def made(hand: Any) -> dict[str, bytes]:
    sweep, trials = hand.sweep(), [hand.trial(0, 0.5), hand.trial(1, 0.62)]
    clips = tuple(Clip(f"{i}.wav", CLASSES[i % 3]) for i in range(6))
    arrays = {"test_rows": range(6), "test_probabilities": [[0.5, 0.25, 0.25]] * 6}
    evidence = gather([hand.score()], lambda score: arrays, clips, CLASSES)
    summary = hand.summary(sweep, trials)
    return beside.files(sweep, trials, summary, CLASSES, evidence, [Map("raw", np.zeros((6, 2)), clips, 6, 0)])


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_tables_come_in_three_forms_and_figures_in_two(made: dict[str, bytes]) -> None:
    tables = {
        f"{name}.{kind}" for name in ("folds", "classes", "baselines", "comparisons") for kind in ("csv", "md", "tex")
    }
    figures = {"history", "confusion", "curves", "classes", "calibration", "map-0"}
    data = {
        f"{name}.csv" for name in ("trials", "intervals", "confusion", "curves", "calibration", "hardest", "resampled")
    }

    assert set(made) == tables | {f"{f}.{kind}" for f in figures for kind in ("png", "pdf")} | data | {"space.yaml"}
    assert all(made.values())


def test_csv_keeps_what_the_figures_round(made: dict[str, bytes], trials: list[Any]) -> None:
    confusion = read(made["confusion.csv"])

    assert [[int(row[name]) for name in CLASSES] for row in confusion] == [[7, 2, 1], [1, 8, 1], [2, 0, 8]]
    assert float(read(made["curves.csv"])[1]["divergence"]) == 0.2
    assert float(read(made["folds.csv"])[0]["test_uar"]) == trials[1].scores[0].test["uar"]
    assert [row["path"] for row in read(made["hardest.csv"])][:2] == ["1.wav", "2.wav"]


def test_tables_for_a_paper_say_what_their_intervals_are(made: dict[str, bytes]) -> None:
    assert "Nadeau \\& Bengio 2003" in made["folds.tex"].decode()
    assert "too narrow" in made["folds.md"].decode()
    assert "Corrected resampled t-test" in made["comparisons.tex"].decode()


def test_nothing_complete_leaves_the_search_alone(hand: Any, sweep: Any, trials: list[Any]) -> None:
    lost = trials[2:4]
    made = beside.files(sweep, lost, {**hand.summary(sweep, lost), "baselines": {}}, CLASSES)

    assert set(made) == {"trials.csv", "space.yaml", "history.png", "history.pdf"}


def test_bytes_that_are_no_text_are_spelled_out() -> None:
    assert beside.text("a\udcff") == b"a\\udcff"
