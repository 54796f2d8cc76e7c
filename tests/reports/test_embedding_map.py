"""Maps of clips: seeded, safe for few clips and odd widths, alike stays near."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reno_sweeps.records import Clip, UserError
from reno_sweeps.reports.embedding_map import UMAP, Map, flattened, groups, map_figure, mapped, said


def clouds(each: int = 20, dim: int = 4) -> tuple[Any, list[Clip]]:
    """Three clouds far apart, an emotion each; four speakers."""
    rng = np.random.default_rng(0)
    centres = 8 * np.eye(3, dim)
    vectors = np.concatenate([rng.normal(size=(each, dim)) + centre for centre in centres])
    clips = [Clip(f"{i}.wav", ("anger", "joy", "pain")[i // each], f"speaker {i % 4}") for i in range(3 * each)]
    return vectors, clips


def named(speakers: list[str | None], labels: list[str] | None = None) -> Map:
    labels = labels or ["anger"] * len(speakers)
    clips = tuple(Clip(f"{i}", label, s) for i, (label, s) in enumerate(zip(labels, speakers, strict=True)))
    return Map("x", np.zeros((len(clips), 2)), clips, len(clips), 0)


def test_what_is_alike_lies_near() -> None:
    vectors, clips = clouds()
    points = mapped("x", vectors, clips).points
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e9 * np.eye(len(points))
    labels = np.array([clip.label for clip in clips])

    assert (labels[distances.argmin(-1)] == labels).all()


def test_the_same_seed_gives_the_same_map() -> None:
    vectors, _ = clouds(8)

    assert flattened(vectors, 3).tolist() == flattened(vectors, 3).tolist()


def test_neighbours_know_what_the_embeddings_know() -> None:
    vectors, clips = clouds()
    found = mapped("x", vectors, clips)

    assert found.alike["emotion"] == (1.0, pytest.approx(19 / 59))  # 19 of the 59 others are of its own cloud
    assert found.alike["speaker"][0] == pytest.approx(found.alike["speaker"][1], abs=0.1)
    assert "100 % are of its own emotion (by chance 32 %)" in said(found, "emotion")
    assert "neighbours" not in said(mapped("x", vectors[:5], clips[:5]), "emotion")


def test_the_other_speakers_lie_below_and_are_told_last() -> None:
    data = map_figure(named([f"s{i:02d}" for i in range(14)]), "speaker")["data"]

    assert data[0]["name"] == "5 other speakers"
    assert data[0]["legendrank"] > 1000
    assert data[0]["marker"]["color"] not in {trace["marker"]["color"] for trace in data[1:]}


def test_scale_of_a_feature_decides_nothing() -> None:
    vectors, _ = clouds(8)
    loud = vectors * np.where(np.arange(vectors.shape[1]) == 2, 1e3, 1.0)

    assert flattened(loud) == pytest.approx(flattened(vectors), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("clips", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("dim", [1, 2, 60])
def test_few_clips_of_any_width_have_finite_places_without_a_warning(clips: int, dim: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(clips, dim))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points = flattened(vectors)

    assert points.shape == (clips, 2)
    assert np.isfinite(points).all()


def test_equal_clips_lie_in_one_place() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points = flattened(np.ones((20, 8), np.float32))

    assert np.ptp(points) == pytest.approx(0, abs=1e-6)


def test_no_number_is_refused() -> None:
    with pytest.raises(UserError, match="no numbers"):
        flattened(np.array([[np.nan, 1.0]] * 6))


def test_embeddings_must_be_of_the_clips() -> None:
    with pytest.raises(UserError, match="3 embeddings for 2 clips"):
        mapped("x", np.zeros((3, 4)), [Clip("a", "joy"), Clip("b", "joy")])


def test_too_many_clips_are_drawn_by_lot_and_said_so() -> None:
    vectors, clips = clouds(10)
    found = mapped("x", vectors, clips, most=12)

    assert len(found.clips) == len(found.points) == len(set(found.clips)) == 12
    assert "12 of 30 clips, drawn by lot" in said(found, "emotion")
    assert "drawn" not in said(mapped("x", vectors[:6], clips[:6]), "emotion")


def test_umap_is_a_map_too_named_as_such_and_the_same_each_time() -> None:
    vectors, clips = clouds(10)
    found = mapped("x", vectors, clips, method=UMAP)
    again = mapped("x", vectors, clips, method=UMAP)

    assert found.points.shape == (30, 2)
    assert (found.points == again.points).all()
    assert np.isfinite(found.points).all()
    assert "UMAP of 30 clips" in said(found, "emotion")
    assert map_figure(found, "emotion")["layout"]["title"]["text"] == "x (UMAP), by emotion"


def test_what_a_title_leaves_out_is_said_below() -> None:
    vectors, clips = clouds(10)
    found = replace(mapped("fused features", vectors, clips), about="Trial 3 on fold 0.")

    assert "Trial 3 on fold 0. t-SNE of 30 clips" in said(found, "emotion")


def test_without_speakers_there_is_one_colouring() -> None:
    assert named([None, None]).by == ("emotion",)
    assert named(["a", None]).by == ("emotion", "speaker")


def test_many_speakers_share_the_last_colour_and_none_is_lost() -> None:
    found = named([f"s{i:02d}" for i in range(14) for _ in range(1 + (i == 13))])
    parts = groups(found, "speaker")

    assert len(parts) == 10
    assert parts[-1][0] == "5 other speakers"
    assert "s13" in [name for name, _ in parts]  # has the most clips
    assert sorted(np.concatenate([rows for _, rows in parts]).tolist()) == list(range(15))


def test_ten_speakers_have_a_colour_each() -> None:
    assert [name for name, _ in groups(named([f"s{i}" for i in range(10)]), "speaker")] == [f"s{i}" for i in range(10)]


def test_more_emotions_than_colours_have_symbols_of_their_own() -> None:
    found = named(["a"] * 12, [f"emotion {i:02d}" for i in range(12)])
    marks = [(t["marker"]["color"], t["marker"]["symbol"]) for t in map_figure(found, "emotion")["data"]]

    assert len(set(marks)) == 12


def test_other_peoples_text_is_not_markup() -> None:
    import plotly.graph_objects as go

    figure = map_figure(Map("<b>x", np.zeros((1, 2)), (Clip("<i>a", "<u>joy", "<s>s"),), 1, 0), "speaker", "optimistic")
    go.Figure(figure)  # raises for a wrong key

    assert figure["layout"]["title"]["text"] == "&lt;b&gt;x, by speaker"
    assert figure["data"][0]["text"] == ["&lt;i&gt;a: &lt;u&gt;joy, &lt;s&gt;s"]
    assert figure["data"][0]["name"] == "&lt;s&gt;s"
