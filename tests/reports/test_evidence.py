"""Answers are gathered from the folds' own arrays; the hardest clips come first, each once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.records import Clip, FoldResult, FoldScore, Key, Split
from reno_sweeps.reports import hard_clips
from reno_sweeps.reports.evidence import Evidence, gather

CLASSES = ("anger", "joy")
CLIPS = (Clip("a.wav", "anger", "s1"), Clip("b.wav", "joy", "s2"), Clip("c.wav", "joy"), Clip("d.wav", "anger"))


def of(hand: Any, stored: Mapping[tuple[int, int], tuple[list[int], list[list[float]]]]) -> Evidence:
    """(repeat, fold) → (rows, probabilities)."""

    def read(score: FoldScore) -> dict[str, Any]:
        rows, probabilities = stored[score.repeat, score.fold]
        return {"test_rows": np.array(rows), "test_probabilities": np.array(probabilities, np.float16)}

    scores = [hand.score(fold, repeat=repeat) for repeat, fold in stored]
    found = gather(scores, read, CLIPS, CLASSES)
    assert found is not None
    return found


@pytest.fixture
def two_folds(hand: Any) -> Evidence:
    return of(hand, {(0, 0): ([2, 0], [[0.25, 0.75], [0.5, 0.5]]), (0, 1): ([1, 3], [[0.875, 0.125], [1.0, 0.0]])})


def test_rows_are_matched_with_their_own_clips_whatever_their_order(two_folds: Evidence) -> None:
    assert two_folds.numbers.tolist() == [2, 0, 1, 3]
    assert two_folds.labels.tolist() == [1, 0, 1, 0]
    assert two_folds.answers.tolist() == [1, 0, 0, 0]
    assert two_folds.folds.tolist() == [0, 0, 1, 1]
    assert two_folds.cross_entropies == pytest.approx(-np.log([0.75, 0.5, 0.125, 1.0]))


def test_what_the_folds_files_hold_is_what_is_gathered(hand: Any, tmp_path: Path) -> None:
    from reno_sweeps.search.fold_files import FoldFiles

    files, probabilities = FoldFiles(tmp_path), np.array([[0.25, 0.75], [0.5, 0.5]])
    score = hand.score()
    kept = {name: getattr(score, name) for name in FoldResult.__dataclass_fields__ if hasattr(score, name)}
    result = FoldResult(**kept, test_probabilities=probabilities)
    stored = files.write(Key("trial 1", 0, 1), result, Split((1, 3), (), (2, 0)))
    found = gather([stored], files.read, CLIPS, CLASSES)

    assert found is not None
    assert found.numbers.tolist() == [2, 0]
    assert found.probabilities.tolist() == probabilities.tolist()


def test_nothing_stored_is_no_evidence(hand: Any) -> None:
    assert gather([hand.score()], lambda score: {}, CLIPS, CLASSES) is None
    assert gather([], lambda score: {}, CLIPS, CLASSES) is None


def test_a_probability_below_half_precision_costs_a_finite_amount(hand: Any) -> None:
    wrong = of(hand, {(0, 0): ([0], [[0.0, 1.0]])})

    assert wrong.cross_entropies == pytest.approx([24 * np.log(2)])


def test_the_hardest_clip_comes_first_with_what_was_answered(two_folds: Evidence) -> None:
    first, second = hard_clips.rows(two_folds, CLASSES, most=2)

    assert (first["path"], first["truth"], first["answer"]) == ("b.wav", "joy", "anger")
    assert (first["p_answer"], first["p_truth"], first["fold"]) == (0.875, 0.125, 1)
    assert second["path"] == "a.wav"


def test_with_repeats_a_clip_stands_once_as_in_its_hardest(hand: Any) -> None:
    repeated = of(hand, {(0, 0): ([0], [[0.75, 0.25]]), (1, 0): ([0], [[0.25, 0.75]])})
    rows = hard_clips.rows(repeated, CLASSES)

    assert [(row["path"], row["p_truth"]) for row in rows] == [("a.wav", 0.25)]


def test_speakers_have_a_column_where_there_are_any(two_folds: Evidence) -> None:
    rows = hard_clips.rows(two_folds, CLASSES)
    strangers = [{**row, "speaker": None} for row in rows]

    assert hard_clips.shown(rows)[0]["speaker"] == "s2"
    assert "speaker" not in hard_clips.shown(strangers)[0]
    assert hard_clips.shown(rows)[0]["the truth's %"] == "12.5"


@given(st.lists(st.integers(0, 2048), min_size=1, max_size=30), st.integers(1, 30))
def test_the_list_is_sorted_unique_and_no_longer_than_asked(parts: list[int], most: int) -> None:
    first = np.array(parts) / 2048
    numbers = np.arange(len(parts)) % 7
    clips = tuple(Clip(f"{n}.wav", "anger") for n in range(7))
    found = Evidence(clips, numbers, 0 * numbers, np.stack([first, 1 - first], -1), numbers // 7, 0 * numbers)
    rows = hard_clips.rows(found, CLASSES, most)
    costs = [row["cross_entropy"] for row in rows]

    assert costs == sorted(costs, reverse=True)  # type: ignore[type-var]
    assert len({row["path"] for row in rows}) == len(rows) == min(most, 7, len(parts))
    assert costs[0] == found.cross_entropies.max()
