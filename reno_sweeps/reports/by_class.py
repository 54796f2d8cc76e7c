"""Each class on the test folds: what was found of it, what was taken for it, how far its F1 moves between folds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from reno_sweeps.records import FoldScore
from reno_sweeps.reports import tables
from reno_sweeps.space import Value


def rows(scores: Sequence[FoldScore], classes: Sequence[str]) -> list[dict[str, Value]]:
    """A row a class: its clips, recall and precision over all folds together, F1 over the folds that have it.

    With repeats a clip counts once a repeat. None: the class was never tested, or never answered.
    """
    counts = tables.confusion_counts(scores)
    answered = [sum(column) for column in zip(*counts, strict=True)]
    found: list[dict[str, Value]] = []
    for number, name in enumerate(classes):
        hits, truths = counts[number][number], sum(counts[number])
        row: dict[str, Value] = {"class": name, "clips": truths, "answered": answered[number]}
        row |= {"recall": _share(hits, truths), "precision": _share(hits, answered[number])}
        found.append({**row, **_over_folds([score.test_f1[number] for score in scores])})
    return found


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _over_folds(folds: Sequence[float | None]) -> dict[str, Value]:
    """A class's F1 over the folds in which it occurs."""
    there = [f1 for f1 in folds if f1 is not None]
    return {
        "f1": fmean(there) if there else None,
        "f1_sd": stdev(there) if len(there) > 1 else None,
        "f1_lowest_fold": min(there, default=None),
        "f1_highest_fold": max(there, default=None),
    }


def shown(found: Sequence[tables.Row]) -> list[dict[str, str]]:
    """`rows` for people: shares in percent, F1 with its deviation and range over folds."""
    return [
        {
            "class": str(row["class"]),
            "test clips": str(row["clips"]),
            "answered": str(row["answered"]),
            "recall %": _percent(row["recall"]),
            "precision %": _percent(row["precision"]),
            "F1 %": _percent(row["f1"]),
            "sd": _percent(row["f1_sd"]),
            "lowest fold": _percent(row["f1_lowest_fold"]),
            "highest fold": _percent(row["f1_highest_fold"]),
        }
        for row in found
    ]


def _percent(value: Value) -> str:
    return f"{100 * value:.1f}" if isinstance(value, float) else ""
