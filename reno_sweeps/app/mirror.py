"""What the ledger has, as the rows that MLflow shows. Built from stored facts alone, so it can be built again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from reno_sweeps.app.opening import Opened
from reno_sweeps.records import FoldScore, Split, Sweep, Trial
from reno_sweeps.reports.summary import best_of, extras, metric_over_folds, spread
from reno_sweeps.training.configuration import cell_of, resolve
from tracking import names
from tracking.rows import Dataset, Point, RunRow, SweepRow

STATUS = {"running": "RUNNING", "waiting": "RUNNING", "complete": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}
MEANS = (
    ("validation", "val", "macro_f1"),
    ("test", "test", "macro_f1"),
    ("test", "test", "accuracy"),
    ("test", "test", "uar"),
)
PACKAGES = ("reno-sweeps", "torch", "torchaudio", "transformers", "scikit-learn", "optuna", "ray", "mlflow", "numpy")


def trial_row(trial: Trial, sweep: Sweep) -> RunRow:
    """A trial's run: its configuration, its folds as far as they are finished, its means once it is complete."""
    cell = cell_of(sweep.cells[trial.cell], trial.proposal)
    values = resolve(cell.head, trial.proposal, sweep.fixed)
    params = {"head": cell.head, "encoders": "+".join(cell.encoders), **values}
    if trial.scores:
        params[names.PARAMETERS] = trial.scores[0].parameters
    tags = {"reno.state": trial.state, "reno.trial": str(trial.number), **selection_tags(sweep)}
    if trial.reason:
        tags["reno.reason"] = trial.reason
    return RunRow(
        key=names.trial(trial.number),
        kind=names.TRIAL_KIND,
        status=STATUS[trial.state],
        start_ms=_ms(trial.started or 0.0),
        end_ms=None if trial.finished is None else _ms(trial.finished),
        params=params,
        metrics=[*_fold_points(trial.scores, sweep), *_mean_points(trial.scores, whole=trial.state == "complete")],
        tags=tags,
        tables={names.FOLDS_TABLE: folds_table(trial.scores)} if trial.scores else {},
    )


def selection_tags(sweep: Sweep) -> dict[str, str]:
    """What selected; said on every run, so that no figure stands without it."""
    tags = {"reno.selection": sweep.protocol.selection}
    return {**tags, "reno.optimistic": "true"} if sweep.protocol.selection == "paper" else tags


def folds_table(scores: Sequence[FoldScore]) -> dict[str, list[Any]]:
    """A row a fold: sizes, best epoch, all metrics, seconds."""
    columns: dict[str, list[Any]] = {
        "repeat": [],
        "fold": [],
        "best_epoch": [],
        "epochs": [],
        "seconds": [],
        "seed": [],
    }
    for score in scores:
        row: dict[str, Any] = {name: getattr(score, name) for name in ("repeat", "fold", "best_epoch", "epochs")}
        row |= {"seconds": round(score.seconds, 3), "seed": str(score.seed)}  # 63 bits: more than JSON's numbers hold
        row |= {f"clips_{part}": size for part, size in score.sizes.items()}
        row |= {names.val(metric): value for metric, value in score.validation.items()}
        row |= {names.test(metric): value for metric, value in score.test.items()}
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


def _fold_points(scores: Sequence[FoldScore], sweep: Sweep) -> Iterator[Point]:
    for score in scores:
        end = _ms(score.finished)
        begin = _ms(score.finished - score.seconds)

        def named(metric: str, score: FoldScore = score) -> str:
            return names.fold_metric(score.repeat, score.fold, metric, sweep.protocol.repeats)

        for metric, curve in score.curves.items():
            for epoch, value in enumerate(curve, start=1):
                yield named(metric), value, begin + (end - begin) * epoch // max(1, score.epochs), epoch
        last = score.epochs + 1  # once more with the best epoch's values: the UI then shows the model's
        for metric, value in score.validation.items():
            yield named(names.val(metric)), value, end, last
        for metric, value in score.test.items():
            yield named(names.test(metric)), value, end, last
        yield named(names.BEST_EPOCH), float(score.best_epoch), end, last


def _mean_points(scores: Sequence[FoldScore], *, whole: bool) -> Iterator[Point]:
    if not whole:
        return
    end = max(_ms(score.finished) for score in scores)
    for part, prefix, metric in MEANS:
        values = metric_over_folds(scores, part, metric)
        if not values:
            continue
        over = spread(values)
        yield f"{prefix}_{metric}", over["mean"] or 0.0, end, 0
        if over["std"] is not None:
            yield names.std(f"{prefix}_{metric}"), over["std"], end, 0


# --- beside the trials --------------------------------------------------------------------------------------


def extra_rows(
    kind: str, name: str, scores: Sequence[FoldScore], sweep: Sweep, params: Mapping[str, Any]
) -> list[RunRow]:
    """A baseline, the refit or the winner's folds: runs below the one child of that kind."""
    start = _ms(min(score.finished - score.seconds for score in scores))
    end = _ms(max(score.finished for score in scores))
    tags = selection_tags(sweep)
    head = RunRow(key=kind, kind=kind, status="FINISHED", start_ms=start, end_ms=end, tags=tags)
    means = [*_fold_points(scores, sweep), *_mean_points(scores, whole=True)]
    tables = {names.FOLDS_TABLE: folds_table(scores)}
    child = RunRow(
        key=f"{kind}: {name}",
        kind=kind,
        status="FINISHED",
        start_ms=start,
        end_ms=end,
        name=name,
        params=params,
        metrics=means,
        tags=tags,
        tables=tables,
        parent=kind,
    )
    return [head, child]


def winner_rows(best: Trial, sweep: Sweep) -> list[RunRow]:
    """The winner's folds, a run each, so that their curves stand side by side."""
    start = _ms(best.started or 0.0)
    end = _ms(best.finished or 0.0)
    tags = {**selection_tags(sweep), "reno.trial": str(best.number)}
    rows = [RunRow(key=names.WINNER, kind=names.WINNER, status="FINISHED", start_ms=start, end_ms=end, tags=tags)]
    for score in best.scores:
        name = f"fold {score.fold}" if sweep.protocol.repeats == 1 else f"repeat {score.repeat} fold {score.fold}"
        points = [(n.rsplit("/", 1)[1], v, t, step) for n, v, t, step in _fold_points([score], sweep)]
        ended = _ms(score.finished)
        began = _ms(score.finished - score.seconds)
        rows.append(
            RunRow(
                key=f"winner: {name}",
                kind=names.WINNER,
                status="FINISHED",
                start_ms=began,
                end_ms=ended,
                name=name,
                metrics=points,
                tags=tags,
                parent=names.WINNER,
            )
        )
    return rows


# --- the sweep itself ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class About:
    """What the parent run says beside the ledger's facts."""

    opened: Opened
    splits: tuple[Split, ...]
    folds_kind: str
    folds_digest: str
    messages: tuple[str, ...] = ()

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.opened.settings.experiment or names.experiment(self.opened.corpus.id)


def sweep_row(
    about: About,
    trials: Sequence[Trial],
    *,
    status: str,
    note: str,
    ended: float | None = None,
    texts: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> SweepRow:
    """The parent run: what was asked, on which data, what was best so far."""
    opened, sweep = about.opened, about.opened.sweep
    clips, classes = opened.corpus.clips, opened.corpus.classes
    profile = {"clips": len(clips), "classes": {c: sum(clip.label == c for clip in clips) for c in classes}}
    dataset = Dataset(
        name=opened.corpus.id, digest=opened.content[:36], source=str(opened.corpus.root), profile=json.dumps(profile)
    )
    return SweepRow(
        identity=opened.identity,
        name=opened.name,
        experiment=about.experiment,
        start_ms=_ms(opened.created),
        status=status,
        end_ms=None if ended is None else _ms(ended),
        params=_sweep_params(about),
        metrics=[*_best_so_far(trials, sweep), *_headline(trials, sweep, facts or {})],
        tags={**selection_tags(sweep), "mlflow.source.name": "reno-sweep", "reno.corpus": opened.corpus.id},
        note=note,
        texts={
            names.SPACE_FILE: opened.space_text,
            "sweep.json": json.dumps(sweep.to_dict(), indent=1, ensure_ascii=False),
            "versions.json": json.dumps(versions(), indent=1),
            "clips.csv": clips_table(about),
            **(texts or {}),
        },
        datasets=(dataset,),
        primary_metric=names.val(sweep.objective.metric),
    )


def _sweep_params(about: About) -> dict[str, Any]:
    opened, sweep = about.opened, about.opened.sweep
    heads = ", ".join(dict.fromkeys(cell.head for cell in sweep.cells))
    return {
        "space": sweep.name,
        "head": heads,
        "encoders": " | ".join(dict.fromkeys("+".join(cell.encoders) for cell in sweep.cells)),
        "corpus": opened.corpus.id,
        "corpus.content": opened.content,
        "folds": about.folds_kind,
        "folds.digest": about.folds_digest,
        "protocol.n_folds": sweep.protocol.n_folds,
        "protocol.repeats": sweep.protocol.repeats,
        "protocol.selection": sweep.protocol.selection,
        "protocol.seed": sweep.protocol.seed,
        "objective": f"{sweep.objective.direction} {names.val(sweep.objective.metric)}",
        "sampler": sweep.budget.sampler,
        "pruner": sweep.budget.pruner,
        "version": metadata.version("reno-sweeps"),
    }


def _best_so_far(trials: Sequence[Trial], sweep: Sweep) -> Iterator[Point]:
    name, best = names.best(sweep.objective.metric), None
    better = max if sweep.objective.direction == "maximize" else min
    for trial in trials:
        if trial.state == "complete" and trial.objective is not None:
            best = trial.objective if best is None else better(best, trial.objective)
            yield name, best, _ms(trial.finished or 0.0), trial.number


def _headline(trials: Sequence[Trial], sweep: Sweep, facts: Mapping[str, Any]) -> Iterator[Point]:
    """The winner's figures on the parent run, for the experiment's table."""
    best = best_of(trials, sweep)
    if best is None:
        return
    yield from _mean_points(best.scores, whole=True)
    refit = extras(facts, f"refit {best.number}")
    if refit:
        end = max(_ms(score.finished) for score in refit)
        yield "test_refit_macro_f1", spread(metric_over_folds(refit, "test", "macro_f1"))["mean"] or 0.0, end, 0


def clips_table(about: About) -> str:
    """Clips with the fold in which each is tested, for every repeat, as CSV."""
    n_folds = about.opened.sweep.protocol.n_folds
    tested: dict[int, list[str]] = {}
    for index, split in enumerate(about.splits):
        for row in split.test:
            tested.setdefault(row, []).append(str(index % n_folds))
    lines = ["path,label,speaker,fold"]
    for row, clip in enumerate(about.opened.corpus.clips):
        cells = [clip.path, clip.label, clip.speaker or "", "/".join(tested.get(row, []))]
        lines.append(
            ",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' if set(cell) & set(',"\n') else cell for cell in cells)
        )
    return "\n".join(lines) + "\n"


def versions() -> dict[str, str]:
    """The packages that a result depends on."""
    import platform

    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
