"""The files beside the page: every table as CSV, Markdown and LaTeX, every figure as PNG and PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reno_sweeps.records import Sweep, Trial
from reno_sweeps.reports import (
    by_class,
    calibration,
    canvas,
    comparisons,
    curves,
    drawing,
    hard_clips,
    intervals,
    latex,
    pictures,
    resampled,
    space_file,
    tables,
    wording,
)
from reno_sweeps.reports.embedding_map import Map
from reno_sweeps.reports.evidence import Evidence

LISTED = 200  # hardest clips in the file

Files = dict[str, bytes]  # name → content
Shown = Sequence[Mapping[str, str]]


def files(
    sweep: Sweep,
    trials: Sequence[Trial],
    summary: Mapping[str, Any],
    classes: Sequence[str],
    evidence: Evidence | None = None,
    maps: Sequence[Map] = (),
) -> Files:
    """All of them, by name."""
    caveat = wording.caveat(summary)
    best = drawing.best_of(trials, summary)
    made = {
        "trials.csv": _csv(tables.trial_rows(trials, sweep)),
        space_file.NAME: text(space_file.resolved(sweep)),
        **canvas.files("history", pictures.history(sweep, trials, caveat)),
        **_baselines(summary, caveat),
    }
    if best is not None:
        made |= _tables_of(sweep, summary, best, classes, caveat) | _pictures_of(sweep, best, classes, caveat)
    if nested := tables.nested_rows(summary):
        made["nested.csv"] = _csv(nested)
    if evidence is not None:
        made |= _answers(evidence, classes, caveat)
    for place, found in enumerate(maps):
        made |= canvas.files(f"map-{place}", pictures.embeddings(found, caveat))
    return made


def folds(best: Trial) -> list[tables.Row]:
    """The best trial's folds, and what they come to."""
    return intervals.with_statistics(tables.brief_folds(best.scores), intervals.folds_of(best.scores))


def text(content: str) -> bytes:
    """UTF-8; a file's name may hold bytes that are no text, which are spelled out."""
    return content.encode("utf-8", "backslashreplace")


def _csv(rows: Sequence[tables.Row]) -> bytes:
    return text(tables.csv_text(rows))


def _table(name: str, rows: Sequence[tables.Row], shown: Shown, caption: str, rule: int | None = None) -> Files:
    """One table three times: CSV with every digit, Markdown and LaTeX as people read it; nothing without rows."""
    if not rows:
        return {}
    return {
        f"{name}.csv": _csv(rows),
        f"{name}.md": text(tables.markdown(shown)),
        f"{name}.tex": text(latex.table(shown, caption, f"tab:{name}", rule)),
    }


def _baselines(summary: Mapping[str, Any], caveat: str) -> Files:
    """What was tested on the same folds, and how sure the differences are."""
    told = f"{summary['sweep']}{f' ({caveat})' if caveat else ''}"
    sure = comparisons.of_sweep(summary)
    means = f"{told}: test folds, mean ± standard deviation over folds."
    exact = [
        {"tested": name, "metric": metric, "mean": over["mean"], "sd": over["std"], "folds": len(over["folds"])}
        for name, test in tables.compared(summary).items()
        for metric, over in test.items()
    ]
    shown = [{name: str(value) for name, value in row.items()} for row in tables.headline(summary)]
    differences = f"{told}: differences a − b. {comparisons.MEANING}"
    return _table("baselines", exact, shown, means) | _table(
        "comparisons", comparisons.rows(sure), comparisons.shown(sure), differences
    )


def _tables_of(sweep: Sweep, summary: Mapping[str, Any], best: Trial, classes: Sequence[str], caveat: str) -> Files:
    told = f"{summary['sweep']}, trial {best.number}{f' ({caveat})' if caveat else ''}"
    rows = by_class.rows(best.scores, classes)
    counts: list[tables.Row] = [
        {"truth": name, **dict(zip(classes, row, strict=True))}
        for name, row in zip(classes, tables.confusion_counts(best.scores), strict=True)
    ]
    said = f"{told}: test folds. {wording.INTERVALS}"
    made = _table("folds", tables.fold_rows(best.scores), tables.shown(folds(best)), said, len(best.scores))
    made |= _table("classes", rows, by_class.shown(rows), f"{told}: each class on the test folds.")
    made["folds.md"] = text(_folds_markdown(sweep, summary, best, caveat))
    made["intervals.csv"] = _csv(intervals.metric_rows(best.scores))
    return made | {"confusion.csv": _csv(counts), "curves.csv": _csv(curves.rows(best.scores))}


def _folds_markdown(sweep: Sweep, summary: Mapping[str, Any], best: Trial, caveat: str) -> str:
    """The fold table and the baselines for a README or an issue, with what the numbers mean."""
    parts = [
        f"## {' '.join(str(summary['sweep']).split())}: trial {best.number}{f' ({caveat})' if caveat else ''}",
        tables.markdown(tables.headline(summary)).rstrip(),
        tables.markdown(tables.shown(folds(best))).rstrip(),
        wording.INTERVALS,
        f"Selection `{sweep.protocol.selection}`: {wording.PROTOCOLS[sweep.protocol.selection]}.",
    ]
    return "\n\n".join(parts) + "\n"


def _pictures_of(sweep: Sweep, best: Trial, classes: Sequence[str], caveat: str) -> Files:
    learned = pictures.learning_curves(best.scores, sweep.objective.metric, caveat)
    return {
        **canvas.files("confusion", pictures.confusion(best.scores, classes, caveat)),
        **canvas.files("curves", learned),
        **canvas.files("classes", pictures.class_f1(best.scores, classes, caveat)),
    }


def _answers(evidence: Evidence, classes: Sequence[str], caveat: str) -> Files:
    found = calibration.reliability(evidence.probabilities, evidence.labels)
    return {
        "calibration.csv": _csv(calibration.rows(found)),
        "resampled.csv": _csv(resampled.rows(evidence, classes)),
        "hardest.csv": _csv(hard_clips.rows(evidence, classes, LISTED)),
        **canvas.files("calibration", pictures.reliability(found, caveat)),
    }
