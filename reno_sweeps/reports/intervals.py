"""How far a mean over folds can be trusted: t-intervals, each named for what it assumes, and rows that show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

from reno_sweeps.compare.corrected_t import fold_mean
from reno_sweeps.records import FoldScore
from reno_sweeps.reports import tables, wording
from reno_sweeps.reports.summary import metric_over_folds
from reno_sweeps.space import Value

Span = tuple[float, float]


def plain(values: Sequence[float]) -> Span | None:
    """The 95 % t-interval of the mean of independent values; None where there is no spread to learn from."""
    return _interval(values, 0.0)


def corrected(values: Sequence[float], n_folds: int) -> Span | None:
    """The same for the folds of a cross-validation (all repeats' together), which train on each other's clips.

    The variance of the mean is s²·(1/n + 1/(K − 1)): Nadeau & Bengio 2003.
    """
    return _interval(values, 1 / (n_folds - 1)) if n_folds > 1 else None


def _interval(values: Sequence[float], ratio: float) -> Span | None:
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    return fold_mean([list(values)], ratio=ratio).interval


def folds_of(scores: Sequence[FoldScore]) -> int:
    """How many folds one repeat has."""
    return len({score.fold for score in scores})


# --- rows ---------------------------------------------------------------------------------------------------


def metric_rows(scores: Sequence[FoldScore]) -> list[dict[str, Value]]:
    """A row a test metric, every digit kept: folds, mean, deviation, both intervals."""
    rows: list[dict[str, Value]] = []
    for metric in tables.SHOWN:
        values = metric_over_folds(scores, "test", metric)
        if values:
            row: dict[str, Value] = {"metric": metric, "folds": len(values), "mean": fmean(values)}
            row["sd"] = stdev(values) if len(values) > 1 else None
            row["low_t"], row["high_t"] = plain(values) or (None, None)
            row["low_corrected"], row["high_corrected"] = corrected(values, folds_of(scores)) or (None, None)
            rows.append(row)
    return rows


def with_statistics(rows: Sequence[tables.Row], n_folds: int) -> list[tables.Row]:
    """Fold rows and below them mean, deviation and both intervals of every metric; a single fold has none of them."""
    if len(rows) < 2:
        return list(rows)
    kinds: tuple[Callable[[list[float]], float | Span | None], ...] = (
        fmean,
        stdev,
        plain,
        lambda values: corrected(values, n_folds),
    )
    named = zip(wording.STATISTICS, kinds, strict=True)
    return [*rows, *[_statistic(rows, name, of) for name, of in named]]


def _statistic(
    rows: Sequence[tables.Row], name: str, of: Callable[[list[float]], float | Span | None]
) -> dict[str, Value]:
    first, *columns = tables.columns_of(rows)
    merged = _over_seeds(rows)
    found: dict[str, Value] = {first: name}
    for column in columns:
        values = [value for row in merged if isinstance(value := row.get(column), float)]
        whole = len(values) == len(merged) and column != "seconds"
        found[column] = _spelled(column, of(values)) if whole else None
    return found


def _over_seeds(rows: Sequence[tables.Row]) -> list[dict[str, Value]]:
    """The means over the seeds of each fold: they test the same clips, so they count once."""
    by_fold: dict[tuple[Value, Value], list[tables.Row]] = {}
    for number, row in enumerate(rows):
        place = (row.get("repeat"), row.get("fold")) if "seed" in row else (number, None)
        by_fold.setdefault(place, []).append(row)
    merged: list[dict[str, Value]] = []
    for same in by_fold.values():
        names = [name for name in same[0] if all(isinstance(row.get(name), float) for row in same)]
        merged.append({name: fmean(float(row[name] or 0) for row in same) for name in names})
    return merged


def _spelled(column: str, value: float | Span | None) -> Value:
    """An interval in the column's own units: '52.1–60.3'."""
    if not isinstance(value, tuple):
        return value
    return "–".join(tables.cell(column, bound) for bound in _within(column, value))


def in_percent(span: Sequence[float]) -> str:
    """A share's interval for people: '52.1–60.3', at most from 0 to 100; nothing where there is none."""
    return "–".join(f"{100 * min(max(bound, 0.0), 1.0):.1f}" for bound in span)


def _within(metric: str, span: Span) -> Span:
    """A share's interval ends where shares do: few folds that disagree would promise more than 100 %."""
    return (max(0.0, span[0]), min(1.0, span[1])) if wording.is_share(metric) else span
