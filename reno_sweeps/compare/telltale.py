"""Whether a single feature gives the label away: what no recording does, and a leaked label always."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reno_sweeps.records import UserError

SUSPICIOUS = 0.995  # area under the ROC curve; the best single features of real encoders reach 0.7 to 0.9
LEAST = 5  # clips of a class, and of the others: fewer are parted by chance
COLUMNS = 256  # ranked at a time


@dataclass(frozen=True, slots=True)
class Telltale:
    """The feature that tells a class from all others best."""

    feature: int  # its column
    label: str
    area: float  # under the ROC curve of that feature alone, in the better direction: 0.5 to 1


def telltale(vectors: NDArray[Any], labels: NDArray[Any]) -> Telltale | None:
    """Of vectors [clips, dim] and labels [clips]; None where no class is large enough to be told by more than chance.

    The area is Mann and Whitney's, ties counted as half.
    """
    from scipy.stats import rankdata

    if len(vectors) != len(labels):
        raise UserError(f"{len(vectors)} vectors for {len(labels)} labels")
    names, numbers = np.unique(labels, return_inverse=True)
    counts = np.bincount(numbers, minlength=len(names))
    enough = np.flatnonzero((counts >= LEAST) & (len(labels) - counts >= LEAST))
    if not len(enough):
        return None
    own = (numbers[None] == enough[:, None]).astype(np.float64)  # [classes, clips]
    mine, others = counts[enough][:, None], len(labels) - counts[enough][:, None]
    found: list[tuple[float, int, int]] = []
    for start in range(0, vectors.shape[1], COLUMNS):
        ranks = rankdata(np.asarray(vectors[:, start : start + COLUMNS], np.float64), axis=0)
        areas = (own @ ranks - mine * (mine + 1) / 2) / (mine * others)
        areas = np.maximum(areas, 1 - areas)
        place = int(areas.argmax())
        row, column = divmod(place, areas.shape[1])
        found.append((float(areas[row, column]), start + column, int(enough[row])))
    area, column, label = max(found, key=lambda one: (one[0], -one[1]))
    return Telltale(column, str(names[label]), area)
