"""The note on a sweep's parent run: what was asked, what was found, how to do it again. Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reno_sweeps.records import Sweep
from reno_sweeps.space import Categorical, Distribution

PROTOCOLS = {
    "validation": "cross-validated, selected: each fold's stopping and score used its validation part alone, and the "
    "configuration was chosen on the mean over folds; the winner's test mean is mildly optimistic",
    "paper": "**optimistic**: the test fold of each fold also stopped its training and selected the configuration",
}


def note(sweep: Sweep, summary: Mapping[str, Any], *, synthetic: bool, messages: Sequence[str] = ()) -> str:
    """The whole note, from the object that `run --json` prints."""
    trials = summary["trials"]
    ended = ", ".join(f"{trials[s]} {s}" for s in ("complete", "pruned", "failed") if trials[s])
    corpus = f"`{summary['corpus']}`{' (synthetic clips)' if synthetic else ''}"
    asked = f"{_heads(sweep)}; corpus {corpus}, {sweep.protocol.n_folds} folds; {trials['asked']} trials asked"
    asked = f"{asked}, {ended or 'none ended yet'}."
    lines = [
        f"# {summary['sweep']}",
        "",
        asked,
        f"Protocol `{sweep.protocol.selection}`: {PROTOCOLS[sweep.protocol.selection]}.",
        *(["", *[f"> {message}" for message in messages]] if messages else []),
        "",
        *_searched(sweep),
        *_found(summary),
        *_again(summary),
    ]
    return "\n".join(lines) + "\n"


def _heads(sweep: Sweep) -> str:
    cells = [f"{cell.head} on {' + '.join(f'`{e}`' for e in cell.encoders)}" for cell in sweep.cells]
    return "; ".join(cells[:4]) + (f"; and {len(cells) - 4} more cells" if len(cells) > 4 else "")


def _searched(sweep: Sweep) -> list[str]:
    if not sweep.search:
        return []
    rows = [f"| `{name}` | {spell_range(distribution)} |" for name, distribution in sweep.search.items()]
    return ["## Searched", "", "| parameter | range |", "|---|---|", *rows, ""]


def spell_range(distribution: Distribution) -> str:
    """A distribution in a few signs: '1.05 … 10 (log)', '1, 2, 4'."""
    if isinstance(distribution, Categorical):
        return ", ".join(str(value) for value in distribution.values)
    log = " (log)" if distribution.log else ""
    step = f" step {distribution.step:g}" if distribution.step not in {None, 1} else ""
    return f"{distribution.low:g} … {distribution.high:g}{step}{log}"


def _found(summary: Mapping[str, Any]) -> list[str]:
    best = summary["best"]
    if best is None:
        return ["## Found", "", "No trial is complete yet.", ""]
    params = ", ".join(f"`{name}` {_number(value)}" for name, value in best["params"].items())
    lines = ["## Found", "", f"Best: trial {best['number']}, objective {best['objective']:.4f}; {params}.", ""]
    lines += ["| on test folds, mean ± deviation | accuracy | macro-F1 | UAR |", "|---|---|---|---|"]
    lines.append(_row(f"{summary['head']} (best)", best["test"]))
    if "test_refit" in best:
        lines.append(_row(f"{summary['head']} (refitted on all four training folds)", best["test_refit"]))
    lines += [_row(f"{name} (baseline)", found["test"]) for name, found in summary["baselines"].items()]
    return [*lines, ""]


def _row(name: str, test: Mapping[str, Any]) -> str:
    cells = [_percent(test.get(metric)) for metric in ("accuracy", "macro_f1", "uar")]
    return f"| {name} | {' | '.join(cells)} |"


def _percent(over: Mapping[str, Any] | None) -> str:
    if not over or over.get("mean") is None:
        return "–"
    deviation = f" ± {100 * over['std']:.1f}" if over.get("std") is not None else ""
    return f"{100 * over['mean']:.1f}{deviation} %"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _again(summary: Mapping[str, Any]) -> list[str]:
    where = "`space.yaml` and `sweep.json` beside this note hold the whole question; the same question gives the same"
    return [
        "## Again",
        "",
        f"{where} configurations, folds and seeds:",
        "",
        "```",
        f"reno-sweep run --space space.yaml --corpus {summary['corpus']} --trials {summary['trials']['asked']}",
        "```",
        "",
    ]
