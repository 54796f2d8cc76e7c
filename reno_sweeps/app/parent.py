"""The sweep's own run in MLflow, and the report that it shows: what was asked, on which data, what was best."""

from __future__ import annotations

import csv
import io
import itertools
import json
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from reno_sweeps.app.commit import commit
from reno_sweeps.app.mirror import ended_ms, mean_points, milliseconds, pair, selection_tags
from reno_sweeps.app.stored import Stored
from reno_sweeps.config.settings import masked
from reno_sweeps.records import best_of
from reno_sweeps.reports import space_file
from reno_sweeps.reports.summary import TEST, extras, metric_over_folds, outer_rows, spread
from tracking import names
from tracking.rows import Dataset, Point, SweepRow

REPORT = "report"  # the folder of a sweep's report, below the sweep's own
PACKAGES = ("reno-sweeps", "torch", "torchaudio", "transformers", "scikit-learn", "optuna", "ray", "mlflow", "numpy")


def sweep_row(found: Stored, status: str | None = None) -> SweepRow:
    """The parent run: what was asked, on which data, what was best so far."""
    corpus = found.state["corpus"]
    labels = Counter(clip.label for clip in found.clips)
    profile = {"clips": len(found.clips), "classes": dict(sorted(labels.items()))}
    dataset = Dataset(
        name=corpus["id"], digest=corpus["content"][:36], source=corpus["root"], profile=json.dumps(profile)
    )
    ended = found.facts.get("ended")
    return SweepRow(
        identity=found.state["identity"],
        name=found.name,
        experiment=found.settings.experiment or names.experiment(corpus["id"]),
        start_ms=milliseconds(found.state["created"]),
        status=status or ("FINISHED" if found.progress == "done" else "KILLED"),
        end_ms=None if status == "RUNNING" or not ended else milliseconds(ended),
        params=_sweep_params(found),
        metrics=[*_best_so_far(found), *_headline(found)],
        tags={
            **selection_tags(found.sweep),
            names.SOURCE_NAME: "reno-sweep",
            names.CORPUS: corpus["id"],
            names.VERSION: versions()["reno-sweeps"],
        },
        note=found.note(),
        texts={
            names.SPACE_FILE: space_file.resolved(found.sweep),
            names.SPACE_AS_GIVEN: masked(found.state["space"]),  # its `run:` may name a storage with its password
            names.SPACE_JSON: json.dumps(found.state["sweep"], indent=1, ensure_ascii=False),
            names.VERSIONS_FILE: json.dumps(versions(), indent=1),
            names.CLIPS: clips_table(found),
        },
        files={} if status == "RUNNING" else _report_files(found),
        datasets=(dataset,),
        primary_metric=names.val(found.sweep.objective.metric),
        minimize=found.sweep.objective.direction == "minimize",
        columns=_columns(found),
    )


def _report_files(found: Stored) -> dict[str, Path]:
    """What of a written report the parent run shows: the page, figures, tables."""
    files = sorted((found.folder / REPORT).glob("*"))
    places = {
        ".html": "",
        ".png": f"{names.FIGURES}/",
        ".csv": f"{names.TABLES_FOLDER}/",
        ".md": f"{names.TABLES_FOLDER}/",
        ".tex": f"{names.TABLES_FOLDER}/",
        ".pdf": f"{names.FIGURES}/",
    }
    return {f"{places[file.suffix]}{file.name}": file for file in files if file.suffix in places}


def _columns(found: Stored) -> tuple[str, ...]:
    """What the UI's table of trials begins with: the objective, the test means, what was searched."""
    shown = [names.val(found.sweep.objective.metric), *(names.test(metric) for metric in TEST)]
    metrics = tuple(f"metrics.{metric}" for metric in dict.fromkeys(shown))
    return (*metrics, *(f"params.{names.clean(name)}" for name in found.sweep.search))


def _sweep_params(found: Stored) -> dict[str, Any]:
    sweep, folds = found.sweep, found.data.get("folds", {})
    return {
        "space": sweep.name,
        "head": ", ".join(dict.fromkeys(cell.head for cell in sweep.cells)),
        "encoders": " | ".join(dict.fromkeys(pair(cell.encoders) for cell in sweep.cells)),
        "corpus": found.state["corpus"]["id"],
        "corpus.content": found.state["corpus"]["content"],
        "folds": folds.get("kind"),
        "folds.digest": folds.get("digest"),
        "protocol.n_folds": sweep.protocol.n_folds,
        "protocol.repeats": sweep.protocol.repeats,
        "protocol.seeds": sweep.protocol.seeds,
        "protocol.selection": sweep.protocol.selection,
        "protocol.seed": sweep.protocol.seed,
        "objective": f"{sweep.objective.direction} {names.val(sweep.objective.metric)}",
        "sampler": sweep.budget.sampler,
        "sampler.seed": sweep.budget.seed,
        "sampler.ahead": found.facts.get("ahead"),
        "pruner": sweep.budget.pruner,
    }


def _best_so_far(found: Stored) -> Iterator[Point]:
    """Over trial numbers, up to the first trial that has not ended: a point that was written never changes."""
    name, best = names.best(found.sweep.objective.metric), None
    better = max if found.sweep.objective.direction == "maximize" else min
    for trial in itertools.takewhile(lambda trial: trial.ended, found.trials):
        if trial.state == "complete" and trial.objective is not None:
            best = trial.objective if best is None else better(best, trial.objective)
            yield name, best, ended_ms(trial.scores), trial.number


def _headline(found: Stored) -> Iterator[Point]:
    """The winner's figures on the parent run, for the experiment's table; at the step of the trials that ended.

    Only of a search that came to its end: MLflow shows the last step, and a winner may follow one of a larger number.
    """
    best = best_of(found.trials, found.sweep)
    if best is None or not found.finished:
        return
    step = sum(trial.ended for trial in found.trials)
    for metric, value, when, _ in mean_points(best.scores, whole=True):
        yield metric, value, when, step
    refit = extras(found.facts, f"refit {best.number}")
    if refit:
        mean = spread(metric_over_folds(refit, "test", "macro_f1"))["mean"]
        yield names.refit("macro_f1"), mean or 0.0, ended_ms(refit), step
    nested = found.summary().get("nested")
    if nested:
        when = max(milliseconds(row["score"]["finished"]) for row in outer_rows(found.sweep, found.facts))
        for metric, over in nested["test"].items():
            yield names.nested(metric), over["mean"] or 0.0, when, step
        if nested["optimism_gap"] is not None:
            yield names.OPTIMISM_GAP, nested["optimism_gap"], when, step


def clips_table(found: Stored) -> str:
    """Clips with the fold in which each is tested (repeat by repeat, '/' between), as CSV."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["path", "label", "speaker", "fold"])
    for clip, tested in zip(found.clips, found.data.get("tested", ()), strict=True):
        out.writerow([clip.path, clip.label, clip.speaker or "", "/".join(map(str, tested))])
    return text.getvalue()


def provenance(found: Stored) -> dict[str, str]:
    """Everything that a reader needs to trust a figure, or to get it again."""
    sweep, folds = found.sweep, found.data.get("folds", {})
    facts = {
        "sweep's identity": found.state["identity"],
        "corpus content": found.state["corpus"]["content"],
        "clips": str(len(found.clips)),
        "folds": f"{folds.get('kind')}, {folds.get('digest')}",
        "seeds": f"protocol {sweep.protocol.seed}, sampler {sweep.budget.seed}, ahead {found.facts.get('ahead')}",
        **{f"encoder {e}": _spell_facts(known) for e, known in found.state["encoders"].items()},
    }
    return {**facts, **versions()}


def _spell_facts(known: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)


def versions() -> dict[str, str]:
    """The packages that a result depends on, and the commit where reno-sweeps runs from a checkout."""
    own = {} if (known := commit()) is None else {"commit": known}
    return {**own, "python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}
