"""Stored results as rows, and rows as CSV, Markdown or aligned text. Pure; rows keep every digit, tables round."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from reno_sweeps.records import FoldScore, Sweep, Trial
from reno_sweeps.reports import wording
from reno_sweeps.reports.summary import TEST, metric_over_folds
from reno_sweeps.space import Value
from reno_sweeps.training.configuration import cell_of

Row = Mapping[str, Value]
SHOWN = (*TEST, "cross_entropy")


# --- rows ---------------------------------------------------------------------------------------------------


def fold_rows(scores: Sequence[FoldScore]) -> list[dict[str, Value]]:
    """A row a fold: sizes, epochs, all metrics, seconds; seeds as text, since they have 63 bits."""
    rows: list[dict[str, Value]] = []
    for score in scores:
        row: dict[str, Value] = dict(zip(("repeat", "seed_number", "fold"), score.place, strict=True))
        if score.seeds == 1:
            del row["seed_number"]
        row |= {f"clips_{part}": size for part, size in score.sizes.items()}
        row |= {"best_epoch": score.best_epoch, "epochs": score.epochs}
        row |= {f"val_{name}": score.validation.get(name) for name in SHOWN}
        row |= {f"test_{name}": score.test.get(name) for name in SHOWN}
        rows.append({**row, "seconds": round(score.seconds, 3), "seed": str(score.seed)})
    return rows


def brief_folds(scores: Sequence[FoldScore]) -> list[dict[str, Value]]:
    """`fold_rows` for people: what fits a page."""
    rows: list[dict[str, Value]] = []
    for score, row in zip(scores, fold_rows(scores), strict=True):
        repeat, seed, fold = score.place
        repeated: dict[str, Value] = {"repeat": repeat} if any(other.place[0] for other in scores) else {}
        seeded: dict[str, Value] = {"seed": seed} if score.seeds > 1 else {}
        place: dict[str, Value] = {**repeated, **seeded, "fold": fold}
        place["train / validation / test clips"] = " / ".join(str(size) for size in score.sizes.values())
        place["best epoch"] = f"{score.best_epoch} of {score.epochs}"
        metrics = ("val_macro_f1", "val_cross_entropy", *[f"test_{name}" for name in SHOWN], "seconds")
        rows.append({**place, **{name: row[name] for name in metrics}})
    return rows


def trial_rows(trials: Sequence[Trial], sweep: Sweep) -> list[dict[str, Value]]:
    """A row a trial: its cell, how it ended, its objective, every searched value, its test means, seconds, reason."""
    return [_trial_row(trial, sweep) for trial in trials]


def _trial_row(trial: Trial, sweep: Sweep) -> dict[str, Value]:
    cell = cell_of(sweep.cells[trial.cell], trial.proposal)
    row: dict[str, Value] = {"trial": trial.number, "state": trial.state, "objective": trial.objective}
    row |= {"head": cell.head, "encoders": "+".join(cell.encoders)}
    row |= {name: trial.proposal.get(name) for name in sweep.search if name not in row}
    means = {name: metric_over_folds(trial.scores, "test", name) for name in TEST} if trial.state == "complete" else {}
    row |= {f"test_{name}": fmean(means[name]) if means.get(name) else None for name in TEST}
    seconds = round(sum(score.seconds for score in trial.scores), 3) if trial.scores else None
    return {**row, "folds": len(trial.scores), "seconds": seconds, "reason": trial.reason}


def ranked(trials: Sequence[Trial], sweep: Sweep) -> list[Trial]:
    """The best objective first; then what was pruned, failed, still runs or waits."""
    sign = -1 if sweep.objective.direction == "maximize" else 1
    order = {"complete": 0, "pruned": 1, "failed": 2, "running": 3, "waiting": 4}
    return sorted(trials, key=lambda t: (order[t.state], sign * (t.objective or 0.0), t.number))


def nested_rows(summary: Mapping[str, Any]) -> list[dict[str, Value]]:
    """What was selected inside each outer fold, and what that reached on its test clips; nothing without `nested`."""
    nested = summary.get("nested")
    if nested is None:
        return []
    n = summary["folds"]
    test = {metric: over["folds"] for metric, over in nested["test"].items()}
    rows: list[dict[str, Value]] = []
    for place, chosen in enumerate(nested["selected"]):
        turn, fold = divmod(place, n)
        row: dict[str, Value] = {"round": turn, "fold": fold} if len(nested["selected"]) > n else {"fold": fold}
        row |= {"head": chosen["head"], "encoders": wording.encoders(chosen["encoders"])}
        row |= {"objective": chosen["objective"], "epochs": chosen["epochs"]}
        if len(nested["selected"]) == len(test.get("macro_f1", ())):
            row |= {f"test_{metric}": folds[place] for metric, folds in test.items()}
        rows.append(row | dict(chosen["selected"]))
    return rows


def compared(summary: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Test metrics over folds of everything that was tested: the best, its refit, the baselines; by name."""
    best = summary["best"]
    found = {}
    if best is not None:
        found[f"{summary['head']}, best of {tried(summary)} (trial {best['number']})"] = best["test"]
        if "test_refit" in best:
            found[f"{summary['head']}, refitted on training and validation"] = best["test_refit"]
    if "nested" in summary:
        found[f"{summary['head']}, nested (unbiased)"] = summary["nested"]["test"]
    found |= {f"{name} (baseline)": over["test"] for name, over in summary["baselines"].items()}
    return found | {f"{name} (control)": over["test"] for name, over in summary.get("controls", {}).items()}


def tried(summary: Mapping[str, Any]) -> int:
    """Configurations that were trained, to the end or until they were pruned: what the best is the best of."""
    return int(summary["trials"]["complete"] + summary["trials"]["pruned"])


def headline(summary: Mapping[str, Any]) -> list[dict[str, Value]]:
    """`compared` for people: mean ± deviation over folds, in percent. The majority class selects nothing."""
    mark = " †" if summary.get("optimistic") else ""
    columns = {f"{wording.METRICS[name]} %": name for name in TEST}
    rows: list[dict[str, Value]] = []
    for name, over in compared(summary).items():
        row: dict[str, Value] = {"on test folds": name + mark * (not name.startswith("majority"))}
        rows.append(row | {shown: wording.percent(over.get(metric)) for shown, metric in columns.items()})
    return rows


def cell_rows(summary: Mapping[str, Any]) -> list[dict[str, Value]]:
    """A row for each cell of a sweep with several: its best trial and that one's test means."""
    rows: list[dict[str, Value]] = []
    for cell in summary.get("cells", ()):
        best = cell["best"] or {"test": {}, "number": None, "objective": None}
        row: dict[str, Value] = {"head": cell["head"], "encoders": wording.encoders(cell["encoders"])}
        row |= {"trials": cell["trials"], "best trial": best["number"], "objective": best["objective"]}
        rows.append(row | {f"{wording.METRICS[m]} %": wording.percent(best["test"].get(m)) for m in TEST})
    return rows


def confusion_counts(scores: Sequence[FoldScore]) -> list[list[int]]:
    """[truth][prediction] over all test folds together; with repeats every clip counts once a repeat."""
    tables = [score.test_confusion for score in scores]
    return [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)]


# --- rows for people -----------------------------------------------------------------------------------------


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Every column that a row has, in the order of first mention."""
    return list(dict.fromkeys(name for row in rows for name in row))


def shown(rows: Sequence[Row]) -> list[dict[str, str]]:
    """The same rows with headings in words and rounded numbers: shares in percent."""
    return [{_heading(name): cell(name, row.get(name)) for name in columns_of(rows)} for row in rows]


def _heading(name: str) -> str:
    return f"{wording.metric(name)} %" if wording.is_share(name) else wording.metric(name)


def cell(name: str, value: Value) -> str:
    """A value as its column shows it: shares in percent without the sign, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float) and wording.is_share(name):
        return f"{100 * value:.1f}"
    return f"{value:.1f}" if name == "seconds" and isinstance(value, float) else wording.number(value)


# --- formats ------------------------------------------------------------------------------------------------


def csv_text(rows: Sequence[Row]) -> str:
    """CSV with a heading, every digit kept; nothing where there is no row."""
    text = io.StringIO()
    if rows:
        out = csv.DictWriter(text, columns_of(rows), lineterminator="\n")
        out.writeheader()
        out.writerows(rows)
    return text.getvalue()


def markdown(rows: Sequence[Row]) -> str:
    """A Markdown table of plain cells; nothing where there is no row."""
    if not rows:
        return ""
    columns = columns_of(rows)
    lines = [[escaped(name) for name in columns], ["---"] * len(columns)]
    lines += [[escaped(wording.number(row[c]) if row.get(c) is not None else "") for c in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    for sign in "\\`*_<>|[]":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def aligned(rows: Sequence[Mapping[str, str]], indent: str = "") -> list[str]:
    """Lines of a table whose columns stand below each other, numbers to the right; never cut, never wrapped."""
    columns = columns_of(rows)
    cells = [columns, *[[row.get(name, "") for name in columns] for row in rows]]
    widths = [max(width(line[i]) for line in cells) for i in range(len(columns))]
    right = [is_numeric(rows, column) for column in columns]
    rule = ["-" * wide for wide in widths]
    lines = [cells[0], rule, *cells[1:]]
    return [indent + "  ".join(map(_padded, line, widths, right)).rstrip() for line in lines]


def _padded(text: str, wide: int, right: bool) -> str:
    space = " " * (wide - width(text))
    return space + text if right else text + space


def width(text: str) -> int:
    """Columns that a text takes on a terminal: wide letters two, combining marks none."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def is_numeric(rows: Sequence[Mapping[str, str]], column: str) -> bool:
    """Whether a column of shown cells holds numbers, and at least one; such columns end at the right."""
    texts = [row.get(column, "") for row in rows]
    own = [text for text in texts if text not in wording.STATISTICS]
    bare = [text.replace("±", "").strip(f"0123456789.,-−+…<e%†‡ {wording.NOTHING}") for text in own]
    return any(texts) and not any(bare)
