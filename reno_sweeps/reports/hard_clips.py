"""The clips that a trial got most wrong: where to listen first, and whose labels to doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reno_sweeps.reports.evidence import Evidence
from reno_sweeps.space import Value

MOST = 20


def rows(evidence: Evidence, classes: Sequence[str], most: int = MOST) -> list[dict[str, Value]]:
    """The clips of highest cross-entropy, the hardest first; with repeats each as in its hardest one."""
    found: dict[int, dict[str, Value]] = {}
    costs, answers = evidence.cross_entropies, evidence.answers
    for place in np.argsort(-costs, kind="stable").tolist():
        number = int(evidence.numbers[place])
        if number in found:
            continue
        if len(found) == most:
            break
        clip, likely = evidence.clips[number], evidence.probabilities[place]
        row: dict[str, Value] = {"path": clip.path, "truth": clip.label, "answer": classes[int(answers[place])]}
        row |= {"p_answer": float(likely.max()), "p_truth": float(likely[evidence.labels[place]])}
        row |= {"cross_entropy": float(costs[place]), "fold": int(evidence.folds[place]), "speaker": clip.speaker}
        found[number] = row
    return list(found.values())


def shown(found: Sequence[Mapping[str, Value]]) -> list[dict[str, str]]:
    """`rows` for people; the speaker only where the corpus knows speakers."""
    speakers = any(row["speaker"] is not None for row in found)
    return [
        {
            "clip": str(row["path"]),
            **({"speaker": str(row["speaker"] or "")} if speakers else {}),
            "truth": str(row["truth"]),
            "answer": str(row["answer"]),
            "its probability %": _percent(row["p_answer"]),
            "the truth's %": _percent(row["p_truth"]),
            "cross-entropy": _places(row["cross_entropy"]),
            "fold": str(row["fold"]),
        }
        for row in found
    ]


def _percent(value: Value) -> str:
    return f"{100 * value:.1f}" if isinstance(value, float) else ""


def _places(value: Value) -> str:
    return f"{value:.2f}" if isinstance(value, float) else ""
