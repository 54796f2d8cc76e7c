"""Static figures as PNG: for places that show no script, such as MLflow's artifact list or a paper's draft."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

from reno_sweeps.records import FoldScore, Sweep, Trial
from reno_sweeps.reports import tables, wording
from reno_sweeps.reports.theme import BLUE, GREY, ORANGE, RED

DPI = 150


def history(sweep: Sweep, trials: Sequence[Trial], caveat: str = "") -> bytes:
    """The objective over trial number with the best so far; trials without an objective as marks at the foot."""
    name = f"val_{sweep.objective.metric}"
    better = max if sweep.objective.direction == "maximize" else min
    figure, axes = _axes(7.0, 3.6)
    numbers: list[int] = []
    values: list[float] = []
    best: list[float] = []
    for trial in trials:
        if trial.state == "complete" and trial.objective is not None:
            numbers.append(trial.number)
            values.append(trial.objective)
            best.append(better([trial.objective, *best[-1:]]))
    axes.plot(numbers, values, "o", color=BLUE, alpha=0.7, markersize=4, label=wording.metric(name))
    axes.step(numbers, best, where="post", color=ORANGE, label="best so far")
    for state, colour in (("pruned", GREY), ("failed", RED)):
        lost = [trial.number for trial in trials if trial.state == state]
        if lost:
            foot = axes.get_xaxis_transform()
            axes.plot(lost, [0.02] * len(lost), "x", color=colour, markersize=5, label=state, transform=foot)
    axes.set(xlabel="trial", ylabel=wording.metric(name), title=_titled("Search history", caveat))
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    axes.grid(alpha=0.25)
    return _png(figure)


def confusion(scores: Sequence[FoldScore], classes: Sequence[str], caveat: str = "") -> bytes:
    """What was taken for what on the test folds together: clips at the left, shares of each truth at the right."""
    counts = tables.confusion_counts(scores)
    shares = [[cell / max(1, sum(row)) for cell in row] for row in counts]
    most = max(1, *(cell for row in counts for cell in row))
    side = 2.2 + 0.48 * len(classes)
    figure, (left, right) = _axes(2 * side, side, across=2)
    _matrix(left, [[cell / most for cell in row] for row in counts], [[str(cell) for cell in row] for row in counts])
    _matrix(right, shares, [[f"{100 * share:.0f}" for share in row] for row in shares])
    names = [_literal(name) for name in classes]
    for axes, title in ((left, "clips"), (right, "% of each truth")):
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set(xlabel="prediction", title=title)
    left.set_yticks(range(len(names)), names)
    right.set_yticks(range(len(names)), [])
    left.set_ylabel("truth")
    figure.suptitle(_titled("Confusion on the test folds", caveat))
    return _png(figure)


def _matrix(axes: Any, shades: Sequence[Sequence[float]], texts: Sequence[Sequence[str]]) -> None:
    """A table of coloured cells, shades from 0 to 1, with ink that is read on each."""
    axes.imshow(shades, cmap="Blues", vmin=0, vmax=1)
    for down, row in enumerate(texts):
        for along, text in enumerate(row):
            ink = "white" if shades[down][along] > 0.55 else "black"
            axes.text(along, down, text, ha="center", va="center", color=ink, fontsize=8)


def _axes(wide: float, high: float, across: int = 1) -> tuple[Any, Any]:
    """A figure of so many inches, with its axes or a row of them; without pyplot's global state, for any thread."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(wide, high), layout="constrained")
    panels = figure.subplots(1, across, squeeze=False)[0]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels if across > 1 else panels[0]


def _titled(title: str, caveat: str) -> str:
    return f"{title} ({caveat})" if caveat else title


def _literal(text: str) -> str:
    """A label as it is: matplotlib reads TeX between dollar signs."""
    return text.replace("$", r"\$")


def _png(figure: Any) -> bytes:
    """The same figure gives the same bytes; signs that the font lacks are drawn as boxes, without a word."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()
