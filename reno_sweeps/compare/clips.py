"""Predictions by clip as the tests of this room take them: class numbers, checked, and who spoke."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reno_sweeps.records import UserError

Numbers = NDArray[np.int64]


def labels_of(values: ArrayLike, name: str, like: ArrayLike | None = None) -> Numbers:
    """Class numbers [clips], one a clip of `like` where that is given."""
    found = _whole(values, name)
    if found.ndim != 1 or not found.size:
        raise UserError(f"{name}: shape {list(found.shape)}\none class number a clip is needed, [clips]")
    if like is not None and found.shape != np.shape(like):
        raise UserError(
            f"{name}: {found.size} clips, truth has {np.size(like)}\npredictions are paired by clip: give the same"
        )
    return found


def predictions_of(values: ArrayLike, name: str, truth: Numbers) -> Numbers:
    """Class numbers [repeats, clips] of one head: a single row where [clips] are given."""
    found = np.atleast_2d(_whole(values, name))
    if found.ndim != 2 or not found.shape[0] or found.shape[1] != len(truth):
        raise UserError(f"{name}: shape {list(np.shape(values))} for {len(truth)} clips\n[clips] or [repeats, clips]")
    return found


def speakers_of(speakers: Sequence[str | None], clips: int) -> Numbers:
    """A number for each clip's speaker, from 0; a UserError where one is not known."""
    if len(speakers) != clips:
        raise UserError(f"{len(speakers)} speakers for {clips} clips\none speaker a clip is needed")
    unknown = sum(speaker is None for speaker in speakers)
    if unknown:
        raise UserError(f"the speaker of {unknown} of {clips} clips is not known\nleave speakers out: by clip")
    place = {speaker: number for number, speaker in enumerate(sorted({str(s) for s in speakers}))}
    return np.array([place[str(speaker)] for speaker in speakers], np.int64)


def _whole(values: Any, name: str) -> Numbers:
    found = np.asarray(values)
    if found.dtype.kind not in "iu" or (found.size and found.min() < 0):
        raise UserError(f"{name}: class numbers are whole numbers from 0, not {found.dtype}")
    return found.astype(np.int64)
