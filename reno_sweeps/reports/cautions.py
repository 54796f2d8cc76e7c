"""What a reader of a sweep should know before trusting its best figure: said by `run`, the note and the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import stdev
from typing import Any

from reno_sweeps.compare.telltale import SUSPICIOUS
from reno_sweeps.records import FoldScore, Sweep, Trial
from reno_sweeps.reports import wording
from reno_sweeps.reports.summary import metric_over_folds
from reno_sweeps.space import Categorical, Distribution

EDGE = 0.05  # share of a range, on its own scale, next to either end
SPREAD = 0.05  # standard deviation over folds from which they disagree
LATE = 0.25  # share of the trials, the last ones
GAIN = 0.005  # of the objective, a share: less than this is no improvement worth more trials
UNRELATED = 0.05  # p of the permutation test above which two descriptions of the clips may have nothing in common

FEW = 8  # complete trials below which nothing is said of convergence


def cautions(sweep: Sweep, trials: Sequence[Trial], summary: Mapping[str, Any]) -> list[str]:
    """One sentence for each thing that is amiss with the search or its best trial; none where all is well."""
    best = summary["best"]
    winner = next((t for t in trials if best is not None and t.number == best["number"]), None)
    said = [*of_data(summary), _collapsed(trials, winner)]
    if winner is not None:
        said += [_below_linear(summary), *_at_edges(sweep, winner), _unlike(winner), _unfinished(sweep, trials)]
    return [sentence for sentence in said if sentence]


def of_data(found: Mapping[str, Any]) -> list[str]:
    """What is amiss with the embeddings themselves, known before anything trains: facts `telltales`, `alignment`."""
    return [*_told(found), *_misaligned(found)]


def collapsed(score: FoldScore) -> bool:
    """Whether a fold's model gives one answer to every test clip, of several classes."""
    counts = score.test_confusion
    said = [sum(column) for column in zip(*counts, strict=True)]
    return len(said) > 1 and sum(map(bool, said)) == 1 and sum(any(row) for row in counts) > 1


def _collapsed(trials: Sequence[Trial], winner: Trial | None) -> str | None:
    done = [trial for trial in trials if trial.state == "complete"]
    several = [trial for trial in done if any(map(collapsed, trial.scores))]
    if not several:
        return None
    own = sum(map(collapsed, winner.scores)) if winner is not None else 0
    worst = f"; the best trial itself in {own} of {len(winner.scores)} folds" if own and winner is not None else ""
    which = "trial" if len(several) == 1 else "trials"
    named = ", ".join(str(trial.number) for trial in several[:5]) + (", …" if len(several) > 5 else "")
    return (
        f"{len(several)} of {len(done)} complete trials collapsed: in a fold they answer one class to every clip "
        f"({which} {named}){worst}; a lower training.lr or more weight on the cross-entropy (loss.lambda) may help"
    )


def _told(summary: Mapping[str, Any]) -> list[str]:
    """Embeddings of which a single feature gives a class away."""
    return [
        f"feature {row['feature']} of {wording.encoders([row['encoder']])} alone tells {row['label']!r} from all other "
        f"classes (area under the ROC curve {row['area']:.3f}): no recording does that; does it hold the label?"
        for row in summary.get("telltales", ())
        if row["area"] >= SUSPICIOUS
    ]


def _misaligned(summary: Mapping[str, Any]) -> list[str]:
    """Embeddings whose rows agree with the labels, or with another encoder's, no better than shuffled ones."""
    said = []
    for row in summary.get("alignment", ()):
        if row["p"] > UNRELATED:
            other = "the labels" if row["b"] == "labels" else f"those of {wording.encoders([row['b']])}"
            said.append(
                f"the rows of {wording.encoders([row['a']])} agree with {other} no better than shuffled ones do "
                f"(p {row['p']:.2f}): it knows nothing of them, or its rows are in another order"
            )
    return said


def _below_linear(summary: Mapping[str, Any]) -> str | None:
    best, linear = summary["best"], summary["baselines"].get("linear")
    if linear is None or summary["head"] == "linear":
        return None
    own, its = (found["test"].get("macro_f1", {}).get("mean") for found in (best, linear))
    if own is None or its is None or own >= its:
        return None
    return (
        f"{summary['head']} is below linear: {100 * own:.1f} % against {100 * its:.1f} % macro-F1 on the test folds; "
        "it has not shown that it learned more"
    )


def _at_edges(sweep: Sweep, winner: Trial) -> list[str]:
    """Searched ranges at whose end the winner lies: what is best may lie beyond."""
    said = []
    for name, distribution in sweep.search.items():
        value = winner.proposal.get(name)
        place = None if value is None else _place(value, distribution)
        if place is None or EDGE < place < 1 - EDGE:
            continue
        end, beyond = ("lowest", "lower") if place <= EDGE else ("highest", "higher")
        where = f"is at the {end} end of its range ({wording.span(distribution)})"
        said.append(f"the best {name}, {wording.number(value)}, {where}: a {beyond} one may be better")
    return said


def _place(value: Any, distribution: Distribution) -> float | None:
    """Where in its range a value lies, from 0 to 1, on the range's own scale; None: it has no ends."""
    if isinstance(distribution, Categorical) or distribution.low == distribution.high:
        return None
    low, high, here = (float(x) for x in (distribution.low, distribution.high, value))
    if distribution.log:
        low, high, here = map(math.log, (low, high, here))
    return (here - low) / (high - low)


def _unlike(winner: Trial) -> str | None:
    folds = metric_over_folds(winner.scores, "test", "macro_f1")
    if len(folds) < 2 or stdev(folds) <= SPREAD:
        return None
    return (
        f"the folds disagree: the best trial reaches from {100 * min(folds):.1f} to {100 * max(folds):.1f} % macro-F1 "
        "on them; more clips, or repeats (protocol.repeats), would narrow this"
    )


def _unfinished(sweep: Sweep, trials: Sequence[Trial]) -> str | None:
    """Whether the last quarter of the search still found something clearly better."""
    done = [t for t in trials if t.state == "complete" and t.objective is not None]
    early = [t for t in done if t.number < (1 - LATE) * len(trials)]
    if len(done) < FEW or not early or not sweep.search:
        return None
    sign = 1 if sweep.objective.direction == "maximize" else -1
    best, before = (max(sign * (t.objective or 0.0) for t in some) for some in (done, early))
    if best - before <= GAIN * (1 if wording.is_share(sweep.objective.metric) else abs(before)):
        return None
    gained = wording.measured(sweep.objective.metric, best - before)
    return (
        f"the search has not converged: its last {len(trials) - math.ceil((1 - LATE) * len(trials))} trials improved "
        f"{wording.metric(f'val_{sweep.objective.metric}')} by {gained}; more --trials may improve it further"
    )
