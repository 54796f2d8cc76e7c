"""The paper's tables beside our own measurements: ours, published, difference, interval and verdict in every cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from reno_sweeps.reports import intervals, published
from reno_sweeps.reports.published import METRICS, Place
from reno_sweeps.space import Value

VERDICTS = {  # word in a cell → what it means
    "compatible": "the published figure lies in our interval: no evidence of a difference",
    "higher": "ours is higher than the published figure, which lies below our interval",
    "lower": "ours is lower than the published figure, which lies above our interval",
    "unsure": "our folds give no interval",
    "stand-in": "measured on something else than the paper's, so nothing is concluded",
    "ours only": "the paper has no such figure",
    "missing": "not measured yet",
}


@dataclass(frozen=True, slots=True)
class Ours:
    """What was measured at a place: test scores as shares by metric, fold by fold (repeats one after the other)."""

    folds: Mapping[str, Sequence[float]]
    n_folds: int  # of one repeat
    sweep: str = ""
    selection: str = "validation"  # the protocol: `paper` is optimistic
    stand_in: str = ""  # what was put in the place of the paper's corpus: 'synthetic clips'
    by_hand: tuple[str, ...] = ()  # its encoders whose weights were given by hand: which checkpoint is not known


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure of a table. Numbers are shares; None: not measured, not published, or no interval possible."""

    place: Place
    metric: str
    ours: float | None
    sd: float | None
    interval: intervals.Span | None
    published: float | None
    verdict: str  # a key of VERDICTS
    source: Ours | None
    needs: tuple[str, ...]  # names of what is lacking, for a cell that is missing

    @property
    def difference(self) -> float | None:
        """Ours minus published."""
        return None if self.ours is None or self.published is None else self.ours - self.published


def lay_out(number: int, ours: Mapping[Place, Ours], lacking: Mapping[str, str] | None = None) -> list[Entry]:
    """Every figure of the paper's table 1 or 2 in its order, then what was measured on other corpora.

    `lacking` maps encoders and corpora that are not at hand to the command that gets them: a missing cell names those
    that it needs. The interval is the corrected one of the folds; the published figure is taken as exact, since
    the paper gives no deviations.
    """
    known = published.table(number)
    places = [*known, *(place for place in ours if place not in known)]
    return [
        _entry(place, metric, known.get(place, {}).get(metric), ours.get(place), lacking or {})
        for place in places
        for metric in METRICS
    ]


def _entry(place: Place, metric: str, value: float | None, found: Ours | None, lacking: Mapping[str, str]) -> Entry:
    folds = list(found.folds.get(metric, ())) if found else []
    if found is None or not folds:
        needs = tuple(name for name in (*place.encoders, place.corpus) if name in lacking)
        return Entry(place, metric, None, None, None, value, "missing", found, needs)
    mean, span = fmean(folds), intervals.corrected(folds, found.n_folds)
    deviation = stdev(folds) if len(folds) > 1 else None
    return Entry(place, metric, mean, deviation, span, value, _verdict(mean, span, value, found), found, ())


def _verdict(mean: float, span: intervals.Span | None, value: float | None, found: Ours) -> str:
    if found.stand_in:
        return "stand-in"
    if value is None:
        return "ours only"
    if span is None:
        return "unsure"
    if span[0] <= value <= span[1]:
        return "compatible"
    return "higher" if mean > value else "lower"


def tally(entries: Sequence[Entry]) -> str:
    """'84 figures: 30 compatible, 12 lower, 42 missing'."""
    counts = {word: sum(entry.verdict == word for entry in entries) for word in VERDICTS}
    said = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    return f"{len(entries)} figures: {said}"


def rows(entries: Sequence[Entry]) -> list[dict[str, Value]]:
    """A row a figure, in percent, every digit kept."""
    return [
        {
            "corpus": entry.place.corpus,
            "encoders": "+".join(entry.place.encoders),
            "head": entry.place.head,
            "metric": entry.metric,
            "ours_pct": _percent(entry.ours),
            "sd_pct": _percent(entry.sd),
            "low_pct": _percent(entry.interval[0] if entry.interval else None),
            "high_pct": _percent(entry.interval[1] if entry.interval else None),
            "published_pct": None if entry.published is None else round(100 * entry.published, 4),
            "difference_points": _percent(entry.difference),
            "verdict": entry.verdict,
            "sweep": entry.source.sweep if entry.source else None,
            "selection": entry.source.selection if entry.source else None,
            "stand_in": entry.source.stand_in if entry.source else None,
            "by_hand": "; ".join(entry.source.by_hand) if entry.source else None,
            "needs": "; ".join(entry.needs),
        }
        for entry in entries
    ]


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value
