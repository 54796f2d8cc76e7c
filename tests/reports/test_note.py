"""The note on the parent run."""

from __future__ import annotations

from typing import Any

from reno_sweeps.records import Protocol
from reno_sweeps.reports.note import note


def test_the_note_says_what_was_searched_found_and_how_to_repeat_it(sweep: Any, summary: dict[str, Any]) -> None:
    text = note(sweep, summary, synthetic=False, messages=["given folds"])

    for said in (
        "# tiny-1a2b",
        "5 trials asked, 3 complete, 1 pruned, 1 failed.",
        "> given folds",
        "| renyi.beta | 1.05 … 10 (log) |",
        "Best: trial 1, objective 0.62; `training.epochs` 3",
        "| linear (baseline) |",
        "reno-sweep run --space space.yaml",
    ):
        assert said in text


def test_the_note_marks_synthetic_and_optimistic(hand: Any) -> None:
    sweep = hand.sweep(protocol=Protocol(n_folds=2, selection="paper"))
    text = note(sweep, hand.summary(sweep, [hand.trial(0, 0.5)]), synthetic=True)

    assert "`clips` (synthetic clips)" in text
    assert "Protocol `paper`: **optimistic**: the test fold" in text
    assert "| linear (baseline) † |" in text


def test_a_sweep_without_a_complete_trial_has_a_note(hand: Any, sweep: Any) -> None:
    assert "No trial is complete yet." in note(sweep, hand.summary(sweep, []), synthetic=False)
