"""Scores of one fold from its clips' logits: accuracy, macro-F1, UAR, F1 by class, confusion, cross-entropy. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]  # [classes, classes]: [truth][prediction]


def score(logits: NDArray[Any], labels: NDArray[np.integer[Any]]) -> dict[str, float]:
    """accuracy, macro_f1, uar, cross_entropy: logits (or log-probabilities) [n, classes], labels [n], n ≥ 1."""
    counts = confusion(logits.argmax(-1), labels, logits.shape[-1])
    return {
        "accuracy": accuracy(counts),
        "macro_f1": macro_f1(counts),
        "uar": uar(counts),
        "cross_entropy": cross_entropy(logits, labels),
    }


def confusion(predicted: NDArray[np.integer[Any]], labels: NDArray[np.integer[Any]], classes: int) -> Counts:
    """How often each truth was taken for each class: [truth][prediction]."""
    pairs = np.asarray(labels, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def accuracy(counts: Counts) -> float:
    """Share of clips predicted right."""
    return float(np.trace(counts) / counts.sum())


def f1_by_class(counts: Counts) -> tuple[float | None, ...]:
    """F1 of each class, 2·hits/(truths + predictions); None where there is neither truth nor prediction."""
    hits, either = np.diag(counts), counts.sum(0) + counts.sum(1)
    return tuple(2.0 * float(h) / float(e) if e else None for h, e in zip(hits, either, strict=True))


def macro_f1(counts: Counts) -> float:
    """Mean F1 over the classes that occur, in truth or in prediction."""
    return float(np.mean([f1 for f1 in f1_by_class(counts) if f1 is not None]))


def uar(counts: Counts) -> float:
    """Unweighted average recall over the classes present in truth."""
    truths = counts.sum(1)
    present = truths > 0
    return float(np.mean(np.diag(counts)[present] / truths[present]))


def cross_entropy(logits: NDArray[Any], labels: NDArray[np.integer[Any]]) -> float:
    """Mean of −log softmax(logits)[label] over clips, in float64."""
    wide = logits.astype(np.float64)
    wide = wide - wide.max(-1, keepdims=True)
    own = np.take_along_axis(wide, np.asarray(labels)[:, None], -1)[:, 0]
    return float(np.mean(np.log(np.exp(wide).sum(-1)) - own))
