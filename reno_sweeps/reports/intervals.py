"""How far a mean over folds can be trusted: t-intervals, each named for what it assumes, and rows that show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

from reno_sweeps.records import FoldScore
from reno_sweeps.reports import tables, wording
from reno_sweeps.reports.summary import metric_over_folds
from reno_sweeps.space import Value

LEVEL = 0.95
Span = tuple[float, float]


def plain(values: Sequence[float], level: float = LEVEL) -> Span | None:
    """The t-interval of the mean of independent values; None below two of them."""
    return _around(values, 1 / len(values), level) if len(values) > 1 else None


def corrected(values: Sequence[float], n_folds: int, level: float = LEVEL) -> Span | None:
    """The same for the folds of a cross-validation (all repeats' together), which train on each other's clips.

    The variance of the mean is s²·(1/n + tested/trained), where one fold of K tests what K − 1 train on
    (Nadeau & Bengio 2003). None below two values or two folds.
    """
    if len(values) < 2 or n_folds < 2:
        return None
    return _around(values, 1 / len(values) + 1 / (n_folds - 1), level)


def _around(values: Sequence[float], factor: float, level: float) -> Span:
    from scipy.stats import t

    reach = float(t.ppf((1 + level) / 2, len(values) - 1)) * stdev(values) * math.sqrt(factor)
    return fmean(values) - reach, fmean(values) + reach


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
    found: dict[str, Value] = {first: name}
    for column in columns:
        values = [value for row in rows if isinstance(value := row.get(column), float)]
        whole = len(values) == len(rows) and column != "seconds"
        found[column] = _spelled(column, of(values)) if whole else None
    return found


def _spelled(column: str, value: float | Span | None) -> Value:
    """An interval in the column's own units: '52.1–60.3'."""
    return "–".join(tables.cell(column, bound) for bound in value) if isinstance(value, tuple) else value
