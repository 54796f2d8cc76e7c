"""Static figures: the same bytes every time, as PNG and PDF, whatever the labels."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reno_sweeps.records import Clip
from reno_sweeps.reports import canvas, embedding_map, pictures
from reno_sweeps.reports.calibration import reliability

CLASSES = ("anger", "joy", "pain")
Drawer = Callable[[str], Any]


@pytest.fixture
def drawers(sweep: Any, trials: list[Any]) -> dict[str, Drawer]:
    scores = trials[1].scores
    answers = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    found = reliability(answers, np.arange(30) % 3)
    clips = [Clip(f"{i}.wav", CLASSES[i % 3], f"s{i % 14}") for i in range(30)]
    mapped = embedding_map.mapped("gpvad", answers, clips)
    return {
        "history": lambda caveat: pictures.history(sweep, trials, caveat),
        "confusion": lambda caveat: pictures.confusion(scores, CLASSES, caveat),
        "curves": lambda caveat: pictures.learning_curves(scores, "macro_f1", caveat),
        "classes": lambda caveat: pictures.class_f1(scores, CLASSES, caveat),
        "reliability": lambda caveat: pictures.reliability(found, caveat),
        "map": lambda caveat: pictures.embeddings(mapped, caveat),
    }


@pytest.mark.parametrize("name", ["history", "confusion", "curves", "classes", "reliability", "map"])
def test_a_picture_is_the_same_every_time_and_carries_its_caveat(name: str, drawers: dict[str, Drawer]) -> None:
    draw = drawers[name]
    once, again = canvas.files(name, draw("optimistic")), canvas.files(name, draw("optimistic"))
    figure = draw("optimistic")
    titles = [figure.get_suptitle(), *(panel.get_title() for panel in figure.axes)]

    assert once == again
    assert once[f"{name}.png"][:8] == b"\x89PNG\r\n\x1a\n"
    assert once[f"{name}.pdf"][:5] == b"%PDF-"
    assert any("(optimistic)" in title for title in titles)


def test_a_pdf_holds_true_type_and_no_clock(drawers: dict[str, Drawer]) -> None:
    content = canvas.encoded(drawers["confusion"](""), "pdf")

    assert b"/Type3" not in content
    assert b"/CIDFontType2" in content or b"TrueType" in content
    assert b"CreationDate" not in content


def test_text_of_a_pdf_can_be_searched(drawers: dict[str, Drawer]) -> None:
    content = canvas.encoded(drawers["confusion"](""), "pdf")
    streams = [part.partition(b"endstream")[0].strip(b"\r\n") for part in content.split(b"stream\r\n")[1:]]
    streams += [part.partition(b"endstream")[0].strip(b"\r\n") for part in content.split(b"stream\n")[1:]]
    inflated = []
    for stream in streams:
        try:
            inflated.append(zlib.decompress(stream))
        except zlib.error:
            continue

    assert any(b"beginbfchar" in text or b"beginbfrange" in text for text in inflated)  # glyph → letter


def test_a_picture_takes_any_label_without_a_warning(hand: Any, recwarn: pytest.WarningsRecorder) -> None:
    from matplotlib.image import imread

    figure = pictures.confusion([hand.score(0, ((2, 0), (0, 2)))], ("$x^$ \\frac", "怒り"))
    made = canvas.files("confusion", figure)

    assert imread(io.BytesIO(made["confusion.png"])).ndim == 3
    assert not list(recwarn)


def test_every_emotion_stands_in_the_legend_whatever_its_name() -> None:
    clips = (Clip("a.wav", "_hidden"), Clip("b.wav", "$x$"))
    figure = pictures.embeddings(embedding_map.Map("raw", np.zeros((2, 2)), clips, 2, 0))

    assert [text.get_text().strip() for text in figure.axes[0].get_legend().get_texts()] == ["\\$x\\$", "_hidden"]


def test_a_fold_without_divergence_or_classes_is_drawn(hand: Any) -> None:
    score = hand.score(0, ((2, 0), (0, 0)))
    plain = replace(score, curves={"val_macro_f1": (0.1, 0.2)}, test_f1=(None, None), best_epoch=0)

    assert len(pictures.learning_curves([plain], "macro_f1").axes) == 1
    assert canvas.encoded(pictures.class_f1([plain], ("a", "b")), "png")


def test_settings_of_others_survive_a_pdf(drawers: dict[str, Drawer]) -> None:
    import matplotlib as mpl

    before = mpl.rcParams["pdf.fonttype"]
    canvas.encoded(drawers["history"](""), "pdf")

    assert mpl.rcParams["pdf.fonttype"] == before
