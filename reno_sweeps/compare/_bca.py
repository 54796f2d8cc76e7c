"""From bootstrap draws to interval and p: percentiles, or BCa (Efron 1987), which mends bias and skewness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reno_sweeps.compare.clips import Numbers
from reno_sweeps.compare.finding import Interval

Draws = NDArray[np.float64]
TINY = 1e-9  # keeps a denominator positive where the correction would turn the scale over


@dataclass(frozen=True, slots=True)
class Bend:
    """How percentiles are moved: by the median's bias z₀ and the skewness a; both 0 for plain percentiles."""

    bias: float = 0.0
    acceleration: float = 0.0


def bend(draws: Draws, estimate: float, left_out: Draws, times: Numbers) -> Bend:
    """BCa's two corrections: from the draws below the estimate, and from the jackknife's skewness."""
    from scipy.special import ndtri

    pulls = np.average(left_out, weights=times) - left_out
    spread = (times * pulls**2).sum() ** 1.5
    skew = float((times * pulls**3).sum() / (6 * spread)) if spread > 0 else 0.0
    return Bend(float(ndtri(_below(draws, estimate))), skew)


def interval(draws: Draws, level: float, by: Bend) -> Interval:
    """The ends of the interval among the draws."""
    from scipy.special import ndtr, ndtri

    u = by.bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    ranks = ndtr(by.bias + u / np.maximum(1 - by.acceleration * u, TINY))
    low, high = np.quantile(draws, ranks)
    return float(low), float(high)


def p_of_zero(draws: Draws, by: Bend) -> float:
    """One minus the level of the interval that just touches zero; never below 1/(draws + 1)."""
    from scipy.special import ndtr, ndtri

    w = float(ndtri(_below(draws, 0.0))) - by.bias
    z = w / max(1 + by.acceleration * w, TINY) - by.bias
    return min(1.0, max(2 * float(ndtr(-abs(z))), 1 / (len(draws) + 1)))


def _below(draws: Draws, value: float) -> float:
    """Share of draws below a value, ties by half, never 0 or 1."""
    least = 1 / (len(draws) + 1)
    share = float(np.mean(draws < value) + np.mean(draws == value) / 2)
    return min(max(share, least), 1 - least)
