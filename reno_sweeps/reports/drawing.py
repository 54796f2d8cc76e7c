"""Every figure of the page that there is something to draw of, and what stands below each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reno_sweeps.records import Sweep, Trial
from reno_sweeps.reports import calibration, curves, embedding_map, figures, search_figures, search_relations, wording
from reno_sweeps.reports.embedding_map import Map
from reno_sweeps.reports.evidence import Evidence
from reno_sweeps.reports.panels import Figure

_CAPTIONS = {
    "compared": "Large: mean over folds with its deviation. Small: each fold. All were tested on the same clips.",
    "history": "Each point is a configuration's mean validation score over folds.",
    "slices": "Each point is a trial, early ones grey, late ones blue, the best a star. "
    "A cloud without a slope: it mattered little.",
    "importance": "Share of the objective's differences that each parameter accounts for, over all that was tried.",
    "parallel": "Each line is a trial, from axis to axis through what it tried: the bluer the better, the best orange.",
    "contour": "White points are trials; the ground between them is interpolated, and nothing is known beyond them. "
    "Few trials make smooth pictures of noise.",
    "curves": "One colour a fold; the dot marks the epoch whose weights were kept. "
    "Dotted: training's own cross-entropy, with its dropout. "
    "Divergence: of the two projected encoders, before its weight 1 − λ.",
    "counts": "Clips of all test folds together.",
    "shares": "The same, of each truth: the diagonal is recall.",
    "classes": "Bars: mean over folds with its deviation. Points: each fold.",
}


def best_of(trials: Sequence[Trial], summary: Mapping[str, Any]) -> Trial | None:
    """The trial that the summary names the best."""
    best = summary["best"]
    return None if best is None else next(trial for trial in trials if trial.number == best["number"])


def map_name(place: int, by: str) -> str:
    """What the page calls a map's figure."""
    return f"map-{place}-{by}"


def captions(evidence: Evidence | None = None, maps: Sequence[Map] = ()) -> dict[str, str]:
    """By the name of a figure; those of measurements say what was found."""
    made = {map_name(place, by): embedding_map.said(found, by) for place, found in enumerate(maps) for by in found.by}
    if evidence is not None:
        found = calibration.reliability(evidence.probabilities, evidence.labels)
        made["reliability"] = f"Bars below the dotted line: more confident than right. {calibration.said(found)}"
    return _CAPTIONS | made


def figures_of(
    sweep: Sweep,
    trials: Sequence[Trial],
    summary: Mapping[str, Any],
    classes: Sequence[str],
    evidence: Evidence | None = None,
    maps: Sequence[Map] = (),
    importances: Mapping[str, float] | None = None,
) -> dict[str, Figure]:
    """By name, as the page's template places them."""
    caveat = wording.caveat(summary)
    made: dict[str, Figure | None] = {"compared": figures.compared(summary, caveat)}
    if any(trial.ended for trial in trials):
        made["history"] = search_figures.history(sweep, trials, caveat)
        made["slices"] = search_figures.slices(sweep, trials, caveat)
        made |= _relations(sweep, trials, importances, caveat)
    best = best_of(trials, summary)
    if best is not None:
        made |= _tested(best, sweep.objective.metric, classes, caveat)
    if evidence is not None:
        found = calibration.reliability(evidence.probabilities, evidence.labels)
        made["reliability"] = calibration.reliability_figure(found, caveat)
    for place, mapped in enumerate(maps):
        made |= {map_name(place, by): embedding_map.map_figure(mapped, by, caveat) for by in mapped.by}
    return {name: figure for name, figure in made.items() if figure is not None}


def _relations(
    sweep: Sweep, trials: Sequence[Trial], importances: Mapping[str, float] | None, caveat: str
) -> dict[str, Figure | None]:
    pair = search_relations.strongest(sweep, trials, importances)
    return {
        "importance": search_relations.importance(importances or {}, caveat),
        "parallel": search_relations.parallel(sweep, trials, caveat),
        "contour": search_relations.contour(sweep, trials, pair, caveat) if pair else None,
    }


def _tested(best: Trial, metric: str, classes: Sequence[str], caveat: str) -> dict[str, Figure]:
    return {
        "curves": curves.learning_curves(best.scores, metric, caveat),
        "counts": figures.confusion(best.scores, classes, caveat=caveat),
        "shares": figures.confusion(best.scores, classes, normalised=True, caveat=caveat),
        "classes": figures.class_f1(best.scores, classes, caveat),
    }
