"""What a home has measured: corpora × heads × protocols in one table, and what the optimistic protocol is worth."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from reno_sweeps.compare.pairs import Contestant, compare
from reno_sweeps.reports import comparisons, intervals, tables, wording
from reno_sweeps.reports.paper_table import Ours
from reno_sweeps.reports.published import Place
from reno_sweeps.space import Value

HONEST, OPTIMISTIC = "validation", "paper"  # the two protocols that are set side by side
MEANING = (
    f"{OPTIMISTIC} − {HONEST}: what stopping and selecting on the test fold is worth. Where the folds are the same, "
    "they are paired; else only the means are told."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One sweep's best at one place."""

    place: Place
    found: Ours
    trials: int  # configurations that were tried for it
    folds: str = ""  # digest of which fold tests which clip (Folds.digest also tells validation parts apart)


def of_sweep(
    summary: Mapping[str, Any], folds: str = "", stand_in: str = "", given: Collection[str] = ()
) -> list[Measured]:
    """The best of every cell of a sweep, from the object of `run --json`; `folds` as in `Measured`.

    `given` are the encoders whose weights were given by hand.

    `{one.place: one.found for one in …}` is what `paper_table.lay_out` takes.
    """
    whole = {"head": summary["head"], "encoders": summary["encoders"], "best": summary["best"]}
    cells = summary.get("cells") or [{**whole, "trials": tables.tried(summary)}]
    found = []
    for cell in cells:
        if cell["best"] is None:
            continue
        scores = {metric: tuple(over["folds"]) for metric, over in cell["best"]["test"].items()}
        by_hand = tuple(encoder for encoder in cell["encoders"] if encoder in given)
        ours = Ours(scores, summary["folds"], summary["sweep"], summary["selection"], stand_in, by_hand)
        place = Place(cell["head"], tuple(cell["encoders"]), summary["corpus"])
        found.append(Measured(place, ours, cell["trials"], folds))
    return found


def rows(measured: Sequence[Measured], metric: str = "macro_f1") -> list[dict[str, Value]]:
    """A row for each, by corpus, encoders, head and protocol; every digit kept."""
    made: list[dict[str, Value]] = []
    for one in sorted(measured, key=_order):
        folds = list(one.found.folds.get(metric, ()))
        low, high = intervals.corrected(folds, one.found.n_folds) or (None, None)
        row: dict[str, Value] = {"corpus": one.place.corpus, "encoders": "+".join(one.place.encoders)}
        row |= {"head": one.place.head, "selection": one.found.selection, "trials": one.trials, "metric": metric}
        row |= {"mean": fmean(folds) if folds else None, "sd": stdev(folds) if len(folds) > 1 else None}
        row |= {"low": low, "high": high, "folds": len(folds), "sweep": one.found.sweep}
        made.append(row | {"stand_in": one.found.stand_in})
    return made


def _order(one: Measured) -> tuple[str, tuple[str, ...], str, str, str]:
    return one.place.corpus, one.place.encoders, one.place.head, one.found.selection, one.found.sweep


def shown(found: Sequence[dict[str, Value]]) -> list[dict[str, str]]:
    """`rows` for people, in percent; † marks the optimistic protocol."""
    made = []
    for row in found:
        mean, sd = row["mean"], row["sd"]
        over = wording.percent({"mean": mean, "std": sd}) + " †" * (row["selection"] == OPTIMISTIC)
        bounds = [value for value in (row["low"], row["high"]) if isinstance(value, float)]
        made.append(
            {
                "corpus": str(row["corpus"]),
                "encoders": wording.encoders(str(row["encoders"]).split("+")),
                "head": str(row["head"]),
                "protocol": str(row["selection"]),
                "trials": str(row["trials"]),
                f"{wording.METRICS[str(row['metric'])]} %": over,
                "95 %": intervals.in_percent(bounds),
                "sweep": str(row["sweep"]),
            }
        )
    return made


def protocols(measured: Sequence[Measured], metric: str = "macro_f1") -> list[dict[str, str]]:
    """Places that were measured under both protocols: both means, their difference, and its verdict where paired.

    Of several sweeps at one place the last counts.
    """
    by_place: dict[Place, dict[str, Measured]] = {}
    for one in measured:
        if one.found.folds.get(metric):
            by_place.setdefault(one.place, {})[one.found.selection] = one
    both = [(place, of[HONEST], of[OPTIMISTIC]) for place, of in by_place.items() if {HONEST, OPTIMISTIC} <= set(of)]
    return [_side_by_side(place, honest, optimistic, metric) for place, honest, optimistic in both]


def _side_by_side(place: Place, honest: Measured, optimistic: Measured, metric: str) -> dict[str, str]:
    means = [fmean(one.found.folds[metric]) for one in (honest, optimistic)]
    row = {"corpus": place.corpus, "encoders": wording.encoders(place.encoders), "head": place.head}
    row |= {f"{HONEST} %": f"{100 * means[0]:.1f}", f"{OPTIMISTIC} % †": f"{100 * means[1]:.1f}"}
    row["difference, points"] = f"{100 * (means[1] - means[0]):+.1f}".replace("-", "−")
    paired = _paired(honest, optimistic, metric)
    return row | {"95 % interval": paired[0], "verdict": paired[1]}


def _paired(honest: Measured, optimistic: Measured, metric: str) -> tuple[str, str]:
    """Interval and verdict of optimistic − honest; without pairs neither."""
    a, b = (list(one.found.folds[metric]) for one in (optimistic, honest))
    n = honest.found.n_folds
    same = honest.folds and honest.folds == optimistic.folds and len(a) == len(b) and len(a) % n == 0 and len(a) > 1
    if not same:
        return wording.NOTHING, "other folds: not paired"
    contestants = [
        Contestant(name, [scores[start : start + n] for start in range(0, len(scores), n)], honest.folds)
        for name, scores in ((OPTIMISTIC, a), (HONEST, b))
    ]
    told = comparisons.shown([compare(contestants[0], contestants[1], metric=metric)])[0]
    return told["95 % interval"], told["verdict"]
