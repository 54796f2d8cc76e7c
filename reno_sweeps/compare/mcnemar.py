"""McNemar's exact test (1947): do two classifiers err on different clips more often than chance would have it?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from reno_sweeps.compare.clips import labels_of
from reno_sweeps.compare.finding import Finding, Interval
from reno_sweeps.compare.scores import checked_level

METHOD = "exact McNemar test"
ASSUMPTION = (
    "Clips are independent of each other, so no speaker's clips stand or fall together, and the two sets of "
    "predictions are taken as they are: another training run is not allowed for."
)
EFFECT = "Cohen's g"  # share of the clips that only one got right that a got right, minus a half: −0.5 … 0.5


def mcnemar(truth: ArrayLike, a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> Finding:
    """Difference of accuracies a − b on the same clips: truth, a, b are class numbers [clips].

    p is exact, from the clips that only one of the two got right. The interval is Bonett & Price's (2012) adjusted
    Wald: it is not the test inverted, so the two may disagree where p is close to 1 − level.
    """
    expected, first, second = labels_of(truth, "truth"), labels_of(a, "a", truth), labels_of(b, "b", truth)
    only_a = int(np.sum((first == expected) & (second != expected)))
    only_b = int(np.sum((second == expected) & (first != expected)))
    n, apart = len(expected), only_a + only_b
    return Finding(
        METHOD,
        ASSUMPTION,
        (only_a - only_b) / n,
        n,
        "clips",
        level,
        _interval(only_a, only_b, n, checked_level(level)),
        _p(only_a, apart),
        effect=only_a / apart - 0.5 if apart else 0.0,
        effect_name=EFFECT,
        remark=f"{apart} clips that only one of the two got right ({only_a} to {only_b})",
    )


def _p(only_a: int, apart: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(only_a, apart, 0.5).pvalue) if apart else 1.0


def _interval(only_a: int, only_b: int, n: int, level: float) -> Interval:
    """Wald's interval with one clip added to each of the two counts, cut to −1 … 1."""
    from scipy.stats import norm

    more, less = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    middle = more - less
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt((more + less - middle**2) / (n + 2))
    return max(-1.0, middle - half), min(1.0, middle + half)
