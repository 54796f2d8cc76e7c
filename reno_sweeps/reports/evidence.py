"""What a trial answered on its test folds, clip by clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reno_sweeps.records import Clip, FoldScore

LEAST = 2.0**-24  # float16's smallest number: a stored probability of 0 lies below it


@dataclass(frozen=True, slots=True)
class Evidence:
    """Out-of-fold answers, n of them: a clip stands once a repeat. Probabilities were stored as float16."""

    clips: tuple[Clip, ...]  # the corpus, by number of clip
    numbers: NDArray[np.int64]  # [n] of the clip that was answered
    labels: NDArray[np.int64]  # [n] number of its true class
    probabilities: NDArray[np.float64]  # [n, classes]
    repeats: NDArray[np.int64]  # [n]
    folds: NDArray[np.int64]  # [n] the fold that tested it

    @property
    def answers(self) -> NDArray[np.int64]:
        """[n] the likeliest class."""
        return np.asarray(self.probabilities.argmax(-1), np.int64)

    @property
    def cross_entropies(self) -> NDArray[np.float64]:
        """[n] −log of the true class's probability, at most 16.6: float16 knows no smaller one."""
        own = self.probabilities[np.arange(len(self.labels)), self.labels]
        return np.asarray(-np.log(np.clip(own, LEAST, 1.0)), np.float64)


def gather(
    scores: Sequence[FoldScore],
    read: Callable[[FoldScore], Mapping[str, Any]],
    clips: Sequence[Clip],
    classes: Sequence[str],
) -> Evidence | None:
    """The test answers of all folds. `read` gives a fold's `test_rows` [m] and `test_probabilities` [m, classes].

    None where nothing was stored.
    """
    number = {name: index for index, name in enumerate(classes)}
    stored = [(score, arrays) for score in scores if "test_rows" in (arrays := read(score))]
    if not stored:
        return None
    rows = [np.asarray(arrays["test_rows"], np.int64) for _, arrays in stored]
    together = np.concatenate(rows)
    return Evidence(
        clips=tuple(clips),
        numbers=together,
        labels=np.array([number[clips[row].label] for row in together.tolist()], np.int64),
        probabilities=np.concatenate([np.asarray(a["test_probabilities"], np.float64) for _, a in stored]),
        repeats=np.concatenate([np.full(len(r), s.repeat) for r, (s, _) in zip(rows, stored, strict=True)]),
        folds=np.concatenate([np.full(len(r), s.fold) for r, (s, _) in zip(rows, stored, strict=True)]),
    )
