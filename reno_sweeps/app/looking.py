"""`status`, `predictions`, `report`, `ui`: what is stored, shown. Nothing here trains."""

from __future__ import annotations

import csv
import io
import logging
import time
from pathlib import Path
from typing import Any

from reno_sweeps.app import mirror, opening, parent, reporting
from reno_sweeps.app.stored import Stored, load
from reno_sweeps.config.settings import gather, masked
from reno_sweeps.records import Trial, UserError, best_of
from reno_sweeps.reports import summary

logger = logging.getLogger(__name__)


def status(name: str | None, home: Path | None) -> Any:
    """One sweep's object with its state, or a row for every sweep of the home. MLflow is brought up to date."""
    if name is None:
        there = gather({"home": home})
        return [_listed(each, there.home) for each in opening.sweeps_in(there.home)]
    found = load(name, home)
    if found.progress != "running":
        catch_up(found)
    return {
        **found.summary(),
        "state": found.progress,
        "drivers": _drivers(found),
        "running": _running(found),
        "seconds_left": _seconds_left(found),
    }


def _listed(name: str, home: Path) -> dict[str, Any]:
    """A sweep's row; of one whose storage does not answer its name alone, and the reason on stderr."""
    from reno_sweeps.search.ledger import StorageError

    try:
        return _row(load(name, home))
    except StorageError as error:
        logger.warning("%s: %s", name, error)
        return {"sweep": name, "state": "unknown"}


def _row(found: Stored) -> dict[str, Any]:
    shown = found.summary()
    best = shown["best"]
    return {
        "sweep": found.name,
        "state": found.progress,
        "corpus": shown["corpus"],
        "head": shown["head"],
        **shown["trials"],
        "best": None if best is None else best["objective"],
    }


def _seconds_left(found: Stored) -> float | None:
    """At the pace so far, from the first trial's start to the last one's end; None where nothing ended yet."""
    ended = [trial for trial in found.trials if trial.ended and trial.started and trial.finished]
    if not ended:
        return None
    spent = max(t.finished or 0.0 for t in ended) - min(t.started or 0.0 for t in ended)
    return round(spent / len(ended) * (found.asked - len(ended)), 1)


def _drivers(found: Stored) -> list[dict[str, Any]]:
    """Who drives now, and with which workers, of a cluster on which nodes."""
    from reno_sweeps.search import lease

    crews = found.facts.get("crews") or {}
    living = lease.living(found.facts, time.time())
    return [{"host": one.host, "pid": one.pid, **(crews.get(one.driver) or {})} for one in living]


def _running(found: Stored) -> list[dict[str, Any]]:
    return [
        {"trial": t.number, "folds_finished": len(t.scores), "since": t.started, "params": dict(t.proposal)}
        for t in found.trials
        if t.state == "running"
    ]


def catch_up(found: Stored) -> int:
    """Replay into MLflow what a killed driver left unsaid; how many runs are still behind. Says so, never raises.

    Only where nobody drives a sweep of this home: two writers would write the same.
    """
    from reno_sweeps.search.lease import HomeLock
    from tracking.errors import TrackingError
    from tracking.writer import Writer

    if found.ledger is None or not (found.facts.get("parent_run_id") or found.facts.get("imported")):
        return 0
    lock = HomeLock(found.settings.home)
    try:
        lock.take(found.name)
    except (UserError, OSError):  # somebody drives here, or the home is not ours to write
        return 0
    writer = Writer(found.settings.tracking_uri, found.settings.home / "artifacts", say=logger.warning)
    try:
        place = writer.open_sweep(parent.sweep_row(found))
        for key, value in (("experiment_id", place.experiment_id), ("parent_run_id", place.parent_run_id)):
            if found.facts.get(key) != value:  # imported, or its run was deleted by hand
                found.ledger.keep(key, value)
        for row in mirror.run_rows(found):
            writer.write(row)
        writer.drain(60.0)
        found.ledger.keep(summary.FORMER, mirror.run_ids(found, writer.run_id))
        writer.update_sweep(parent.sweep_row(found))  # whose note links to them
        behind = writer.drain(60.0)
        writer.close(1.0)
    except TrackingError as error:
        logger.warning("MLflow could not be brought up to date: %s", error)
        return len(found.trials)
    finally:
        lock.release()
    return behind


def predictions(name: str, home: Path | None) -> str:
    """Out-of-fold probabilities of the best trial, a row for every clip and repeat, as CSV."""
    found = load(name, home)
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    seed = ["seed"] if found.sweep.protocol.seeds > 1 else []
    out.writerow(["path", "label", "speaker", "repeat", *seed, "fold", "emotion", *[f"p_{c}" for c in found.classes]])
    out.writerows(_predicted(found, best_trial(found)))
    return text.getvalue()


def best_trial(found: Stored) -> Trial:
    """The best complete trial; a UserError says what to do where there is none yet."""
    best = best_of(found.trials, found.sweep)
    if best is None:
        raise UserError(f"sweep {found.name!r} has no complete trial yet\ngo on with: reno-sweep resume {found.name}")
    return best


def _predicted(found: Stored, best: Trial) -> list[list[Any]]:
    from reno_sweeps.search.fold_files import FoldFiles

    files, clips, classes = FoldFiles(found.folder), found.clips, found.classes
    rows = []
    for score in best.scores:
        if not files.intact(score):
            raise UserError(f"{found.folder / score.file} is missing or damaged: those predictions are lost")
        arrays, (repeat, seed, fold) = files.read(score), score.place
        where = [repeat, seed, fold] if score.seeds > 1 else [repeat, fold]
        for row, probabilities in zip(arrays["test_rows"], arrays["test_probabilities"].astype(float), strict=True):
            clip, emotion = clips[int(row)], classes[int(probabilities.argmax())]
            shown = [f"{p:.6f}" for p in probabilities]
            rows.append([clip.path, clip.label, clip.speaker or "", *where, emotion, *shown])
    return rows


def report(name: str, home: Path | None, output: Path | None) -> str:
    """Write the report of a sweep; where it is."""
    found = load(name, home)
    if not found.trials:
        raise UserError(f"sweep {name!r} has no trial yet\ngo on with: reno-sweep resume {name}")
    return "\n".join(str(path) for path in reporting.write_report(found, output))


def _experiment(name: str, home: Path) -> str | None:
    """Where a sweep lies in MLflow; None where it was not opened there, or its storage does not answer."""
    try:
        found: str | None = load(name, home).facts.get("experiment_id")
    except UserError:
        return None
    return found


def ui(home: Path | None, tracking_uri: str | None, host: str, port: int) -> int:
    """Serve MLflow's UI until it is interrupted."""
    import typer

    from tracking import server

    there = gather({"home": home, "tracking_uri": tracking_uri})
    if there.tracking_uri.startswith(("http", "databricks")):
        raise UserError(f"{masked(there.tracking_uri)} is a server: open it in a browser")

    def ready(url: str) -> None:
        typer.echo(f"MLflow UI: {url} (Control-C ends it)", err=True)
        for name in opening.sweeps_in(there.home)[:3]:
            experiment = _experiment(name, there.home)
            identity = opening.read_state(name, there.home)["identity"]
            if experiment:
                typer.echo(f"  {name}: {server.ui_url(host, port, experiment, identity)}", err=True)

    return server.serve(there.tracking_uri, there.home / "artifacts", host=host, port=port, ready=ready)
