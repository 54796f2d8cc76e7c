"""A sweep's results in numbers: the object that `run --json` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from reno_sweeps.records import FoldScore, Sweep, Trial, best_of, digest
from reno_sweeps.training.configuration import cell_of

TEST = ("accuracy", "macro_f1", "uar")  # what is reported of test folds, beside cross_entropy in the tables
FORMER = "mlflow_runs"  # fact: key of a run → its id
NESTED = "nested:"  # + round:fold; fact: what the search inside an outer fold found


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and standard deviation over folds (n − 1 below the root; None for a single fold)."""
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None}


def metric_over_folds(scores: Sequence[FoldScore], part: str, metric: str) -> list[float]:
    """A metric of the validation or test part, fold by fold; with several seeds a fold's is their mean."""
    by_fold: dict[tuple[int, int], list[float]] = {}
    for score in scores:
        if metric in getattr(score, part):
            repeat, _, fold = score.place
            by_fold.setdefault((repeat, fold), []).append(getattr(score, part)[metric])
    return [values[0] if len(values) == 1 else fmean(values) for values in by_fold.values()]


def tested(scores: Sequence[FoldScore]) -> dict[str, Any]:
    """Test metrics with their folds."""
    found = {}
    for metric in TEST:
        folds = metric_over_folds(scores, "test", metric)
        if folds:
            found[metric] = {**spread(folds), "folds": folds}
    return found


def counts(trials: Sequence[Trial], asked: int) -> dict[str, int]:
    """How many were asked for, and how those that ended did."""
    states = [trial.state for trial in trials]
    return {"asked": asked, **{state: states.count(state) for state in ("complete", "pruned", "failed")}}


def extras(facts: Mapping[str, Any], owner: str) -> tuple[FoldScore, ...]:
    """The stored scores of a baseline or a refit, in the order of the folds."""
    prefix = f"extra:{owner}:"
    found = [FoldScore.from_dict(v) for k, v in facts.items() if k.startswith(prefix) and v is not None]
    return tuple(sorted(found, key=lambda s: (s.repeat, s.fold)))


def linear_owner(encoders: Sequence[str]) -> str:
    """Who owns the linear baseline on these encoders: another winner may have others."""
    return f"baseline linear {digest(list(encoders))[:8]}"


def control_owner(number: int) -> str:
    """Who owns the control of a trial on shuffled labels."""
    return f"control shuffled {number}"


def describe_best(trial: Trial, sweep: Sweep, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The best trial as `run --json` shows it."""
    validation = {m: spread(metric_over_folds(trial.scores, "validation", m)) for m in (*TEST, "cross_entropy")}
    refit = extras(facts, f"refit {trial.number}")
    shown: dict[str, Any] = {
        "number": trial.number,
        "run_id": facts.get(FORMER, {}).get(f"trial {trial.number:04d}"),
        "params": {**sweep.fixed, **trial.proposal},
        "objective": trial.objective,
        "val": validation,
        "test": tested(trial.scores),
    }
    if refit:
        shown["test_refit"] = tested(refit)
    return shown


def summarise(
    sweep: Sweep, trials: Sequence[Trial], facts: Mapping[str, Any], *, asked: int, place: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole object. `place` says where things are: sweep, experiment_id, parent_run_id, tracking_uri, …"""
    best = best_of(trials, sweep)
    cell = cell_of(sweep.cells[best.cell], best.proposal) if best else sweep.cells[0]
    summary: dict[str, Any] = {
        **place,
        "encoders": list(cell.encoders),
        "head": cell.head,
        "selection": sweep.protocol.selection,
        "folds": sweep.protocol.n_folds,
        "repeats": sweep.protocol.repeats,
        "seeds": sweep.protocol.seeds,
        "trials": counts(trials, asked),
        "best": None if best is None else describe_best(best, sweep, facts),
        "runs": {key: run for key, run in facts.get(FORMER, {}).items() if run and not key.startswith("trial ")},
        "baselines": _baselines(facts, cell.encoders),
        "seconds": facts.get("seconds", {}),
    }
    if sweep.protocol.selection == "paper":
        summary["optimistic"] = True  # the test fold stopped the training and selected: said beside every figure
    if best is not None and (control := extras(facts, control_owner(best.number))):
        summary["controls"] = {"shuffled labels": {"test": tested(control)}}
    if nested := nested_found(sweep, facts, best):
        summary["nested"] = nested
    if len(sweep.cells) > 1:
        summary["cells"] = [_cell(i, sweep, trials, facts) for i in range(len(sweep.cells))]
    found: dict[str, Any] = finite(summary)
    return found


def _baselines(facts: Mapping[str, Any], encoders: Sequence[str]) -> dict[str, Any]:
    found = {}
    linear = extras(facts, linear_owner(encoders))
    if linear:
        found["linear"] = {"test": tested(linear)}
    if facts.get("majority"):
        found["majority"] = {"test": facts["majority"]}
    return found


def _cell(index: int, sweep: Sweep, trials: Sequence[Trial], facts: Mapping[str, Any]) -> dict[str, Any]:
    mine = [trial for trial in trials if trial.cell == index]
    best, cell = best_of(mine, sweep), sweep.cells[index]
    cell = cell_of(cell, best.proposal) if best else cell
    shown = None if best is None else describe_best(best, sweep, facts)
    ended = sum(trial.ended for trial in mine)
    row = {"head": cell.head, "encoders": list(cell.encoders), "trials": ended, "best": shown}
    nested = nested_found(sweep, facts, best, cell=index)
    return {**row, "nested": nested} if nested else row


# --- nested -------------------------------------------------------------------------------------------------


def outer_rows(sweep: Sweep, facts: Mapping[str, Any], cell: int | None = None) -> list[dict[str, Any]]:
    """What was selected in each outer fold, of one cell or the best of all, repeat by repeat; as far as it is there."""
    sign = -1 if sweep.objective.direction == "maximize" else 1
    rows = []
    for turn in range(sweep.protocol.rounds):
        for fold in range(sweep.protocol.n_folds):
            found = facts.get(f"{NESTED}{turn}:{fold}")
            chosen = [row for row in (found or {}).get("cells", ()) if cell in {None, row["cell"]}]
            if chosen:
                rows.append(min(chosen, key=lambda row: (sign * row["objective"], row["cell"])))
    return rows


def nested_found(
    sweep: Sweep, facts: Mapping[str, Any], best: Trial | None, cell: int | None = None
) -> dict[str, Any] | None:
    """The nested protocol's answer: test metrics of searches that never saw the test fold; None before all are done.

    `optimism_gap` is what the ordinary search's winner promises beyond it, in the metric that was searched (in
    macro-F1 where that is no share); positive is too much.
    """
    if sweep.protocol.selection != "nested":
        return None
    rows = outer_rows(sweep, facts, cell)
    if len(rows) < sweep.protocol.rounds * sweep.protocol.n_folds:
        return None
    test = tested([FoldScore.from_dict(row["score"]) for row in rows])
    metric = sweep.objective.metric if sweep.objective.metric in TEST else "macro_f1"
    promised = tested(best.scores) if best else {}
    gap = promised[metric]["mean"] - test[metric]["mean"] if metric in promised and metric in test else None
    kept = ("selected", "head", "encoders", "objective", "epochs")
    return {"test": test, "optimism_gap": gap, "selected": [{name: row[name] for name in kept} for row in rows]}


def finite(value: Any) -> Any:
    """The same with NaN and infinities as None: JSON has neither."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
