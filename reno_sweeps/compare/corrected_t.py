"""The corrected resampled t-test (Nadeau & Bengio 2003): are two heads different, judged by K or R × K folds?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from reno_sweeps.compare._student import Student, student
from reno_sweeps.compare.finding import Finding
from reno_sweeps.compare.scores import DIGITS, checked_level, difference, matrix
from reno_sweeps.records import UserError

METHOD = "corrected resampled t-test"
ASSUMPTION = (
    "Differences between folds are about normal, and any two of them are correlated by the share of clips that a "
    "fold tests, because their training clips overlap."
)
EFFECT = "Cohen's d of paired folds"
# tests/compare/simulated.py, 10 × 5 folds of 60 clips, the nearest clip decides: 12 % at 5 %; 5 folds alone: 5 %
REPEATED = "with repeats 5 % are not exact: up to 12 false alarms in 100 were measured, of learners that one clip sways"


def corrected_t(a: ArrayLike, b: ArrayLike, *, ratio: float | None = None, level: float = 0.95) -> Finding:
    """Difference a − b of scores [repeats, folds], paired by fold, with interval, two-sided p and Cohen's d.

    `ratio` is test clips to training clips (`scores.ratio_from_sizes`); None: 1/(folds − 1); 0 is the naive paired
    t-test, which rejects far too often. Equal in every fold: p is 1, without an interval. Different, and by the same
    amount in every fold: refused, for there is no spread to judge it by.
    """
    gap = difference(matrix(a, "a"), matrix(b, "b"))
    return _tested(student(gap, ratio), METHOD, level, REPEATED if len(gap) > 1 else "")


def fold_mean(
    a: ArrayLike, *, against: float | None = None, ratio: float | None = None, level: float = 0.95
) -> Finding:
    """The mean of scores [repeats, folds] with the interval that overlapping training sets leave it.

    With `against`, a figure that is taken as exact (a published one, chance): the difference from it, and its p.
    """
    scores = matrix(a)
    if against is None:
        found = student(np.round(scores, DIGITS), ratio)
        interval = found.interval(checked_level(level))
        remark = "" if interval else "no interval: all folds score the same"
        return Finding(
            "corrected mean of folds", ASSUMPTION, found.mean, scores.size, "folds", level, interval, remark=remark
        )
    if not math.isfinite(against):
        raise UserError(f"against {against}: a figure to compare with is a finite number")
    gap = difference(scores, np.full_like(scores, against))
    repeated = REPEATED if len(gap) > 1 else ""
    return _tested(student(gap, ratio), f"{METHOD} against a fixed figure", level, repeated)


def _tested(found: Student, method: str, level: float, remark: str) -> Finding:
    """p and interval of a difference; without spread what can be said of it."""
    n, interval = found.df + 1, found.interval(checked_level(level))
    if found.scale:
        p, d = _two_sided(found), found.standardised()
        return Finding(method, ASSUMPTION, found.mean, n, "folds", level, interval, p, None, d, EFFECT, remark=remark)
    if found.mean == 0:
        same = "no interval: the scores are the same in every fold"
        return Finding(method, ASSUMPTION, 0.0, n, "folds", level, p=1.0, effect=0.0, effect_name=EFFECT, remark=same)
    why = f"all {n} folds differ by exactly the same amount, so there is no spread to judge it by"
    return Finding(method, ASSUMPTION, found.mean, n, "folds", level, refused=why)


def _two_sided(found: Student) -> float:
    from scipy.stats import t

    return float(2 * t.sf(abs(found.mean) / found.scale, found.df))
