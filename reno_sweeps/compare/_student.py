"""Student's t of correlated folds: the law that the corrected t-test and its Bayesian sister share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reno_sweeps.compare.finding import Interval
from reno_sweeps.compare.scores import Scores, ratio_of
from reno_sweeps.records import UserError


@dataclass(frozen=True, slots=True)
class Student:
    """A mean over folds, its scale and degrees of freedom."""

    mean: float
    deviation: float  # of single folds, n − 1 below; 0 exactly where all are equal
    scale: float  # of the mean: √(1/n + n₂/n₁) · deviation
    df: int

    def interval(self, level: float) -> Interval | None:
        """Where the true mean lies; None without spread."""
        from scipy.stats import t

        half = float(t.ppf((1 + level) / 2, self.df)) * self.scale
        return (self.mean - half, self.mean + half) if self.scale else None

    def below(self, value: float) -> float:
        """Probability that a t of this mean and scale is below the value."""
        from scipy.stats import t

        return float(t.cdf((value - self.mean) / self.scale, self.df))

    def standardised(self) -> float | None:
        """Cohen's d of paired numbers: mean over deviation."""
        return self.mean / self.deviation if self.deviation else None


def student(values: Scores, ratio: float | None) -> Student:
    """The law of the mean of `values` [repeats, folds]; ratio of test to training clips, None: 1/(folds − 1).

    Nadeau & Bengio 2003: the correction 1/n + n₂/n₁ stands where independent numbers have 1/n, because folds share
    most of their training clips. Bouckaert & Frank 2004 use it with all R × K numbers of repeated cross-validation.
    """
    n = values.size
    if n < 2:
        raise UserError("one fold: there is no spread to judge a difference by\nat least two folds are needed")
    own = ratio_of(values.shape[1], ratio)
    if np.ptp(values) == 0:
        return Student(float(values.flat[0]), 0.0, 0.0, n - 1)
    deviation = float(values.std(ddof=1))
    return Student(float(values.mean()), deviation, deviation * float(np.sqrt(1 / n + own)), n - 1)
