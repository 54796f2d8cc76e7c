"""How the best trial's score would change with other clips or other speakers: bootstrap of its test answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reno_sweeps.compare.bootstrap import BY_CLIP, BY_SPEAKER, metric_interval
from reno_sweeps.compare.finding import Finding
from reno_sweeps.records import UserError
from reno_sweeps.reports import wording
from reno_sweeps.reports.evidence import Evidence
from reno_sweeps.space import Value

DRAWS = 2_000
SEED = 0
MEANING = (
    "All test answers in one table, so a score here is close to, and not the same as, the mean over folds. "
    f"By clip: {BY_CLIP} By speaker: {BY_SPEAKER} BCa intervals (Efron 1987), {DRAWS:,} draws."
)


def rows(evidence: Evidence, classes: Sequence[str]) -> list[dict[str, Value]]:
    """A row a metric and unit (clips, speakers), every digit kept; none where the answers are not whole rounds."""
    together = _by_round(evidence)
    if together is None:
        return []
    clips, truth, answers = together
    speakers = [evidence.clips[int(clip)].speaker for clip in clips]
    units = {"clips": None} | ({} if None in speakers else {"speakers": speakers})
    made: list[dict[str, Value]] = []
    for metric in wording.SHARES:
        for unit, who in units.items():
            found = _interval(truth, answers, len(classes), metric, who)
            if found is not None:
                low, high = found.interval or (None, None)
                row: dict[str, Value] = {"metric": metric, "by": unit, "n": found.n, "score": found.estimate}
                made.append(row | {"low": low, "high": high, "method": found.method, "remark": found.remark})
    return made


def shown(found: Sequence[dict[str, Value]]) -> list[dict[str, str]]:
    """`rows` for people: a line a metric, its interval by each unit beside it."""
    lines: dict[str, dict[str, str]] = {}
    for row in found:
        name = f"{wording.METRICS[str(row['metric'])]} %"
        line = lines.setdefault(name, {"all test answers": name, "score": _percent(row["score"])})
        bounds = [row["low"], row["high"]]
        told = wording.NOTHING if None in bounds else "–".join(map(_percent, bounds))
        line[f"95 % by {str(row['by']).removesuffix('s')} ({row['n']})"] = told
    return list(lines.values())


def remarks(found: Sequence[dict[str, Value]]) -> str:
    """MEANING, and what must be known beside: few speakers."""
    own = dict.fromkeys(str(row["remark"]) for row in found if row["remark"])
    return " ".join([MEANING, *(f"{remark[0].upper()}{remark[1:]}." for remark in own)])


def _by_round(
    evidence: Evidence,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None:
    """Clips [n], their truth [n] and answers [rounds, n]; None where a round lacks a clip."""
    clips = np.unique(evidence.numbers)
    answers = []
    for turn in np.unique(evidence.repeats):
        own = np.flatnonzero(evidence.repeats == turn)
        order = own[np.argsort(evidence.numbers[own], kind="stable")]
        if not np.array_equal(evidence.numbers[order], clips):
            return None
        answers.append(evidence.answers[order])
        truth = evidence.labels[order]
    return clips, truth, np.stack(answers)


def _interval(
    truth: NDArray[np.int64],
    answers: NDArray[np.int64],
    classes: int,
    metric: str,
    speakers: Sequence[str | None] | None,
) -> Finding | None:
    """None where there are too few clips or speakers for it."""
    dice = np.random.default_rng(SEED)
    try:
        return metric_interval(
            truth, answers, classes=classes, generator=dice, metric=metric, speakers=speakers, draws=DRAWS
        )
    except UserError:
        return None


def _percent(value: Value) -> str:
    return f"{100 * float(value or 0):.1f}"
