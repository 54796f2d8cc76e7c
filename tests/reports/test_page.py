"""One page that stands alone, and into which nobody else's text can write."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reno_sweeps.records import Cell, Clip, Protocol
from reno_sweeps.reports import page
from reno_sweeps.reports.embedding_map import Map
from reno_sweeps.reports.evidence import gather
from reno_sweeps.space import Categorical

CLASSES = ("anger", "joy", "pain")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;{{ 7 * 7 }}"


class Reader(HTMLParser):
    """The page as a browser reads it: tags in order with their attributes, text of scripts, text of the rest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in != "style":
            self.text += data


@pytest.fixture
def made(sweep: Any, trials: list[Any], summary: dict[str, Any]) -> dict[str, Any]:
    provenance = {"torch": "2.11.0", "corpus content": "9f" * 32}
    return {
        "sweep": sweep,
        "trials": trials,
        "summary": summary,
        "provenance": provenance,
        "classes": CLASSES,
        "messages": ["given folds"],
    }


def read(made: dict[str, Any], **changes: Any) -> Reader:
    return Reader(page.build(**{**made, **changes}))


def test_the_page_says_what_was_asked_found_and_what_it_is_worth(made: dict[str, Any]) -> None:
    text = read(made).text.replace("\xa0", " ")

    for said in (
        (
            "Asked: which values of renyi.beta, attention.heads give reno on mfcc + log-mel the "
            "highest validation macro-F1 on clips, over 2 folds (5 trials, 3 complete, 1 pruned, 1 failed)."
        ),
        "Found: trial 1, the best of 4 configurations, with validation macro-F1 62.0 %",
        "For scale: a linear model on the same folds reaches",
        "The numbers are cross-validated, selected",
        "given folds",
        "1.05 … 10 (log)",
        "reno, refitted on training and validation",
        "corpus content",
        "reno-sweep run --space space.yaml",
        "loss is NaN at epoch 1 of fold 0",
    ):
        assert said in text


def test_the_page_needs_no_network(made: dict[str, Any]) -> None:
    read_page = read(made)
    policy = next(attributes["content"] for tag, attributes in read_page.tags if "http-equiv" in attributes)

    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert not [tag for tag, attributes in read_page.tags if {"src", "href"} & set(attributes)]
    assert sum(script.count("plotly.js v") > 0 for script in read_page.scripts) == 1


def test_the_policy_allows_the_pages_own_scripts_alone(made: dict[str, Any]) -> None:
    import base64
    import hashlib

    read_page = read(made)
    policy = next(str(attributes["content"]) for _, attributes in read_page.tags if "http-equiv" in attributes)
    kinds = [attributes.get("type") for tag, attributes in read_page.tags if tag == "script"]
    code = [text for text, kind in zip(read_page.scripts, kinds, strict=True) if kind is None]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]

    assert re.findall(r"'sha256-([^']+)'", policy) == hashes


def test_every_figure_has_its_place_and_its_data(made: dict[str, Any]) -> None:
    read_page = read(made)
    places = [a["data-figure"] for _, a in read_page.tags if "data-figure" in a]
    ids = [a["id"] for tag, a in read_page.tags if tag == "script" and "id" in a]

    assert sorted(map(str, places)) == sorted(str(name) for name in ids if name != "themes")
    assert len(places) == 8
    for script, (_, attributes) in zip(read_page.scripts, [t for t in read_page.tags if t[0] == "script"], strict=True):
        if attributes.get("type") == "application/json":
            json.loads(script)


def test_other_peoples_text_adds_no_tag_and_loses_no_sign(hand: Any, made: dict[str, Any]) -> None:
    def told(text: str) -> Reader:
        search = {"encoders": Categorical((text, "a+b"))}
        sweep = hand.sweep(search=search, cells=(Cell("reno", (text, "b")),), corpus=text)
        trials = [
            hand.trial(0, 0.5, proposal={"encoders": text}),
            hand.trial(1, None, "failed", reason=text, proposal={"encoders": text}),
        ]
        summary = {**hand.summary(sweep, trials, corpus=text), "sweep": text}
        changes = {"classes": (text, "b", "c"), "provenance": {text: text}, "messages": [text]}
        return read(made, sweep=sweep, trials=trials, summary=summary, **changes)

    plain, hostile = told("harmless"), told(HOSTILE)

    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert hostile.text.count(HOSTILE) == plain.text.count("harmless") > 8
    assert not any("alert(1)</script>" in script for script in hostile.scripts)


def test_synthetic_and_optimistic_stand_on_top_and_in_every_figure(hand: Any, made: dict[str, Any]) -> None:
    sweep = hand.sweep(protocol=Protocol(n_folds=2, selection="paper"))
    trials = [hand.trial(0, 0.5), hand.trial(1, 0.6)]
    read_page = read(made, sweep=sweep, trials=trials, summary=hand.summary(sweep, trials, corpus="demo"))
    figures = [json.loads(s) for s in read_page.scripts if s.startswith('{"data":[')]

    assert [a["class"] for tag, a in read_page.tags if tag == "li"] == ["warn", "warn"]
    assert "The numbers are optimistic" in read_page.text
    assert {f["layout"]["title"]["subtitle"]["text"] for f in figures} == {"synthetic clips, optimistic"}
    assert len(figures) == 8


def test_a_sweep_that_has_just_begun_has_a_page(hand: Any, made: dict[str, Any], sweep: Any) -> None:
    text = read(made, trials=[], summary={**hand.summary(sweep, []), "baselines": {}}).text

    assert "No trial is complete yet." in text
    assert "No trial has begun yet." in text


def test_a_search_that_found_no_more_than_linear_is_told_so(hand: Any, made: dict[str, Any]) -> None:
    sweep = hand.sweep()
    worse = hand.trial(0, 0.5, scores=(hand.score(0, ((1, 4, 0), (4, 1, 0), (0, 4, 1))),))

    assert (
        "nothing was found that a linear model does not do at least as well"
        in read(made, trials=[worse], summary=hand.summary(sweep, [worse])).text
    )


def test_a_long_sweep_shows_its_best_trials_and_says_where_the_rest_is(hand: Any, made: dict[str, Any]) -> None:
    trials = [hand.trial(number, number / 500) for number in range(page.TRIALS_SHOWN + 20)]
    text = read(made, trials=trials, summary=hand.summary(made["sweep"], trials)).text

    assert f"The best {page.TRIALS_SHOWN} of {page.TRIALS_SHOWN + 20} trials; all are in trials.csv" in text


def test_the_best_trials_answers_add_calibration_and_the_hardest_clips(hand: Any, made: dict[str, Any]) -> None:
    clips = tuple(Clip(f"{i}-{HOSTILE}.wav", CLASSES[i % 3]) for i in range(15))
    likely = [[0.5, 0.25, 0.25]] * 15
    arrays = {"test_rows": list(range(15)), "test_probabilities": likely}
    evidence = gather([hand.score()], lambda score: arrays, clips, CLASSES)
    plain, told = read(made), read(made, evidence=evidence)

    assert "Hardest clips" in told.text
    assert f"1-{HOSTILE}.wav" in told.text
    assert "expected calibration error 16.7 % (10 bins, 15 answers)" in told.text  # |1/3 − 1/2|
    assert "Hardest clips" not in plain.text
    assert len([t for t in told.tags if "data-figure" in t[1]]) == 9


@pytest.mark.parametrize(("classes", "pairs"), [(8, 1), (9, 0)])
def test_matrices_of_many_classes_stand_below_each_other(
    hand: Any, made: dict[str, Any], classes: int, pairs: int
) -> None:
    score = hand.score(0, tuple(tuple(int(a == b) for a in range(classes)) for b in range(classes)))
    trials = [hand.trial(0, 0.5, scores=(score,))]
    names = tuple(f"emotion {i}" for i in range(classes))
    text = page.build(**{**made, "trials": trials, "summary": hand.summary(made["sweep"], trials), "classes": names})

    assert (
        len(
            re.findall(
                r'<div class="pair">\s*<figure class="sheet">\s*<div class="plot" data-figure="figure-counts"', text
            )
        )
        == pairs
    )


def test_maps_stand_in_their_order_with_a_figure_for_each_colouring(made: dict[str, Any]) -> None:
    clips = (Clip("a.wav", "joy", "s1"), Clip("b.wav", "pain"))
    maps = [Map(name, np.zeros((2, 2)), clips, 2, 0) for name in ("raw", "fused")]
    read_page = read(made, maps=maps)
    places = [str(a["data-figure"]) for _, a in read_page.tags if "data-figure" in a]

    assert [place for place in places if "map" in place] == [
        "figure-map-0-emotion", "figure-map-0-speaker", "figure-map-1-emotion", "figure-map-1-speaker",
    ]  # fmt: skip
    assert "distances between clusters" in read_page.text


def test_the_page_says_how_sure_the_difference_from_linear_is(made: dict[str, Any]) -> None:
    text = read(made).text

    assert "How sure the differences are" in text
    assert "reno (trial 1)" in text
    assert "p (Holm) allows for the number of comparisons" in text


def test_importances_have_their_figure(made: dict[str, Any]) -> None:
    read_page = read(made, importances={"renyi.beta": 0.8, "attention.heads": 0.2})

    assert "figure-importance" in [a.get("data-figure") for _, a in read_page.tags]
    assert "figure-importance" not in [a.get("data-figure") for _, a in read(made).tags]


def test_cells_have_a_table(hand: Any, made: dict[str, Any]) -> None:
    sweep = hand.sweep(cells=(Cell("reno", ("a", "b")), Cell("linear", ("a", "b"))))
    trials = [hand.trial(0, 0.5), hand.trial(1, 0.6, cell=1)]

    assert "Cells" in read(made, sweep=sweep, trials=trials, summary=hand.summary(sweep, trials)).text


def test_numbers_that_are_no_numbers_do_not_end_the_page(hand: Any, made: dict[str, Any]) -> None:
    from dataclasses import replace

    score = hand.score()
    curves = {**score.curves, "val_cross_entropy": (float("nan"), float("inf"), 1.0)}
    trials = [hand.trial(0, 0.5, scores=(replace(score, curves=curves),))]

    assert read(made, trials=trials, summary=hand.summary(made["sweep"], trials)).tags


def test_all_files_are_written_whole(tmp_path: Path, made: dict[str, Any]) -> None:
    written = page.write_all(tmp_path / "new" / "report", **made)

    assert {"report.html", "space.yaml", "trials.csv", "folds.tex", "confusion.pdf"} <= {f.name for f in written}
    assert sorted((tmp_path / "new" / "report").iterdir()) == sorted(written)
    assert all(file.stat().st_size for file in written)


def test_without_a_complete_trial_there_are_no_folds_to_write(tmp_path: Path, hand: Any, made: dict[str, Any]) -> None:
    lost = made["trials"][2:4]
    written = page.write_all(tmp_path, **{**made, "trials": lost, "summary": hand.summary(made["sweep"], lost)})

    assert not {"folds.csv", "confusion.png", "curves.csv"} & {file.name for file in written}
    assert {"report.html", "trials.csv", "space.yaml", "history.png"} <= {file.name for file in written}


def test_the_fold_table_says_what_its_numbers_mean(tmp_path: Path, made: dict[str, Any]) -> None:
    page.write_all(tmp_path, **made)
    text = (tmp_path / "folds.md").read_text()

    assert text.startswith("## tiny-1a2b: trial 1\n")
    assert "| linear (baseline) |" in text
    assert "Selection `validation`: cross-validated, selected" in text


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space"):
        page.write_all(tmp_path, **made)
    assert not list(tmp_path.iterdir())
