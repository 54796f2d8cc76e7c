"""Clips dealt out in parts of about equal shares of every class: clip by clip, or by whole speakers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rows = tuple[int, ...]

DRAWS = 20  # deals by speakers to choose from
JITTER = 0.3  # of the logarithm of a speaker's size in the order of dealing: large ones first, and yet by chance


def by_clips(labels: Sequence[str], parts: int, seed: int) -> list[Rows]:
    """Numbers of clips in `parts` parts, every class spread evenly over them."""
    from sklearn.model_selection import StratifiedKFold

    dealer = StratifiedKFold(parts, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():  # classes smaller than the number of parts: what that leaves absent is said by us
        warnings.simplefilter("ignore", UserWarning)
        return [tuple(map(int, places)) for _, places in dealer.split(labels, labels)]


def by_speakers(labels: Sequence[str], speakers: Sequence[str | None], parts: int, seed: int) -> list[Rows]:
    """Numbers of clips in `parts` parts, every speaker in one of them; a part may be empty where there are too few.

    Of `DRAWS` random deals the one that leaves fewest classes absent from a part, then the most even one. (Not by
    scikit-learn's StratifiedGroupKFold: it orders speakers by their counts, so that where these differ every seed gives
    the same parts, and repeats would repeat nothing.)
    """
    import numpy as np

    _, class_of = np.unique(np.array(labels), return_inverse=True)
    _, speaker_of = np.unique(np.array(speakers), return_inverse=True)
    counts = np.zeros((speaker_of.max() + 1, class_of.max() + 1))
    np.add.at(counts, (speaker_of, class_of), 1)
    generator = np.random.default_rng(seed)
    _, _, homes = min((_deal(counts, parts, generator) for _ in range(DRAWS)), key=lambda deal: deal[:2])
    return [tuple(map(int, np.flatnonzero(homes[speaker_of] == part))) for part in range(parts)]


def _deal(
    counts: NDArray[np.float64], parts: int, generator: np.random.Generator
) -> tuple[int, float, NDArray[np.int64]]:
    """What the parts of one random deal lack, how unequal they are, and the part of each speaker.

    `counts` [speakers, classes]: clips. Each speaker goes where there is least of what it brings, class by class as a
    share of the class, and clips in all.
    """
    import numpy as np

    sizes = counts.sum(axis=1)
    whole = np.sqrt(counts.shape[1]) * sizes / sizes.sum()  # the sizes of the parts weigh as much as all classes
    brings = np.column_stack([counts / counts.sum(axis=0), whole])
    held, homes = np.zeros((parts, brings.shape[1])), np.zeros(len(sizes), np.int64)
    for speaker in np.argsort(-sizes * np.exp(JITTER * generator.normal(size=len(sizes)))):
        load = (held @ brings[speaker]).round(12)  # rounding: equal loads are a tie on every machine
        homes[speaker] = np.lexsort((generator.random(parts), held[:, -1].round(12), load))[0]
        held[homes[speaker]] += brings[speaker]
    empty = int((held == 0).sum())
    return empty, round(float(((held - held.mean(axis=0)) ** 2).sum()), 12), homes
