"""Wilcoxon's signed-rank test over corpora (Demšar 2006): is one head better than another across data sets?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reno_sweeps.compare.finding import Finding, Interval
from reno_sweeps.compare.scores import Scores, checked_level, difference, row
from reno_sweeps.records import UserError

METHOD = "Wilcoxon signed-rank test"
ASSUMPTION = (
    "The corpora are independent of each other, and where neither is better their differences are symmetric about zero."
)
EFFECT = "matched-pairs rank-biserial correlation"  # Kerby 2014: −1 … 1, share of ranks for a minus that against


def smallest_p(pairs: int) -> float:
    """The smallest two-sided p that so many pairs can give, all of them pointing the same way: 2/2ⁿ."""
    return 2.0 ** (1 - pairs)


def signed_rank(a: ArrayLike, b: ArrayLike, *, level: float = 0.95, comparisons: int = 1) -> Finding:
    """Difference a − b of scores [corpora], one a corpus: Hodges-Lehmann's median, its interval, two-sided p.

    Refused where no outcome could be significant at 1 − level, among `comparisons` corrected by Holm: five pairs
    can't give p < 0.0625. Corpora on which both score the same are left out of p, as Wilcoxon did.
    """
    gap = difference(row(a, "a"), row(b, "b"))
    _refuse_too_few(gap.size, checked_level(level), comparisons)
    unequal = gap[gap != 0]
    least = f"the smallest possible p is {smallest_p(unequal.size):.2g}"
    ties = f"equal on {gap.size - unequal.size} of {gap.size} corpora; " if unequal.size < gap.size else ""
    return Finding(
        METHOD,
        ASSUMPTION,
        float(np.median(_walsh(gap))),
        gap.size,
        "corpora",
        level,
        _shift_interval(gap, level),
        _p(unequal),
        effect=_rank_biserial(unequal),
        effect_name=EFFECT,
        remark=f"{ties}{least}" if unequal.size else "equal on all corpora",
    )


def _refuse_too_few(pairs: int, level: float, comparisons: int) -> None:
    if comparisons < 1:
        raise UserError(f"{comparisons} comparisons: at least one is being made")
    alpha = 1 - level
    if smallest_p(pairs) * comparisons <= alpha * (1 + 1e-9):
        return
    needed = next(n for n in range(1, 1000) if smallest_p(n) * comparisons <= alpha * (1 + 1e-9))
    among = f" (times {comparisons} by Holm's correction)" if comparisons > 1 else ""
    raise UserError(
        f"signed ranks of {pairs} pair{'s' * (pairs != 1)} can't give p < {smallest_p(pairs):.4g}{among}, "
        f"and {alpha:.2g} is asked\n{needed} corpora are the least; by folds of one corpus use the corrected t-test"
    )


def _p(unequal: Scores) -> float:
    """Exact up to 50 corpora, with ties up to 13 (every pattern of signs is counted); else by the normal law."""
    from scipy.stats import wilcoxon

    return float(wilcoxon(unequal, correction=True).pvalue) if unequal.size else 1.0


def _rank_biserial(unequal: Scores) -> float:
    from scipy.stats import rankdata

    ranks = rankdata(np.abs(unequal))
    return float((ranks * np.sign(unequal)).sum() / ranks.sum()) if unequal.size else 0.0


def _walsh(gap: Scores) -> Scores:
    """Means of all pairs of differences, each with itself too, ascending: their median is Hodges & Lehmann's (1963)."""
    first, second = np.triu_indices(gap.size)
    return np.sort((gap[first] + gap[second]) / 2)


def _shift_interval(gap: Scores, level: float) -> Interval:
    """All shifts that the exact test would not reject: its critical value counts in from both ends of the means."""
    chances = np.ones(1)  # of W⁺ = 0, 1, … when every sign is a fair coin
    for rank in range(1, gap.size + 1):
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    rejected = int(np.searchsorted(chances.cumsum(), (1 - level) / 2 * (1 + 1e-9)))
    means = _walsh(gap)
    return float(means[rejected - 1]), float(means[-rejected])
