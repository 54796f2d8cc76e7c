"""Accuracy, macro-F1 and UAR of many confusion matrices at once: what `reno_sweeps.metrics` says of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Tables = NDArray[np.float64]  # [..., classes, classes]: [truth][prediction], counts; none of them empty


def accuracy(tables: Tables) -> NDArray[np.float64]:
    """Share of clips predicted right, [...]."""
    return np.asarray(_hits(tables).sum(-1) / tables.sum((-1, -2)))


def macro_f1(tables: Tables) -> NDArray[np.float64]:
    """Mean F1 over the classes that occur in truth or prediction, [...]."""
    return _mean(2 * _hits(tables), tables.sum(-1) + tables.sum(-2))


def uar(tables: Tables) -> NDArray[np.float64]:
    """Mean recall over the classes that occur in truth, [...]."""
    return _mean(_hits(tables), tables.sum(-1))


METRICS = {"accuracy": accuracy, "macro_f1": macro_f1, "uar": uar}


def _hits(tables: Tables) -> Tables:
    return np.diagonal(tables, axis1=-2, axis2=-1)


def _mean(above: Tables, below: Tables) -> NDArray[np.float64]:
    """Mean of above/below over the classes (last axis) in which there is something below."""
    present = below > 0
    return np.asarray((above / np.where(present, below, 1) * present).sum(-1) / present.sum(-1))
