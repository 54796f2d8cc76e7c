"""What a page says in words: three sentences, badges, the best configuration, the command to reproduce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reno_sweeps.records import Sweep
from reno_sweeps.reports import space_file, tables, wording
from reno_sweeps.space import Value


def sentences(sweep: Sweep, summary: Mapping[str, Any]) -> list[str]:
    """What was asked, what was found, what it is worth."""
    return [_asked(sweep, summary), *_found(sweep, summary), *_worth(summary)]


def _asked(sweep: Sweep, summary: Mapping[str, Any]) -> str:
    best = "lowest" if sweep.objective.direction == "minimize" else "highest"
    names = ", ".join(sweep.search)
    which = f"which values of {names} give" if names else "what does the fixed configuration reach:"
    metric = f"validation {wording.METRICS[sweep.objective.metric]}"
    corpus = f"{summary['corpus']}{' (synthetic clips)' if wording.synthetic(summary) else ''}"
    asked = f"Asked: {which} {wording.cells(sweep)} the {best} {metric}" if names else f"Asked: {which} {metric}"
    trials = summary["trials"]
    counted = f"{trials['asked']} trial{'s' * (trials['asked'] != 1)}, {wording.ended(trials)}"
    return f"{asked} on {corpus}, over {sweep.protocol.n_folds} folds ({counted})."


def _found(sweep: Sweep, summary: Mapping[str, Any]) -> list[str]:
    best = summary["best"]
    if best is None:
        return ["No trial is complete yet."]
    metric = sweep.objective.metric
    objective = f"validation {wording.METRICS[metric]} {wording.measured(metric, best['objective'])}"
    test = [f"{wording.percent(best['test'].get(m))} % {wording.METRICS[m]}" for m in ("macro_f1", "accuracy", "uar")]
    which = f"trial {best['number']}, the best of {tables.tried(summary)} configurations,"
    said = f"Found: {which} with {objective}; on the test folds it reaches {', '.join(test)}"
    if nested := summary.get("nested"):
        said += f"; the search itself, judged by nested folds, reaches {wording.percent(nested['test']['macro_f1'])} %"
    return [f"{said}."]


def _worth(summary: Mapping[str, Any]) -> list[str]:
    """The best beside what needs no search: a head that does not beat `linear` has not shown that it learned more."""
    best, baselines = summary["best"], summary["baselines"]
    linear = _mean(baselines.get("linear"))
    own = None if best is None else _mean(best)
    if linear is None or own is None or best is None:
        return []
    gap = 100 * (own - linear)
    reached = wording.percent(baselines["linear"]["test"]["macro_f1"])
    less = f"{abs(gap):.1f} points {'less' if gap > 0 else 'more'} than the best"
    verdict = "" if gap > 0 else ", so nothing was found that a linear model does not do at least as well"
    majority = _mean(baselines.get("majority"))
    also = "" if majority is None else f"; always answering the most frequent class reaches {100 * majority:.1f} %"
    return [f"For scale: a linear model on the same folds reaches {reached} % macro-F1, {less}{verdict}{also}."]


def _mean(found: Mapping[str, Any] | None) -> float | None:
    mean = (found or {}).get("test", {}).get("macro_f1", {}).get("mean")
    return None if mean is None else float(mean)


def badges(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what, its kind): state, protocol, and everything that must not be overlooked."""
    found = [("synthetic clips", "warn")] if wording.synthetic(summary) else []
    protocol = ("nested", "plain") if summary["selection"] == "nested" else ("cross-validated, selected", "plain")
    found += [("optimistic", "warn")] if summary.get("optimistic") else [protocol]
    failed = summary["trials"]["failed"]
    return found + ([(f"{failed} failed", "bad")] if failed else [])


def configuration(sweep: Sweep, summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """The best trial's values: what was searched with its range first, then what was fixed."""
    if summary["best"] is None:
        return []
    params: Mapping[str, Value] = summary["best"]["params"]
    searched = [n for n in sweep.search if n in params]
    rows = [(name, wording.number(params[name]), wording.span(sweep.search[name])) for name in searched]
    rows += [(name, wording.number(value), "fixed") for name, value in params.items() if name not in sweep.search]
    return [{"parameter": name, "value": value, "searched in": span} for name, value, span in rows]


def command() -> str:
    """How to ask the same question again; the space file holds every option that matters."""
    return f"reno-sweep run --space {space_file.NAME}"
