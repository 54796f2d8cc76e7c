"""`clean`: what can go from a home, its cache and the temporary folder: made again when needed, or discarded before."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reno_sweeps import cluster
from reno_sweeps.app import leftovers, opening
from reno_sweeps.config.settings import Settings, gather
from reno_sweeps.config.sweep_file import Overrides
from reno_sweeps.embeddings import _parcel
from reno_sweeps.embeddings.held import Held, held, key
from reno_sweeps.records import UserError
from reno_sweeps.reports import tables

logger = logging.getLogger(__name__)

EMBEDDINGS, TEMPORARY, WEIGHTS = "embeddings", "temporary files", "weights"
RUNS, FOLDERS = "deleted MLflow runs", "leftover folders"
OF_HOME = {TEMPORARY, WEIGHTS, RUNS}  # what a driver of the home could be at work on


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can go, and what it frees."""

    kind: str
    what: str
    paths: tuple[Path, ...]  # files and folders; of a run the folder of its artifacts
    bytes: int
    last_used: float | None = None  # Unix time
    runs: tuple[str, ...] = ()  # of MLflow


@dataclass(frozen=True, slots=True)
class Found:
    """What can go, and what is left alone although it looks so."""

    settings: Settings
    items: tuple[Item, ...]
    kept: tuple[str, ...]  # sentences
    unused_for: float = 0.0  # seconds

    @property
    def bytes(self) -> int:
        """What all of it frees."""
        return sum(item.bytes for item in self.items)


def find(options: Mapping[str, Any], unused_for: str | None = None) -> Found:
    """Look, and touch nothing. `unused_for`: '30d', the least time since the last use of embeddings that may go."""
    return _found(gather(options), _seconds(unused_for))


def _seconds(text: str | None) -> float:
    try:
        return Overrides.from_options(time=text).seconds or 0.0
    except UserError:
        raise UserError(f"--unused-for {text!r}: a duration is expected\nFor example: 12h, 30d") from None


def _found(settings: Settings, unused_for: float) -> Found:
    from reno_sweeps.search.lease import driven

    now, kept = time.time(), []
    items = [*_embeddings(settings, now - unused_for), *_folders()]
    driver = driven(settings.home)
    if driver is not None:
        kept.append(f"the home's own files: {driver}")
    else:
        for kind, looked in (
            (TEMPORARY, leftovers.halves(settings, now)),
            (WEIGHTS, leftovers.weights(settings.home, kept.append)),
        ):
            items += [Item(kind, what, tuple(paths), leftovers.size(paths)) for what, paths in looked]
        items += _runs(settings)
    order = (EMBEDDINGS, WEIGHTS, TEMPORARY, RUNS, FOLDERS)
    items = [item for item in items if item.paths or item.runs]
    items.sort(key=lambda item: (order.index(item.kind), item.last_used or 0.0, item.what))
    return Found(settings, tuple(items), tuple(kept), unused_for)


def _embeddings(settings: Settings, before: float) -> Iterator[Item]:
    """Of encoders that no sweep of this home names, those that nobody used since; the longest unused first."""
    named = set()
    for name in opening.sweeps_in(settings.home):
        named |= {key(facts) for facts in opening.read_state(name, settings.home)["encoders"].values()}
    for which, entries in held(settings.cache).items():
        if which not in named and entries.last_used <= before:
            yield Item(EMBEDDINGS, _spelled(entries), tuple(entries.files), entries.bytes, entries.last_used)


def _spelled(entries: Held) -> str:
    if entries.facts is None:
        return "damaged: nobody can read them"
    weights = str(entries.facts["weights"])
    known = {**entries.facts, "weights": f"{weights[:12]}…" if len(weights) == 64 else weights}
    shown = [f"{name} {known[name]}" for name in ("weights", "layer", "pooling", "precision", "code") if known[name]]
    return ", ".join([str(known["encoder"]), *shown])


def _folders() -> Iterator[Item]:
    """Temporary folders of drivers that were killed, whatever their home."""
    for folder in [*cluster.leftovers(), *_parcel.left()]:
        yield Item(FOLDERS, str(folder), (folder,), leftovers.size([folder]))


def _runs(settings: Settings) -> Iterator[Item]:
    """Of this home's own store; a shared one is cleaned by whoever runs it."""
    store = settings.home / "mlflow.db"
    if not store.is_file():
        return
    from tracking import trash

    for run in trash.deleted(f"sqlite:///{store}"):
        inside = run["folder"] is not None and run["folder"].is_relative_to(settings.home / "artifacts")
        paths = (run["folder"].parent,) if inside and run["folder"].parent.is_dir() else ()
        what = f"{run['name']} of {run['experiment']}"
        yield Item(RUNS, what, paths, leftovers.size(paths), runs=(run["run_id"],))


# --- removing -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Gone:
    items: list[Item] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # sentences


def remove(found: Found) -> dict[str, Any]:
    """Remove what was found, as far as it still can go: nobody drives a sweep of the home meanwhile."""
    from reno_sweeps.search.lease import HomeLock

    gone = _Gone()
    with ExitStack() as stack:
        if any(item.kind in OF_HOME for item in found.items):
            try:
                stack.enter_context(HomeLock(found.settings.home)).take("clean")
                free = True
            except UserError as driver:
                gone.left.append(f"the home's own files: {str(driver).splitlines()[0]}")
                free = False
            still = _still(found, locked=free)
        else:
            still = _still(found, locked=False)
        for item in still:
            _remove(item, found.settings, gone)
    return {**shown(replace(found, items=tuple(gone.items))), "removed": True, "kept": [*found.kept, *gone.left]}


def _still(found: Found, *, locked: bool) -> list[Item]:
    """What can go now, of what was found before: a sweep may have begun, another trial may be the best."""
    now, settings = time.time(), found.settings
    again = [*_embeddings(settings, now - found.unused_for), *_folders()]
    if locked:
        looked = {TEMPORARY: leftovers.halves(settings, now), WEIGHTS: leftovers.weights(settings.home, lambda _: None)}
        again += [Item(kind, what, tuple(paths), 0) for kind, pairs in looked.items() for what, paths in pairs]
        again += _runs(settings)
    paths = {path for item in again for path in item.paths}
    runs = {run for item in again for run in item.runs}
    kept = []
    for item in found.items:
        own = tuple(path for path in item.paths if path in paths)
        own_runs = tuple(run for run in item.runs if run in runs)
        if own or own_runs:
            whole = own == item.paths
            kept.append(replace(item, paths=own, runs=own_runs, bytes=item.bytes if whole else leftovers.size(own)))
    return kept


def _remove(item: Item, settings: Settings, gone: _Gone) -> None:
    """A file or folder that cannot be removed is said; the others go."""
    if item.runs:
        from tracking import trash

        trash.purge(f"sqlite:///{settings.home / 'mlflow.db'}", item.runs, settings.home / "artifacts")
    else:
        for path in item.paths:
            try:
                if path.is_dir() and not path.is_symlink():
                    (cluster.remove_leftover if item.kind == FOLDERS else shutil.rmtree)(path)
                else:
                    path.unlink(missing_ok=True)
            except OSError as fault:
                gone.left.append(f"{path}: {fault.strerror}")
    gone.items.append(item)


# --- showing --------------------------------------------------------------------------------------------------


def shown(found: Found) -> dict[str, Any]:
    """Plain JSON: bytes in all, and a row for each item."""
    rows = [
        {
            "kind": item.kind,
            "what": item.what,
            "files": len(item.paths),
            "bytes": item.bytes,
            "last_used": None if item.last_used is None else datetime.fromtimestamp(item.last_used, UTC).isoformat(),
        }
        for item in found.items
    ]
    return {
        "home": str(found.settings.home),
        "cache": str(found.settings.cache),
        "bytes": found.bytes,
        "removed": False,
        "items": rows,
        "kept": list(found.kept),
    }


def spelled(said: Mapping[str, Any]) -> str:
    """The same as a table with sizes."""
    rows: Sequence[Mapping[str, Any]] = said["items"]
    lines = [f"left alone: {sentence}" for sentence in said["kept"]]
    if not rows:
        return "\n".join(["nothing was removed" if said["removed"] else "nothing to clean", *lines]) + "\n"
    table = [
        {
            "what": row["kind"],
            "which": row["what"],
            "files": str(row["files"]),
            "size": size(row["bytes"]),
            "last used": (row["last_used"] or "")[:10],
        }
        for row in rows
    ]
    sum_of = f"{'freed' if said['removed'] else 'frees'} {size(said['bytes'])}"
    return "\n".join([*tables.aligned(table), "", sum_of, *lines]) + "\n"


def size(count: int) -> str:
    """Bytes for people: 512 B, 3.1 kB, 2.0 MB."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
