"""The best trial beside everything that was tested on the same folds: differences, intervals, verdicts as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reno_sweeps.compare.pairs import Comparison, Contestant, against
from reno_sweeps.reports import wording
from reno_sweeps.space import Value

METRIC = "macro_f1"
MEANING = (  # of the rows
    "Macro-F1, paired by fold. Corrected resampled t-test (Nadeau & Bengio 2003): differences between folds are about "
    "normal, and correlated because their training clips overlap; p (Holm) allows for the number of comparisons."
)
ACROSS = (
    "Means over folds, paired by corpus. Wilcoxon signed-rank test: differences between corpora are independent and "
    "symmetric around their median; p (Holm) allows for the number of comparisons."
)
SAME = "one sweep"  # all of a sweep are tested on its own folds


def meaning(metric: str) -> str:
    """MEANING of another metric's rows."""
    name = wording.METRICS[metric]
    return MEANING.replace(wording.METRICS[METRIC].capitalize(), f"{name[0].upper()}{name[1:]}")


def of_sweep(summary: Mapping[str, Any], metric: str = METRIC) -> tuple[Comparison, ...]:
    """Each baseline, and the best of each other cell, minus the best trial; p-values by Holm's correction.

    Nothing where there is no best trial, or where its folds do not make whole repeats.
    """
    best = summary["best"]
    if best is None:
        return ()
    baselines = {f"{name} (baseline)": over["test"] for name, over in summary["baselines"].items()}
    others = baselines | _cells(summary)
    reference = _contestant(f"{summary['head']} (trial {best['number']})", best["test"], summary, metric)
    found = [_contestant(name, test, summary, metric) for name, test in others.items()]
    there = [
        one for one in found if one is not None and reference is not None and one.scores.shape == reference.scores.shape
    ]
    return against(reference, there, metric=metric) if reference is not None and there else ()


def _cells(summary: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The best of every other cell, by what it is."""
    bests = [(cell, cell["best"]) for cell in summary.get("cells", ()) if cell["best"] is not None]
    others = [(cell, best) for cell, best in bests if best["number"] != summary["best"]["number"]]
    return {
        f"{cell['head']} on {wording.encoders(cell['encoders'])} (trial {best['number']})": best["test"]
        for cell, best in others
    }


def _contestant(name: str, test: Mapping[str, Any], summary: Mapping[str, Any], metric: str) -> Contestant | None:
    """Scores as [repeats, folds]; None where folds are missing."""
    folds, n = test.get(metric, {}).get("folds", ()), summary["folds"]
    if len(folds) < 2 or len(folds) % n or None in folds:
        return None
    return Contestant(name, [folds[start : start + n] for start in range(0, len(folds), n)], SAME)


def rows(found: Sequence[Comparison]) -> list[dict[str, Value]]:
    """A row a comparison, every digit kept; differences are a − b."""
    made: list[dict[str, Value]] = []
    for one in found:
        low, high = one.test.interval or (None, None)
        row: dict[str, Value] = {"a": one.a, "b": one.b, "mean_a": one.means[0], "mean_b": one.means[1]}
        row |= {"difference": one.test.estimate, "low": low, "high": high, "p": one.test.p, "p_holm": one.adjusted}
        row |= {"effect": one.test.effect, "a_better": one.wins[0], "equal": one.wins[1], "b_better": one.wins[2]}
        if one.posterior is not None and one.posterior.posterior is not None:
            believed = one.posterior.posterior
            row |= {"p_a_better": believed.right, "p_practically_equal": believed.rope, "p_b_better": believed.left}
        made.append(row | {"method": one.test.method, "verdict": one.verdict})
    return made


def shown(found: Sequence[Comparison]) -> list[dict[str, str]]:
    """`rows` for people, of a share: points with their interval, p and folds won."""
    return [
        {
            "a": one.a,
            "b": one.b,
            "a − b, points": _points(one.test.estimate),
            "95 % interval": " … ".join(map(_points, one.test.interval)) if one.test.interval else wording.NOTHING,
            "p": _p(one.test.p),
            "p (Holm)": _p(one.adjusted),
            "folds a > b": f"{one.wins[0]} of {sum(one.wins)}",
            "verdict": _verdict(one),
        }
        for one in found
    ]


def _verdict(one: Comparison) -> str:
    """The verdict in a few words; its numbers stand beside it."""
    decides = one.test.p if one.adjusted is None else one.adjusted
    if decides is None:
        return f"not tested: {one.test.refused}"
    if decides > 1 - one.test.level:
        return "no evidence of a difference"
    return f"{one.a if one.test.estimate > 0 else one.b} is better"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _p(value: float | None) -> str:
    if value is None:
        return wording.NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
