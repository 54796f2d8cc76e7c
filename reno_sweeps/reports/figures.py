"""Figures of what was tested: confusion and F1 of the best trial, and its baselines beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reno_sweeps.records import FoldScore
from reno_sweeps.reports import by_class, tables, wording
from reno_sweeps.reports.curves import fold_name
from reno_sweeps.reports.panels import Figure, axis, figure, literal, part
from reno_sweeps.reports.theme import BLUE, GREY, SERIES

HEIGHT = 440  # of what stands beside the calibration
PANELS = ("macro_f1", "accuracy", "uar")


def confusion(
    scores: Sequence[FoldScore], classes: Sequence[str], *, normalised: bool = False, caveat: str = ""
) -> Figure:
    """What was taken for what on the test folds together: counts, or shares of each truth."""
    counts = tables.confusion_counts(scores)
    cells = [[c / sum(row) if sum(row) else None for c in row] for row in counts] if normalised else counts
    names = [literal(name) for name in classes]
    angle = -35 if len(names) < 9 else -60
    heat = {
        "type": "heatmap",
        "z": cells,
        "x": names,
        "y": names,
        "texttemplate": "%{z:.0%}" if normalised else "%{z}",
        "showscale": False,
        "hovertemplate": "%{y} taken for %{x}: %{z" + (":.1%" if normalised else "") + "}<extra></extra>",
        **({"zmin": 0, "zmax": 1} if normalised else {"zmin": 0}),
    }
    down = {
        "title": {"text": "truth"},
        "autorange": "reversed",
        "type": "category",
        "showgrid": False,
        "ticks": "",
        "ticklabelstandoff": 5,
    }
    across = {"title": {"text": "prediction"}, "type": "category", "showgrid": False, "ticks": "", "tickangle": angle}
    title = "Confusion, shares of each truth" if normalised else "Confusion, clips"
    return figure([heat], title, caveat, 160 + max(260, 38 * len(classes)), xaxis=across, yaxis=down)


def class_f1(scores: Sequence[FoldScore], classes: Sequence[str], caveat: str = "") -> Figure:
    """F1 of each class on the test folds: a bar for the mean with its deviation, a point for each fold."""
    names = [literal(name) for name in classes]
    found = by_class.rows(scores, classes)
    spread = {"type": "data", "array": [row["f1_sd"] or 0 for row in found], "color": GREY, "thickness": 1.6}
    bar: Figure = {
        "type": "bar",
        "orientation": "h",
        "name": "mean",
        "x": [row["f1"] for row in found],
        "y": names,
        "error_x": spread,
        "hovertemplate": "%{x:.1%}",
    }
    bar |= {"marker": {"color": BLUE, "opacity": 0.55}, "hoverlabel": {"namelength": 0}}
    data: list[Figure] = [bar]
    for number, score in enumerate(scores):
        point: Figure = {"type": "scatter", "mode": "markers", "name": fold_name(score, scores), "y": names}
        point |= {"x": list(score.test_f1), "hovertemplate": "%{x:.1%}"}
        data.append({**point, "marker": {"size": 7, "color": SERIES[number % len(SERIES)]}})
    down = {"autorange": "reversed", "type": "category", "showgrid": False}
    across = {"title": {"text": "F1"}, "tickformat": ".0%", "range": [0, 1]}
    layout = {"xaxis": across, "yaxis": down, "showlegend": False, "bargap": 0.35}
    return figure(data, "F1 by class", caveat, max(HEIGHT, 130 + 36 * len(classes)), **layout)


def compared(summary: Mapping[str, Any], caveat: str = "") -> Figure | None:
    """Everything that was tested on the same folds: mean, deviation and each fold; None where nothing was."""
    found = tables.compared(summary)
    if not found:
        return None
    data: list[Figure] = []
    for i, metric in enumerate(PANELS):
        names = [name for name, over in found.items() if metric in over]
        overs = [found[name][metric] for name in names]
        data += _spread([literal(name) for name in names], overs, metric, i)
    axes: Figure = {}
    for i, metric in enumerate(PANELS):
        title = {"title": {"text": wording.metric(f"test_{metric}")}}
        axes[axis("x", i)] = {
            **title,
            "tickformat": ".0%",
            "rangemode": "tozero",
            "nticks": 5,
            "domain": part(i, 3, 0.08),
        }
    axes["yaxis"] = {"autorange": "reversed", "type": "category", "showgrid": False}
    return figure(data, "On the same test folds", caveat, 150 + 38 * len(found), showlegend=False, **axes)


def _spread(names: Sequence[str], overs: Sequence[Mapping[str, Any]], metric: str, panel: int) -> list[Figure]:
    place = {"xaxis": f"x{panel + 1}", "yaxis": "y", "type": "scatter", "mode": "markers"}
    folds = [(name, value) for name, over in zip(names, overs, strict=True) for value in over["folds"]]
    small = {"size": 6, "color": GREY, "opacity": 0.6}
    error = {"type": "data", "array": [over["std"] or 0 for over in overs], "color": BLUE, "thickness": 1.6}
    means = {"x": [over["mean"] for over in overs], "y": list(names), "error_x": error}
    each = {"x": [value for _, value in folds], "y": [name for name, _ in folds], "marker": small}
    hover = {"hovertemplate": f"{wording.METRICS[metric]} %{{x:.1%}}<extra></extra>"}
    return [{**place, **each, **hover}, {**place, **means, **hover, "marker": {"size": 10, "color": BLUE}}]
