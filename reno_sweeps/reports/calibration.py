"""Whether a model's confidence can be believed: reliability in bins of equal width, expected calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reno_sweeps.reports.panels import Figure, figure
from reno_sweeps.reports.theme import BLUE, GREY, ORANGE
from reno_sweeps.space import Value

BINS = 10
HEIGHT = 440  # of what stands beside the F1 by class


@dataclass(frozen=True, slots=True)
class Bin:
    """The clips whose confidence lies in (low, high]; `confidence` and `accuracy` are their means, None of no clip."""

    low: float
    high: float
    clips: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Confidence against accuracy, of `clips` answers."""

    bins: tuple[Bin, ...]
    clips: int
    confidence: float
    accuracy: float
    error: float  # expected calibration error: mean over clips of their bin's |accuracy − confidence|


def reliability(probabilities: NDArray[Any], labels: NDArray[np.integer[Any]], bins: int = BINS) -> Reliability:
    """Of probabilities [n, classes] and true classes [n], n ≥ 1; confidence is the likeliest class's probability.

    Bins of equal width, closed above, as in Guo et al. 2017 (On calibration of modern neural networks). The error
    grows with the number of bins and shrinks with the number of clips: compare it at equal ones only.
    """
    sure = np.clip(probabilities.max(-1).astype(np.float64), 0.0, 1.0)
    right = (probabilities.argmax(-1) == labels).astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    made = tuple(_bin(float(edges[i]), float(edges[i + 1]), sure[place == i], right[place == i]) for i in range(bins))
    gaps = [
        b.clips * abs(b.accuracy - b.confidence) for b in made if b.accuracy is not None and b.confidence is not None
    ]
    return Reliability(made, len(sure), float(sure.mean()), float(right.mean()), sum(gaps) / len(sure))


def _bin(low: float, high: float, sure: NDArray[np.float64], right: NDArray[np.float64]) -> Bin:
    if not len(sure):
        return Bin(low, high, 0, None, None)
    return Bin(low, high, len(sure), float(sure.mean()), float(right.mean()))


def rows(found: Reliability) -> list[dict[str, Value]]:
    """A row a bin, every digit kept."""
    return [
        {
            "from": round(b.low, 9),
            "to": round(b.high, 9),
            "clips": b.clips,
            "confidence": b.confidence,
            "accuracy": b.accuracy,
        }
        for b in found.bins
    ]


def said(found: Reliability) -> str:
    """The finding in a sentence."""
    gap = 100 * (found.confidence - found.accuracy)
    kind = "over-confident" if gap > 0 else "under-confident"
    verdict = f"{kind} by {abs(gap):.1f} points" if abs(gap) >= 0.05 else "neither over- nor under-confident"
    means = f"Mean confidence {100 * found.confidence:.1f} %, accuracy {100 * found.accuracy:.1f} %"
    counted = f"({len(found.bins)} bins, {found.clips} answers)"
    return f"{means}: on the whole {verdict}; expected calibration error {100 * found.error:.1f} % {counted}."


def reliability_figure(found: Reliability, caveat: str = "") -> Figure:
    """Accuracy by confidence with the diagonal of perfect calibration; below it the clips of each bin."""
    there = [b for b in found.bins if b.clips]
    hover = [f"{b.clips} clips, confidence {_percent(b.confidence)}, accuracy {_percent(b.accuracy)}" for b in there]
    middles, width = [(b.low + b.high) / 2 for b in there], 0.92 / len(found.bins)
    bars: Figure = {"type": "bar", "x": middles, "width": width, "hovertext": hover, "hoverinfo": "text"}
    counts = bars | {"name": "clips", "y": [b.clips for b in there], "yaxis": "y2"}
    counts |= {"text": [str(b.clips) for b in there], "textposition": "outside", "cliponaxis": False}
    right = bars | {"name": "accuracy", "y": [b.accuracy for b in there]}
    ideal = _quiet([0, 1], [0, 1]) | {"mode": "lines", "line": {"color": ORANGE, "dash": "dot", "width": 1.6}}
    means = _quiet([b.confidence for b in there], [b.accuracy for b in there])
    data = [
        right | {"marker": {"color": BLUE, "opacity": 0.55}},
        ideal,
        means | {"mode": "markers", "marker": {"color": BLUE, "size": 8}},
        counts | {"marker": {"color": GREY, "opacity": 0.7}},
    ]
    title = f"Calibration: expected error {100 * found.error:.1f} %"
    return figure(data, title, caveat, HEIGHT, showlegend=False, bargap=0, **_axes(there))


def _quiet(x: Sequence[float | None], y: Sequence[float | None]) -> Figure:
    """Marks over the bars that say nothing of their own."""
    return {"type": "scatter", "x": list(x), "y": list(y), "hoverinfo": "skip"}


def _axes(there: Sequence[Bin]) -> Figure:
    most = max((b.clips for b in there), default=1)
    return {
        "xaxis": {"title": {"text": "confidence"}, "range": [0, 1], "tickformat": ".0%", "anchor": "y2"},
        "yaxis": {"title": {"text": "accuracy"}, "range": [0, 1], "tickformat": ".0%", "domain": [0.34, 1]},
        "yaxis2": {"title": {"text": "clips"}, "range": [0, 1.3 * most], "domain": [0, 0.22], "nticks": 3},
    }


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
