"""Named contestants compared: two, many against a reference with Holm's correction, two or more across corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from numpy.typing import ArrayLike

from reno_sweeps.compare.bayes import ROPE, correlated_t
from reno_sweeps.compare.corrected_t import corrected_t
from reno_sweeps.compare.finding import Finding
from reno_sweeps.compare.holm import holm
from reno_sweeps.compare.scores import Scores, difference, matrix, row
from reno_sweeps.compare.signed_rank import signed_rank
from reno_sweeps.compare.verdict import a_is_better, verdict
from reno_sweeps.records import UserError


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """A head, sweep or encoder with its scores [repeats, folds] and the digest of the folds they were made on."""

    name: str
    scores: Scores
    folds: str

    def __init__(self, name: str, scores: ArrayLike, folds: str) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "scores", matrix(scores, name))
        object.__setattr__(self, "folds", folds)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two contestants side by side. Differences are a − b; the verdict follows the adjusted p where there is one."""

    a: str
    b: str
    means: tuple[float, float]
    wins: tuple[int, int, int]  # folds (or corpora) on which a is better, both are equal, b is better
    test: Finding
    posterior: Finding | None  # None across corpora
    adjusted: float | None  # Holm's p among all comparisons that were made together
    verdict: str


def compare(
    a: Contestant,
    b: Contestant,
    *,
    metric: str = "macro_f1",
    rope: float = ROPE,
    ratio: float | None = None,
    level: float = 0.95,
) -> Comparison:
    """Two contestants paired by fold: corrected t-test, Bayesian correlated t-test, and the verdict in words."""
    _refuse_other_folds(a, b)
    test = corrected_t(a.scores, b.scores, ratio=ratio, level=level)
    posterior = correlated_t(a.scores, b.scores, rope=rope, ratio=ratio, level=level)
    means = float(a.scores.mean()), float(b.scores.mean())
    wins = _wins(difference(a.scores, b.scores), metric)
    said = verdict(test, a.name, b.name, metric=metric)
    return Comparison(a.name, b.name, means, wins, test, posterior, None, said)


def against(
    reference: Contestant,
    others: Sequence[Contestant],
    *,
    metric: str = "macro_f1",
    rope: float = ROPE,
    ratio: float | None = None,
    level: float = 0.95,
) -> tuple[Comparison, ...]:
    """Each of the others minus the reference, in the given order; the verdicts follow Holm's adjusted p-values."""
    _refuse_same_names([reference.name, *(other.name for other in others)])
    found = [compare(other, reference, metric=metric, rope=rope, ratio=ratio, level=level) for other in others]
    return _adjusted(found, metric)


def across_corpora(
    reference: str,
    scores: Mapping[str, Mapping[str, float]],
    *,
    metric: str = "macro_f1",
    level: float = 0.95,
) -> tuple[Comparison, ...]:
    """Each contestant minus the reference over corpora (contestant → corpus → score): Wilcoxon and Holm."""
    if reference not in scores:
        raise UserError(f"no scores of {reference!r}\nscores are at hand of {', '.join(scores) or 'nobody'}")
    others = [name for name in scores if name != reference]
    _refuse_same_names([reference, *others])
    for name in others:
        _refuse_other_corpora(name, scores[name], reference, scores[reference])
    corpora = sorted(scores[reference])
    rows = {name: row([of[corpus] for corpus in corpora], name) for name, of in scores.items()}
    found = []
    for name in others:
        test = signed_rank(rows[name], rows[reference], level=level, comparisons=len(others))
        means = float(rows[name].mean()), float(rows[reference].mean())
        wins = _wins(difference(rows[name], rows[reference]), metric)
        found.append(Comparison(name, reference, means, wins, test, None, None, ""))
    return _adjusted(found, metric)


def _adjusted(found: Sequence[Comparison], metric: str) -> tuple[Comparison, ...]:
    """The comparisons with Holm's p and verdicts by it; those that were refused take no part."""
    tested = [one for one in found if one.test.p is not None]
    corrected = iter(holm([one.test.p for one in tested if one.test.p is not None]))
    said = []
    for one in found:
        p = None if one.test.p is None else next(corrected)
        words = verdict(one.test, one.a, one.b, metric=metric, adjusted=p, comparisons=len(tested))
        said.append(replace(one, adjusted=p, verdict=words))
    return tuple(said)


def _wins(gap: Scores, metric: str) -> tuple[int, int, int]:
    better = sum(a_is_better(float(one), metric) for one in gap.flat)
    equal = int((gap == 0).sum())
    return better, equal, gap.size - better - equal


def _refuse_other_folds(a: Contestant, b: Contestant) -> None:
    if a.scores.shape != b.scores.shape:
        sizes = " and ".join(f"{c.name}: {c.scores.shape[0]} × {c.scores.shape[1]}" for c in (a, b))
        raise UserError(f"repeats × folds differ, {sizes}\nonly scores of the same folds are paired")
    if a.folds != b.folds:
        raise UserError(
            f"{a.name} and {b.name} were tested on different folds ({a.folds[:8]}, {b.folds[:8]})\n"
            "only scores of the same folds are paired: run both with one corpus, protocol.folds, --folds, --fold-seed"
        )


def _refuse_other_corpora(name: str, of: Mapping[str, float], reference: str, expected: Mapping[str, float]) -> None:
    missing = sorted(set(of) ^ set(expected))
    if missing:
        raise UserError(
            f"{name} and {reference} are not both scored on {', '.join(missing)}\n"
            "contestants are paired by corpus: give scores of the same corpora"
        )


def _refuse_same_names(names: Sequence[str]) -> None:
    if len(names) < 2:
        raise UserError(f"{names[0]}: nothing to compare it with\ngive at least two contestants")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{', '.join(twice)}: named twice\neach contestant is compared once")
