"""What must hold whatever happened: one list, as sentences of what does not."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from reno_sweeps.embeddings.store import Store
from tests.faults.world import Picture, Told, World, named
from tracking import names

ROUNDING = 1e-12  # relative, of float64 metrics
LINGER = 5.0  # seconds in which killed processes are gone
HALF = re.compile(r".*\.tmp|\..*\.[0-9a-f]{32}.*|.*-journal|.*-wal")


def broken(world: World, reference: Picture, known: Picture) -> list[str]:
    """Everything, of a sweep whose driver said that it is done; `known` is what was stored before the faults."""
    now = world.told()
    return [
        *lost_or_repeated(known, now),
        *_unlike(reference, now, world.trials),
        *_files(world, now),
        *_mirrored(world, now),
        *_cached(world),
        *left_behind(world),
    ]


def lost_or_repeated(known: Picture, now: Picture, spoilt: frozenset[tuple[int, str]] = frozenset()) -> Iterator[str]:
    """What was stored and is no more, or was trained again; `spoilt` are folds whose files somebody damaged."""
    for number, before in known.items():
        after = now.get(number)
        if after is None or (before.ended and not after.ended):
            yield f"lost: trial {number}, which was {before.state}"
            continue
        if before.ended and (before.state, before.objective) != (after.state, after.objective):
            yield f"repeated: trial {number} was {before.state} {before.objective}, is {after.state} {after.objective}"
        if before.params != after.params:
            yield f"repeated: trial {number} has another configuration"
        for fold, text in before.folds.items():
            if (number, fold) in spoilt:
                continue
            if fold not in after.folds:
                yield f"lost: trial {number}, {fold}"
            elif after.folds[fold] != text:
                yield f"repeated: trial {number}, {fold}"


def _unlike(reference: Picture, now: Picture, asked: int) -> Iterator[str]:
    """The asked trials without gaps, with the configurations and scores of a run that nobody disturbed."""
    if sorted(now) != list(range(asked)):
        yield f"{asked} trials were asked, there are {sorted(now)}"
    for number, trial in now.items():
        if trial.state != "COMPLETE":
            yield f"trial {number} is {trial.state}"
        elif trial.params != reference[number].params:
            yield f"trial {number} has another configuration than undisturbed"
        elif unlike := _unequal(trial, reference[number]):
            yield f"trial {number} has other scores than undisturbed: {'; '.join(unlike)}"


def _unequal(trial: Told, other: Told) -> list[str]:
    """What two trainings of one configuration do not share.

    Probabilities (by hash), epochs and seeds are equal to the letter; sums of float64 may round otherwise in other
    company: a cohort of fewer folds, after a kill.
    """
    pairs: list[tuple[Any, Any]] = [(trial.objective, other.objective), (len(trial.folds), len(other.folds))]
    for one, two in zip(trial.scores, other.scores, strict=False):
        for mine, theirs in zip(one, two, strict=True):
            both = isinstance(mine, dict) and mine.keys() == theirs.keys()
            pairs += [(mine[name], theirs[name]) for name in mine] if both else [(mine, theirs)]
    return [f"{mine} is not {theirs}" for mine, theirs in pairs if not _equal(mine, theirs)]


def _equal(mine: Any, theirs: Any) -> bool:
    floats = isinstance(mine, float) and isinstance(theirs, float)
    return math.isclose(mine, theirs, rel_tol=ROUNDING) if floats else bool(mine == theirs)


def _files(world: World, now: Picture) -> Iterator[str]:
    """Every fold's file is there and whole, no other is, and nothing is half written."""
    stored = {s["file"]: s["sha256"] for told in now.values() for s in map(json.loads, told.folds.values())}
    for name, sha256 in stored.items():
        file = world.sweep / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
            yield f"{name} is lost or damaged"
    there = {f"folds/{file.name}" for file in (world.sweep / "folds").glob("*")}
    yield from (f"{name} belongs to no fold" for name in sorted(there - set(stored)) if "/refit-" not in name)
    halves = [file for file in world.home.rglob("*") if HALF.fullmatch(file.name)]
    yield from (f"half written: {file.relative_to(world.home)}" for file in halves)


def _mirrored(world: World, now: Picture) -> Iterator[str]:
    """MLflow: one child run a trial, equal to the study, none RUNNING, none twice."""
    identity = json.loads((world.sweep / "sweep.json").read_text())["identity"]
    runs = _runs(world, identity)
    parents = [run for run, (_, tags, _) in runs.items() if tags.get(names.KIND) == names.SWEEP_KIND]
    if len(parents) != 1:
        yield f"MLflow has {len(parents)} parent runs"
    for run, (status, tags, _) in runs.items():
        if status == "RUNNING":
            yield f"MLflow shows {tags.get(names.KEY)} ({run}) as RUNNING"
    keys = Counter(tags.get(names.KEY) for _, tags, _ in runs.values() if names.DUPLICATE not in tags)
    yield from (f"MLflow has {key} {count} times" for key, count in keys.items() if count > 1)
    trials = {tags[names.KEY]: (s, tags, m) for s, tags, m in runs.values() if tags.get(names.KIND) == names.TRIAL_KIND}
    if set(trials) != {names.trial(number) for number in now}:
        yield f"MLflow has the trials {sorted(trials)}"
    for number, told in now.items():
        status, tags, metrics = trials.get(names.trial(number), ("absent", {}, {}))
        wanted = _metrics(told.folds)
        shown = {key: metrics.get(key) for key in wanted}
        if (status, tags.get(names.STATE), metrics.get("val_macro_f1")) != ("FINISHED", "complete", told.objective):
            yield f"MLflow has trial {number} as {status}, {metrics.get('val_macro_f1')}, not {told.objective}"
        elif shown != wanted:
            yield f"MLflow has other folds of trial {number}"
        elif tags.get(names.PARENT) not in parents:
            yield f"MLflow has trial {number} below another run"
    with closing(sqlite3.connect(f"file:{world.mlflow}?mode=ro", uri=True, timeout=30)) as store:
        twice = "select run_uuid, key, step, count(*) from metrics group by 1, 2, 3 having count(*) > 1"
        yield from (f"MLflow has a point {count} times: {key}, {step}" for _, key, step, count in store.execute(twice))


def _metrics(folds: dict[str, str]) -> dict[str, float]:
    """What MLflow's latest points of a trial's folds are."""
    wanted = {}
    for text in folds.values():
        score = json.loads(text)
        for part, prefix in (("validation", "val"), ("test", "test")):
            wanted |= {f"fold_{score['fold']}/{prefix}_{metric}": value for metric, value in score[part].items()}
    return wanted


def _runs(world: World, identity: str) -> dict[str, tuple[str, dict[str, str], dict[str, float]]]:
    """Run → status, tags, latest metrics, of all runs of a sweep that nobody deleted."""
    with closing(sqlite3.connect(f"file:{world.mlflow}?mode=ro", uri=True, timeout=30)) as store:
        found: dict[str, tuple[str, dict[str, str], dict[str, float]]] = {
            run: (status, {}, {})
            for run, status in store.execute(
                "select r.run_uuid, r.status from runs r join tags t on t.run_uuid = r.run_uuid"
                " where r.lifecycle_stage = 'active' and t.key = ? and t.value = ?",
                (names.SWEEP, identity),
            )
        }
        for place, table in ((1, "tags"), (2, "latest_metrics")):
            for run, key, value in store.execute(f"select run_uuid, key, value from {table}"):  # noqa: S608 - ours
                if run in found:
                    kept: dict[str, Any] = found[run][place]  # type: ignore[assignment]
                    kept[key] = value
    return found


def _cached(world: World) -> Iterator[str]:
    """Every embedding is whole, and there is one of each clip."""
    root = world.cache / "embeddings"
    store, seen = Store(root), list(root.glob("*/*.safetensors"))
    for file in seen:
        vector = store.get(file.stem)
        if vector is None or not np.isfinite(vector).all():
            yield f"damaged embedding {file.name}"
    clips = len(list((world.space.parent / "clips").rglob("*.wav")))
    if len(seen) != clips:
        yield f"{clips} clips have {len(seen)} embeddings"


def left_behind(world: World) -> list[str]:
    """Processes of drivers that have ended, and what lies in their temporary folder."""
    until = time.monotonic() + LINGER
    while world.processes() and time.monotonic() < until:
        time.sleep(0.05)
    alive = [f"process {process.pid} lives: {named(process)[:120]}" for process in world.processes()]
    return [*alive, *(f"left in the temporary folder: {place.name}" for place in world.temporary.iterdir())]
