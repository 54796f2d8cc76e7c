"""How the best trial learned: its metric, its cross-entropy in training and validation, its divergence, by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from reno_sweeps.records import FoldScore
from reno_sweeps.reports import wording
from reno_sweeps.reports.panels import LEGEND, Figure, axis, figure, part, value_axis
from reno_sweeps.reports.theme import SERIES
from reno_sweeps.space import Value

TRAINING = ("cross_entropy",)  # drawn dotted: with dropout and smoothing, as training sees it


def fold_name(score: FoldScore, scores: Sequence[FoldScore]) -> str:
    """'fold 3', or 'repeat 1, seed 2, fold 3' where there are several repeats or seeds."""
    repeat, seed, fold = score.place
    repeated = f"repeat {repeat}, " * any(other.place[0] for other in scores)
    return f"{repeated}{f'seed {seed}, ' * (score.seeds > 1)}fold {fold}"


def panels(scores: Sequence[FoldScore], objective: str) -> list[tuple[str, tuple[str, ...]]]:
    """(title, metrics) of every panel that the records have something for."""
    found = [("cross-entropy", ("val_cross_entropy", "cross_entropy")), ("Rényi divergence", ("divergence",))]
    if objective != "cross_entropy":
        found.insert(0, (wording.metric(f"val_{objective}"), (f"val_{objective}",)))
    return [(title, metrics) for title, metrics in found if any(m in s.curves for s in scores for m in metrics)]


def rows(scores: Sequence[FoldScore]) -> list[dict[str, Value]]:
    """A row a fold and epoch, every metric that was recorded, every digit."""
    return [
        {
            **dict(zip(("repeat", "seed", "fold"), score.place, strict=True)),
            "epoch": epoch + 1,
            "kept": epoch + 1 == score.best_epoch,
            **{name: curve[epoch] for name, curve in score.curves.items() if epoch < len(curve)},
        }
        for score in scores
        for epoch in range(max(map(len, score.curves.values()), default=0))
    ]


def learning_curves(scores: Sequence[FoldScore], objective: str, caveat: str = "") -> Figure:
    """A panel each for metric, cross-entropies and divergence; a colour for each fold, a dot on the kept epoch."""
    found = panels(scores, objective)
    data: list[Figure] = []
    axes: Figure = {}
    for i, (title, metrics) in enumerate(found):
        for number, score in enumerate(scores):
            name = fold_name(score, scores)
            data += [_curve(score, metric, name, number, i) for metric in metrics if metric in score.curves]
        axes[axis("x", i)] = {"title": {"text": "epoch"}, "domain": part(i, len(found), 0.3), "anchor": f"y{i + 1}"}
        axes[axis("y", i)] = {"title": {"text": title}, **value_axis(metrics[0]), "anchor": f"x{i + 1}"}
    legend = {"legend": LEGEND, "showlegend": 1 < len(scores) <= len(SERIES)}  # colours come again beyond these
    return figure(data, "Learning curves of the best trial", caveat, 380, **legend, **axes)


def _curve(score: FoldScore, metric: str, name: str, number: int, panel: int) -> Figure:
    curve, training = score.curves[metric], metric in TRAINING
    epochs = list(range(1, len(curve) + 1))
    said = f"{name}, {'training ' * training}{wording.metric(metric)}: %{{y:.4g}}, epoch %{{x}}<extra></extra>"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "legendgroup": name,
        "showlegend": panel == 0,
        "x": epochs,
        "y": list(curve),
        "xaxis": f"x{panel + 1}",
        "yaxis": f"y{panel + 1}",
        "line": {"color": SERIES[number % len(SERIES)], "width": 1.6, "dash": "dot" if training else "solid"},
        "marker": {"size": [8 if epoch == score.best_epoch and not training else 0 for epoch in epochs]},
        "hovertemplate": said,
    }
