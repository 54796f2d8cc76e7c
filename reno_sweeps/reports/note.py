"""The note on a sweep's parent run: what was asked, what was found, how to do it again. Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reno_sweeps.records import Sweep
from reno_sweeps.reports import story, tables, wording
from reno_sweeps.space import Value


def note(sweep: Sweep, summary: Mapping[str, Any], *, synthetic: bool, messages: Sequence[str] = ()) -> str:
    """The whole note, from the object that `run --json` prints."""
    trials = summary["trials"]
    corpus = f"`{summary['corpus']}`{' (synthetic clips)' if synthetic else ''}"
    asked = f"{wording.cells(sweep)}; corpus {corpus}, {sweep.protocol.n_folds} folds; {trials['asked']} trials asked"
    protocol = wording.PROTOCOLS[sweep.protocol.selection].replace("optimistic:", "**optimistic**:")
    lines = [
        f"# {summary['sweep']}",
        "",
        f"{asked}, {wording.ended(trials)}.",
        f"Protocol `{sweep.protocol.selection}`: {protocol}.",
        *(["", *[f"> {message}" for message in messages]] if messages else []),
        "",
        *_searched(sweep),
        *_found(summary),
        *_runs(summary),
        *_again(),
    ]
    return "\n".join(lines) + "\n"


def _searched(sweep: Sweep) -> list[str]:
    if not sweep.search:
        return []
    rows: list[dict[str, Value]] = [{"parameter": n, "range": wording.span(d)} for n, d in sweep.search.items()]
    return ["## Searched", "", tables.markdown(rows)]


def _found(summary: Mapping[str, Any]) -> list[str]:
    best = summary["best"]
    if best is None:
        return ["## Found", "", "No trial is complete yet.", ""]
    params = ", ".join(f"`{name}` {wording.number(value)}" for name, value in best["params"].items())
    said = f"Best: trial {best['number']}, objective {wording.number(best['objective'])}; {params}."
    mark = ["† optimistic: the test fold stopped the training and selected.", ""] if summary.get("optimistic") else []
    table = tables.markdown(tables.headline(summary))
    gap = [f"{wording.gap(summary)}.".capitalize(), ""] if wording.gap(summary) else []
    warned = [f"> **Caution**: {sentence}." for sentence in summary.get("cautions", ())]
    warned = [line for sentence in warned for line in (sentence, "")]
    return [
        "## Found",
        "",
        said,
        "",
        *warned,
        "Mean ± standard deviation over folds, in percent:",
        "",
        table,
        *mark,
        *gap,
    ]


def _runs(summary: Mapping[str, Any]) -> list[str]:
    """Links to the runs that matter, in the UI that shows this note."""
    best, runs = summary["best"], dict(summary.get("runs", {}))
    if best is not None and best["run_id"]:
        runs = {f"trial {best['number']:04d}": best["run_id"], **runs}
    if not runs:
        return []
    meant = {"winner": "its folds side by side", "refit": "trained once more on all but the test folds"}
    meant |= {"nested": "a search inside each outer fold", "baselines": "on the same folds"}
    place = f"#/experiments/{summary['experiment_id']}/runs"
    training = "?workflowType=machine_learning"  # else the UI shows them as evaluations of agents
    lines = [f"- [{key}]({place}/{run}{training}): {meant.get(key, 'the best')}" for key, run in runs.items()]
    return ["## Runs", "", *lines, ""]


def _again() -> list[str]:
    whole = "`space.yaml` beside this note holds the whole question; the same question gives the same configurations,"
    return ["## Again", "", f"{whole} folds and seeds:", "", "```", story.command(), "```", ""]
