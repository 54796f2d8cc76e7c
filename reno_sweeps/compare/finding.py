"""What every test of this room answers with: a number, how sure it is, and what must hold for that."""

from __future__ import annotations

from dataclasses import dataclass

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Posterior:
    """Probabilities that the true difference a − b lies below −rope, within ±rope, above +rope; their sum is 1."""

    left: float  # b is better by more than the rope
    rope: float  # the two are equivalent for all practical purposes
    right: float  # a is better by more than the rope
    width: float  # the rope itself, in the scores' own unit: 0.01 is one point


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one test. A difference is always a − b, in the scores' own unit (0.021 is 2.1 points).

    `refused` says why there is neither p nor posterior nor interval where the numbers cannot support any.
    """

    method: str
    assumption: str  # in one sentence: what must hold for the numbers below
    estimate: float
    n: int  # how many numbers or things the uncertainty was learned from
    unit: str  # what these are: folds, corpora, clips, speakers
    level: float  # of the interval: 0.95
    interval: Interval | None = None
    p: float | None = None  # two-sided
    posterior: Posterior | None = None
    effect: float | None = None  # without unit
    effect_name: str = ""
    refused: str = ""
    remark: str = ""  # what a reader must know beside: few speakers, the smallest p that was possible
