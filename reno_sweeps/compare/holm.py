"""Holm's step-down correction (1979): many comparisons, one chance of a false alarm for all of them together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reno_sweeps.records import UserError

ASSUMPTION = "None beyond those of the single tests: it holds however the comparisons depend on each other."


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values in the given order: below α means significant at α among all of them."""
    values = np.array(p, dtype=np.float64)
    if values.ndim != 1 or not np.all((values >= 0) & (values <= 1)):
        raise UserError(f"p-values {list(p)}: each lies between 0 and 1")
    order = values.argsort(kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())
