"""The Bayesian correlated t-test (Corani & Benavoli 2015): how probable is it that one head is better, or neither?"""

from __future__ import annotations

from numpy.typing import ArrayLike

from reno_sweeps.compare._student import Student, student
from reno_sweeps.compare.corrected_t import EFFECT
from reno_sweeps.compare.finding import Finding, Posterior
from reno_sweeps.compare.scores import checked_level, difference, matrix
from reno_sweeps.records import UserError

METHOD = "Bayesian correlated t-test"
ASSUMPTION = (
    "Nothing is known of the difference beforehand, differences between folds are normal, and any two of them are "
    "correlated by the share of clips that a fold tests."
)
ROPE = 0.01  # one point: the region of practical equivalence of Benavoli et al. 2017, section 3


def correlated_t(
    a: ArrayLike, b: ArrayLike, *, rope: float = ROPE, ratio: float | None = None, level: float = 0.95
) -> Finding:
    """Posterior of the difference a − b of scores [repeats, folds]: below −rope, within, above; credible interval.

    With ρ the test share, ρ/(1 − ρ) is the `ratio` of test to training clips, so the posterior is the law of the
    corrected t-test, read as a probability. Equal in every fold: all of it within the rope. Different, and by the
    same amount in every fold: refused.
    """
    if not 0 <= rope < float("inf"):
        raise UserError(f"rope {rope}: a difference too small to matter, 0 or more, as 0.01 for one point")
    found = student(difference(matrix(a, "a"), matrix(b, "b")), ratio)
    n, interval = found.df + 1, found.interval(checked_level(level))
    if not found.scale and found.mean:
        why = f"all {n} folds differ by exactly the same amount, so there is no spread to judge it by"
        return Finding(METHOD, ASSUMPTION, found.mean, n, "folds", level, refused=why)
    remark = "" if found.scale else "no interval: the scores are the same in every fold"
    posterior = _posterior(found, rope) if found.scale else Posterior(0.0, 1.0, 0.0, rope)
    d = found.standardised() if found.scale else 0.0
    return Finding(
        METHOD, ASSUMPTION, found.mean, n, "folds", level, interval, None, posterior, d, EFFECT, remark=remark
    )


def _posterior(found: Student, rope: float) -> Posterior:
    left, right = found.below(-rope), Student(-found.mean, found.deviation, found.scale, found.df).below(-rope)
    return Posterior(left, max(0.0, 1 - left - right), right, rope)
