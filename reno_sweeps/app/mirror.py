"""What the ledger has, as the rows that MLflow shows. Built from stored facts alone, so it can be built again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reno_sweeps.app.stored import Stored
from reno_sweeps.records import FoldScore, Sweep, Trial, best_of
from reno_sweeps.reports import tables, wording
from reno_sweeps.reports.summary import TEST, control_owner, extras, linear_owner, metric_over_folds, outer_rows, spread
from reno_sweeps.training.configuration import cell_of, resolve
from tracking import names
from tracking.rows import Point, RunRow

STATUS = {"running": "RUNNING", "waiting": "SCHEDULED", "complete": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}
MEANS = (
    *(("validation", "val", metric) for metric in (*TEST, "cross_entropy")),  # one of them is the objective
    *(("test", "test", metric) for metric in TEST),
)


def trial_row(trial: Trial, sweep: Sweep) -> RunRow:
    """A trial's run: its configuration, its folds as far as they are finished, its means once it is complete."""
    cell = cell_of(sweep.cells[trial.cell], trial.proposal)
    values = resolve(cell.head, trial.proposal, sweep.fixed)
    params = {"head": cell.head, "encoders": pair(cell.encoders), **values}
    if trial.scores:
        params[names.PARAMETERS] = trial.scores[0].parameters
    tags = {names.STATE: trial.state, names.TRIAL: str(trial.number), **selection_tags(sweep)}
    if trial.reason:
        tags[names.REASON] = trial.reason
    return RunRow(
        key=names.trial(trial.number),
        kind=names.TRIAL_KIND,
        status=STATUS[trial.state],
        start_ms=milliseconds(trial.started or 0.0),
        end_ms=None if trial.finished is None else milliseconds(trial.finished),
        params=params,
        metrics=[*_fold_points(trial.scores, sweep), *mean_points(trial.scores, whole=trial.state == "complete")],
        tags=tags,
        tables={names.FOLDS_TABLE: folds_table(trial.scores)} if trial.scores else {},
    )


def pair(encoders: Sequence[str]) -> str:
    """Encoders as a param, which can never change: of a file its name, not the folder, which may be moved."""
    return "+".join(wording.encoders([encoder]) for encoder in encoders)


def selection_tags(sweep: Sweep) -> dict[str, str]:
    """What selected; said on every run, so that no figure stands without it."""
    tags = {names.SELECTION: sweep.protocol.selection}
    return {**tags, names.OPTIMISTIC: "true"} if sweep.protocol.selection == "paper" else tags


def folds_table(scores: Sequence[FoldScore]) -> dict[str, list[Any]]:
    """A row a fold: sizes, best epoch, all metrics, seconds; as columns."""
    rows = tables.fold_rows(scores)
    return {name: [row[name] for row in rows] for name in rows[0]}


def _fold_points(scores: Sequence[FoldScore], sweep: Sweep) -> Iterator[Point]:
    for score in scores:
        end = milliseconds(score.finished)
        begin = milliseconds(score.finished - score.seconds)

        def named(metric: str, score: FoldScore = score) -> str:
            return names.fold_metric(score.place, metric, sweep.protocol.repeats, sweep.protocol.seeds)

        for metric, curve in score.curves.items():
            for epoch, value in enumerate(curve, start=1):
                yield named(metric), value, begin + (end - begin) * epoch // max(1, score.epochs), epoch
        last = score.epochs + 1  # once more with the best epoch's values: the UI then shows the model's
        for metric, value in score.validation.items():
            yield named(names.val(metric)), value, end, last
        for metric, value in score.test.items():
            yield named(names.test(metric)), value, end, last
        yield named(names.BEST_EPOCH), float(score.best_epoch), end, last


def mean_points(scores: Sequence[FoldScore], *, whole: bool) -> Iterator[Point]:
    """Means over folds with their deviations; none before all folds are there."""
    if not whole:
        return
    end = ended_ms(scores)
    for part, prefix, metric in MEANS:
        values = metric_over_folds(scores, part, metric)
        if not values:
            continue
        over = spread(values)
        yield f"{prefix}_{metric}", over["mean"] or 0.0, end, 0
        if over["std"] is not None:
            yield names.std(f"{prefix}_{metric}"), over["std"], end, 0


# --- beside the trials --------------------------------------------------------------------------------------


def run_rows(found: Stored) -> list[RunRow]:
    """Every run below the parent, from what is stored."""
    rows = [trial_row(trial, found.sweep) for trial in found.trials if trial.started is not None]
    best = best_of(found.trials, found.sweep)
    if best is None:
        return rows
    encoders = cell_of(found.sweep.cells[best.cell], best.proposal).encoders
    settings = {"head": "linear", "encoders": pair(encoders), **found.facts.get("linear", {})}
    rows += _extra_rows(names.BASELINES, linear_owner(encoders), "linear", found, settings)
    control = _extra_rows(names.BASELINES, control_owner(best.number), "shuffled labels", found, best.proposal)
    rows += control[1:] if any(row.key == names.BASELINES for row in rows) else control  # one child for all of them
    if found.finished:
        rows += _extra_rows(names.REFIT, f"refit {best.number}", names.trial(best.number), found, best.proposal)
        rows += _winner_rows(best, found.sweep)
    return [*rows, *_nested_rows(found)]


def _nested_rows(found: Stored) -> list[RunRow]:
    """A run for each outer fold's search: what it selected, and what that was worth on the outer test fold."""
    rows: list[RunRow] = []
    for chosen in outer_rows(found.sweep, found.facts):
        score = FoldScore.from_dict(chosen["score"])
        place = place_name(score, found.sweep)
        end = milliseconds(score.finished)
        points = [(names.test(metric), value, end, 0) for metric, value in score.test.items()]
        row = _row_of([score], key=f"{names.NESTED}: {place}", kind=names.NESTED, tags=selection_tags(found.sweep))
        params = {
            "head": chosen["head"],
            "encoders": pair(chosen["encoders"]),
            **found.sweep.fixed,
            **chosen["selected"],
        }
        inner = names.val(found.sweep.objective.metric)
        rows.append(
            replace(
                row,
                name=f"{names.NESTED} {place}",
                parent=names.NESTED,
                params={**params, "training.epochs": chosen["epochs"]},
                metrics=[*points, (inner, chosen["objective"], end, 0)],
                tables={names.FOLDS_TABLE: folds_table([score])},
            )
        )
    if not rows:
        return []
    child = replace(rows[0], key=names.NESTED, name=None, parent=names.PARENT_KEY, params={}, metrics=[], tables={})
    return [replace(child, start_ms=min(r.start_ms for r in rows), end_ms=max(r.end_ms or 0 for r in rows)), *rows]


def _extra_rows(kind: str, owner: str, name: str, found: Stored, params: Mapping[str, Any]) -> list[RunRow]:
    """A baseline or the refit: a run below the one child of that kind; none where it was not trained."""
    scores = extras(found.facts, owner)
    if not scores:
        return []
    head = _row_of(scores, key=kind, kind=kind, tags=selection_tags(found.sweep))
    child = replace(
        head,
        key=owner,
        name=name,
        parent=kind,
        params=params,
        metrics=[*_fold_points(scores, found.sweep), *mean_points(scores, whole=True)],
        tables={names.FOLDS_TABLE: folds_table(scores)},
    )
    return [head, child]


def _winner_rows(best: Trial, sweep: Sweep) -> list[RunRow]:
    """The winner's folds, a run each, so that their curves stand side by side. A later winner has runs of its own."""
    tags = {**selection_tags(sweep), names.TRIAL: str(best.number)}
    rows = [_row_of(best.scores, key=names.WINNER, kind=names.WINNER, tags=tags)]
    for score in best.scores:
        name = f"{names.trial(best.number)} {place_name(score, sweep)}"
        points = [(metric.rsplit("/", 1)[1], value, t, step) for metric, value, t, step in _fold_points([score], sweep)]
        row = _row_of([score], key=f"{names.WINNER}: {name}", kind=names.WINNER, tags=tags)
        rows.append(replace(row, name=name, parent=names.WINNER, metrics=points))
    return rows


def _row_of(scores: Sequence[FoldScore], *, key: str, kind: str, tags: Mapping[str, str]) -> RunRow:
    start = min(score.finished - score.seconds for score in scores)
    end = max(score.finished for score in scores)
    return RunRow(
        key=key, kind=kind, status="FINISHED", start_ms=milliseconds(start), end_ms=milliseconds(end), tags=tags
    )


def place_name(score: FoldScore, sweep: Sweep) -> str:
    """'fold 3'; where there are several repeats or seeds 'repeat 1 seed 2 fold 3'."""
    repeat, seed, fold = score.place
    repeated = f"repeat {repeat} " * (sweep.protocol.repeats > 1)
    return f"{repeated}{f'seed {seed} ' * (sweep.protocol.seeds > 1)}fold {fold}"


def run_ids(found: Stored, run_id: Callable[[str], str | None]) -> dict[str, str]:
    """Key → MLflow's id of every trial's run, and of the children that hold what was trained beside them."""
    keys = [*(names.trial(trial.number) for trial in found.trials), *names.CHILDREN]
    return {key: known for key in keys if (known := run_id(key)) is not None}


def ended_ms(scores: Sequence[FoldScore]) -> int:
    """When the last of these folds ended: a stored fact, the same however often it is asked."""
    return max(milliseconds(score.finished) for score in scores)


def milliseconds(seconds: float) -> int:
    """Unix time as MLflow counts it."""
    return int(seconds * 1000)
