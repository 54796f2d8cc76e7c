"""Static figures, for places that show no script and for papers; each is a matplotlib figure that `canvas` encodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reno_sweeps.records import FoldScore, Sweep, Trial
from reno_sweeps.reports import by_class, curves, embedding_map, tables, wording
from reno_sweeps.reports.calibration import Reliability
from reno_sweeps.reports.canvas import axes, literal, titled
from reno_sweeps.reports.embedding_map import Map
from reno_sweeps.reports.theme import BLUE, GREY, ORANGE, RED, SERIES

MARKERS = dict(zip(embedding_map.SYMBOLS, "oDs^P", strict=True))  # plotly's names of symbols → matplotlib's


def history(sweep: Sweep, trials: Sequence[Trial], caveat: str = "") -> Any:
    """The objective over trial number with the best so far; trials without an objective as marks at the foot."""
    name = f"val_{sweep.objective.metric}"
    better = max if sweep.objective.direction == "maximize" else min
    figure, panel = axes(7.0, 3.6)
    done = [(t.number, t.objective) for t in trials if t.state == "complete" and t.objective is not None]
    best: list[float] = []
    for _, value in done:
        best.append(better([value, *best[-1:]]))
    numbers = [number for number, _ in done]
    panel.plot(numbers, [v for _, v in done], "o", color=BLUE, alpha=0.7, markersize=4, label=wording.metric(name))
    panel.step(numbers, best, where="post", color=ORANGE, label="best so far")
    for state, colour in (("pruned", GREY), ("failed", RED)):
        lost = [trial.number for trial in trials if trial.state == state]
        if lost:
            foot = panel.get_xaxis_transform()
            panel.plot(lost, [0.02] * len(lost), "x", color=colour, markersize=5, label=state, transform=foot)
    panel.set(xlabel="trial", ylabel=wording.metric(name), title=titled("Search history", caveat))
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    panel.grid(alpha=0.25)
    return figure


def confusion(scores: Sequence[FoldScore], classes: Sequence[str], caveat: str = "") -> Any:
    """What was taken for what on the test folds together: clips at the left, shares of each truth at the right."""
    counts = tables.confusion_counts(scores)
    shares = [[cell / max(1, sum(row)) for cell in row] for row in counts]
    most = max(1, *(cell for row in counts for cell in row))
    side = 2.2 + 0.48 * len(classes)
    figure, (left, right) = axes(2 * side, side, across=2)
    _matrix(left, [[cell / most for cell in row] for row in counts], [[str(cell) for cell in row] for row in counts])
    _matrix(right, shares, [[f"{100 * share:.0f}" for share in row] for row in shares])
    names = [literal(name) for name in classes]
    for panel, title in ((left, "clips"), (right, "% of each truth")):
        panel.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
        panel.set(xlabel="prediction", title=title)
    left.set_yticks(range(len(names)), names)
    right.set_yticks(range(len(names)), [])
    left.set_ylabel("truth")
    figure.suptitle(titled("Confusion on the test folds", caveat))
    return figure


def _matrix(panel: Any, shades: Sequence[Sequence[float]], texts: Sequence[Sequence[str]]) -> None:
    """A table of coloured cells, shades from 0 to 1, with ink that is read on each."""
    panel.imshow(shades, cmap="Blues", vmin=0, vmax=1)
    for down, row in enumerate(texts):
        for along, text in enumerate(row):
            ink = "white" if shades[down][along] > 0.55 else "black"
            panel.text(along, down, text, ha="center", va="center", color=ink, fontsize=8)


def learning_curves(scores: Sequence[FoldScore], objective: str, caveat: str = "") -> Any:
    """A panel each for metric, cross-entropies (training's dotted) and divergence; a dot on each kept epoch."""
    found = curves.panels(scores, objective)
    figure, row = axes(3.6 * len(found), 3.2, across=len(found))
    for panel, (title, metrics) in zip([row] if len(found) == 1 else row, found, strict=True):
        for number, score in enumerate(scores):
            for metric in metrics:
                if metric in score.curves:
                    _curve(panel, score, metric, SERIES[number % len(SERIES)])
        panel.set(xlabel="epoch", ylabel=title)
        panel.grid(alpha=0.25)
    figure.suptitle(titled("Learning curves of the best trial", caveat))
    return figure


def _curve(panel: Any, score: FoldScore, metric: str, colour: str) -> None:
    curve, training = score.curves[metric], metric in curves.TRAINING
    panel.plot(range(1, len(curve) + 1), curve, ":" if training else "-", color=colour, linewidth=1.1)
    if not training and 0 < score.best_epoch <= len(curve):
        panel.plot([score.best_epoch], [curve[score.best_epoch - 1]], "o", color=colour, markersize=4)


def class_f1(scores: Sequence[FoldScore], classes: Sequence[str], caveat: str = "") -> Any:
    """F1 of each class on the test folds: a bar for the mean with its deviation, a point for each fold."""
    found = by_class.rows(scores, classes)
    figure, panel = axes(6.0, 1.4 + 0.36 * len(classes))
    names = [literal(name) for name in classes]
    means, spread = ([float(row[key] or 0) for row in found] for key in ("f1", "f1_sd"))
    panel.barh(range(len(names)), means, 0.6, xerr=spread, color=BLUE, alpha=0.55, ecolor=GREY, capsize=2)
    for number, score in enumerate(scores):
        places = [place for place, f1 in enumerate(score.test_f1) if f1 is not None]
        panel.plot(
            [score.test_f1[place] for place in places], places, "o", color=SERIES[number % len(SERIES)], markersize=3.5
        )
    panel.set_yticks(range(len(names)), names)
    panel.invert_yaxis()
    panel.set(xlabel="F1", xlim=(0, 1), title=titled("F1 by class", caveat))
    return figure


def reliability(found: Reliability, caveat: str = "") -> Any:
    """Accuracy by confidence with the diagonal of perfect calibration; the number of clips on each bar."""
    figure, panel = axes(4.4, 4.0)
    there = [b for b in found.bins if b.clips]
    width = 0.92 / len(found.bins)
    bars = panel.bar([(b.low + b.high) / 2 for b in there], [b.accuracy for b in there], width, color=BLUE, alpha=0.55)
    panel.bar_label(bars, [str(b.clips) for b in there], fontsize=7, padding=2)
    panel.plot([0, 1], [0, 1], ":", color=ORANGE)
    panel.plot([b.confidence for b in there], [b.accuracy for b in there], "o", color=BLUE, markersize=4)
    said = f"Calibration: expected error {100 * found.error:.1f} %"
    panel.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.06), title=titled(said, caveat))
    return figure


def embeddings(found: Map, caveat: str = "") -> Any:
    """The clips of a map in the colours of their emotions and, where known, of their speakers, side by side."""
    figure, row = axes(4.6 * len(found.by), 5.2, across=len(found.by))
    for panel, by in zip([row] if len(found.by) == 1 else row, found.by, strict=True):
        for number, (name, rows) in enumerate(embedding_map.groups(found, by)):
            colour, symbol = embedding_map.style(number)
            dots = {"s": 9, "color": colour, "marker": MARKERS[symbol], "alpha": 0.75, "linewidths": 0}
            # a blank before the label: matplotlib hides from legends what begins with an underscore
            dots |= {"zorder": 1 if name.endswith(embedding_map.OTHERS) else 2}
            panel.scatter(found.points[rows, 0], found.points[rows, 1], label=f" {literal(name)}", **dots)
        panel.set(xticks=[], yticks=[], title=f"by {by}")
        panel.spines[:].set_visible(False)
        panel.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, frameon=False, fontsize=7, markerscale=1.5
        )
    figure.suptitle(titled(found.title, caveat))
    return figure
