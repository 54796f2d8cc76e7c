"""Whether rows belong together: a permutation test of dependence between two descriptions of the same clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reno_sweeps.records import UserError

PERMUTATIONS = 199
MOST = 500  # clips: enough for any dependence worth the name, and a second's work
FLOOR = 1e-6  # of a feature's deviation, as in training
ASSUMPTION = "clips are exchangeable: under no dependence every pairing of rows is as likely as the given one"


@dataclass(frozen=True, slots=True)
class Alignment:
    """How much two descriptions of the same clips agree, and how often shuffled rows agree as much."""

    agreement: float  # centred kernel alignment (CKA), 0 to 1
    shuffled: float  # its mean over shuffled rows
    p: float  # (1 + shuffles that agree at least as much) / (1 + shuffles)
    clips: int


def alignment(
    a: NDArray[Any], b: NDArray[Any], generator: np.random.Generator, *, permutations: int = PERMUTATIONS
) -> Alignment:
    """Linear CKA of a [clips, dim a] and b [clips, dim b] against shuffled rows (Kornblith et al. 2019).

    Rows of one in another order than those of the other agree no better than shuffled ones: p is then uniform. b may
    be labels as `one_hot` has them. Of more than MOST clips so many are drawn. Raises UserError for rows of unlike
    number, or fewer than five.
    """
    if len(a) != len(b) or len(a) < 5:
        raise UserError(f"{len(a)} and {len(b)} rows: at least five pairs are needed")
    rows = np.arange(len(a)) if len(a) <= MOST else generator.choice(len(a), MOST, replace=False)
    one, other = (_similarity(np.asarray(x, np.float64)[rows]) for x in (a, b))
    norm = float(np.sqrt((one * one).sum() * (other * other).sum()))
    if norm == 0:
        return Alignment(0.0, 0.0, 1.0, len(rows))  # all clips alike: nothing is said of any order
    agreement = float((one * other).sum()) / norm
    found = []
    for _ in range(permutations):
        order = generator.permutation(len(rows))
        found.append(float((one * other[np.ix_(order, order)]).sum()) / norm)
    as_much = sum(value >= agreement for value in found)
    return Alignment(agreement, float(np.mean(found)), (1 + as_much) / (1 + permutations), len(rows))


def one_hot(labels: NDArray[Any]) -> NDArray[np.float64]:
    """Labels [clips] as columns [clips, classes]."""
    _, numbers = np.unique(labels, return_inverse=True)
    return np.eye(numbers.max() + 1)[numbers]


def _similarity(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred similarities of standardised rows [clips, clips]."""
    wide = np.clip((x - x.mean(0)) / np.maximum(x.std(0), FLOOR), -10, 10)
    wide = wide - wide.mean(0)
    return np.asarray(wide @ wide.T, np.float64)
