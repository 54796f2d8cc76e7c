"""Score arrays [repeats, folds] as the tests of this room take them: checked, paired, with their test share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reno_sweeps.records import UserError

Scores = NDArray[np.float64]
DIGITS = 12  # of the largest score: two differences that agree so far differ by rounding alone


def matrix(values: ArrayLike, name: str = "scores") -> Scores:
    """The scores of one contestant, float64 [repeats, folds]; a UserError names the first that is no number."""
    array = _floats(values, name)
    if array.ndim != 2 or array.size == 0:
        raise UserError(f"{name}: shape {list(array.shape)}\nscores are [repeats, folds]: one row a repeat")
    _refuse_gaps(array, name)
    return array


def row(values: ArrayLike, name: str = "scores") -> Scores:
    """One score a corpus, float64 [corpora]; a UserError names the first that is no number."""
    array = _floats(values, name)
    if array.ndim != 1 or array.size == 0:
        raise UserError(f"{name}: shape {list(array.shape)}\none score a corpus is needed")
    _refuse_gaps(array, name)
    return array


def difference(a: Scores, b: Scores) -> Scores:
    """a − b, entry by entry; what differs by rounding alone is made equal, so that ties and no spread are seen."""
    if a.shape != b.shape:
        raise UserError(
            f"scores of shapes {list(a.shape)} and {list(b.shape)} cannot be paired\n"
            "only scores of the same repeats and folds are compared"
        )
    size = max(np.abs(a).max(), np.abs(b).max()) or 1.0
    return np.asarray(np.round((a - b) / size, DIGITS) * size, np.float64)


def ratio_from_sizes(test: Sequence[int], seen: Sequence[int]) -> float:
    """Test clips to the clips that training saw, over all folds: Nadeau & Bengio's n₂/n₁.

    `seen` counts what shaped the model, so the validation part too. In K-fold cross-validation it is 1/(K − 1),
    however unequal the folds are.
    """
    if len(test) != len(seen) or not test or min(*test, *seen) < 1:
        raise UserError(f"fold sizes: test {list(test)}, seen {list(seen)}\nboth need one positive count a fold")
    return sum(test) / sum(seen)


def ratio_of(folds: int, ratio: float | None) -> float:
    """The given ratio of test to training clips, or that of cross-validation with so many folds."""
    if ratio is None:
        if folds < 2:
            raise UserError("one fold a repeat: the ratio of test to training clips is not known\ngive ratio=")
        return 1 / (folds - 1)
    if not 0 <= ratio < np.inf:
        raise UserError(f"ratio of test to training clips: {ratio}\n0.25 is that of five folds")
    return float(ratio)


def checked_level(level: float) -> float:
    """The level of an interval, between 0 and 1."""
    if not 0 < level < 1:
        raise UserError(f"level {level}: an interval's level lies between 0 and 1, as 0.95")
    return level


def _floats(values: ArrayLike, name: str) -> Scores:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: no table of numbers ({error})\nscores are [repeats, folds]") from error


def _refuse_gaps(array: NDArray[Any], name: str) -> None:
    gaps = np.argwhere(~np.isfinite(array))
    if len(gaps):
        where = ("corpus",) if array.ndim == 1 else ("repeat", "fold")
        place = ", ".join(f"{axis} {index}" for axis, index in zip(where, gaps[0], strict=True))
        raise UserError(
            f"{name}: the score of {place} is {array[tuple(gaps[0])]} ({len(gaps)} of {array.size} are no numbers)\n"
            "only finished folds with finite scores are compared"
        )
