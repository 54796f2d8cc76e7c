"""With other clips, with other speakers: whole rounds are drawn from, alike clips of a speaker widen the interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reno_sweeps.records import Clip
from reno_sweeps.reports import resampled
from reno_sweeps.reports.evidence import Evidence

CLASSES = ("anger", "joy", "pain")


def evidence(rounds: int = 1, speakers: int = 12) -> Evidence:
    """Ten clips of each speaker, who is understood always or by chance."""
    dice = np.random.default_rng(0)
    n = 10 * speakers
    labels = np.arange(n) % 3
    clear = (np.arange(n) // 10) % 2 == 0
    clips = tuple(Clip(f"{i}.wav", CLASSES[labels[i]], f"s{i // 10}") for i in range(n))
    numbers = np.concatenate([dice.permutation(n) for _ in range(rounds)])
    said = np.where(clear[numbers], labels[numbers], dice.integers(0, 3, len(numbers)))
    return Evidence(
        clips, numbers, labels[numbers], np.eye(3)[said], np.repeat(np.arange(rounds), n), np.zeros(len(numbers), int)
    )


def test_speakers_who_stand_and_fall_together_widen_the_interval() -> None:
    found = {(row["metric"], row["by"]): row for row in resampled.rows(evidence(), CLASSES)}
    clips, speakers = found["macro_f1", "clips"], found["macro_f1", "speakers"]

    assert set(found) == {(m, by) for m in ("accuracy", "macro_f1", "uar") for by in ("clips", "speakers")}
    assert clips["score"] == speakers["score"]
    assert (clips["n"], speakers["n"]) == (120, 12)
    assert speakers["high"] - speakers["low"] > 1.5 * (clips["high"] - clips["low"])
    assert clips["low"] < clips["score"] < clips["high"]


def test_the_order_of_clips_and_the_number_of_rounds_change_no_meaning() -> None:
    one, three = (resampled.rows(evidence(rounds), CLASSES)[0] for rounds in (1, 3))

    assert abs(one["score"] - three["score"]) < 0.1
    assert (one["n"], three["n"]) == (120, 120)


def test_without_speakers_or_with_few_only_clips_are_drawn() -> None:
    whole = evidence()
    nameless = replace(whole, clips=tuple(replace(clip, speaker=None) for clip in whole.clips))

    assert {row["by"] for row in resampled.rows(nameless, CLASSES)} == {"clips"}
    assert {row["by"] for row in resampled.rows(evidence(speakers=4), CLASSES)} == {"clips"}


def test_a_round_that_lacks_clips_is_not_drawn_from() -> None:
    whole = evidence(rounds=2)
    kept = slice(0, len(whole.numbers) - 5)
    part = replace(
        whole,
        numbers=whole.numbers[kept],
        labels=whole.labels[kept],
        probabilities=whole.probabilities[kept],
        repeats=whole.repeats[kept],
        folds=whole.folds[kept],
    )

    assert resampled.rows(part, CLASSES) == []


def test_people_see_a_line_a_metric_and_what_it_means() -> None:
    rows = resampled.rows(evidence(), CLASSES)
    shown = resampled.shown(rows)

    assert [line["all test answers"] for line in shown] == ["accuracy %", "macro-F1 %", "UAR %"]
    assert {"95 % by clip (120)", "95 % by speaker (12)"} <= set(shown[0])
    assert "12 speakers are few" in resampled.remarks(rows).lower()
