"""What a home keeps although nobody will read it again: halves of files, weights of trials that are not the best."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from reno_sweeps.app import exporting, importing, nested, opening
from reno_sweeps.app.stored import Stored, load
from reno_sweeps.config.settings import Settings
from reno_sweeps.records import Trial, UserError, best_of

OLD = 24 * 3600.0  # seconds after which nobody is still writing a file
_HALF = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")  # as files.replacing names them
_STORE = re.compile(r"\.mlflow\.db\.[0-9a-f]{32}.*")  # as tracking.store names one that it makes
_TRIAL = re.compile(r"trial-(\d{4,})")

Group = tuple[str, list[Path]]  # what they are, where they are


def halves(settings: Settings, now: float) -> Iterator[Group]:
    """Files and imports that were half written when something was killed, more than a day ago."""
    old = now - OLD
    home = [
        *_files(settings.home / "sweeps", old),
        *_flat(settings.home, old, _HALF),
        *_flat(settings.home, old, _STORE),
    ]
    yield "half-written files of the home", home
    yield "half-written files of the cache", _files(settings.cache, old)
    stages = settings.home.glob(f"{importing.STAGE}*")
    begun = (file.parent for file in (settings.home / "sweeps").glob(f"*/{importing.UNFINISHED}"))
    unfinished = [folder for folder in begun if not (folder / opening.STATE).exists()]
    yield "imports that were killed", [folder for folder in [*stages, *unfinished] if folder.lstat().st_mtime < old]


def drop_halves(sweep: Path) -> None:
    """Remove what killed drivers left half written in a sweep's folder, before this driver wrote its state."""
    for half in _files(sweep, (sweep / opening.STATE).stat().st_mtime):
        half.unlink(missing_ok=True)


def _files(root: Path, old: float) -> list[Path]:
    """Below a folder to any depth; links are not followed."""
    found = []
    for folder, _, names in os.walk(root):
        files = [Path(folder) / name for name in names if _HALF.fullmatch(name)]
        found += [file for file in files if not file.is_symlink() and file.lstat().st_mtime < old]
    return sorted(found)


def _flat(folder: Path, old: float, pattern: re.Pattern[str]) -> list[Path]:
    files = [file for file in folder.glob(".*") if pattern.fullmatch(file.name)]
    return sorted(file for file in files if not file.is_symlink() and file.is_file() and file.lstat().st_mtime < old)


def weights(home: Path, keep: Callable[[str], None]) -> Iterator[Group]:
    """Sweep by sweep: weights of ended trials that are not the best. `keep` hears which sweeps are left alone, and why.

    A driver removes them as soon as a better trial has ended; a kill may come first.
    """
    for name in opening.sweeps_in(home):
        try:
            found = load(name, home)
            if found.progress == "running":
                keep(f"sweep {name}: it is running")
                continue
            paths = _of_sweep(found)
        except UserError as fault:  # its storage does not answer
            keep(f"sweep {name}: {str(fault).splitlines()[0]}")
            continue
        yield f"sweep {name}, trials that are not the best", paths


def _of_sweep(found: Stored) -> list[Path]:
    best = best_of(found.trials, found.sweep)
    paths = _of_study(found.folder, found.trials, best)
    for place, ledger in exporting.searches(found):
        folder = found.folder / nested.folder_of(*place)
        paths += _of_study(folder, ledger.trials, best_of(ledger.trials, found.sweep))
    return paths


def _of_study(folder: Path, trials: Sequence[Trial], best: Trial | None) -> list[Path]:
    ended = {trial.number for trial in trials if trial.ended and trial is not best}
    places = ((place, _TRIAL.fullmatch(place.name)) for place in sorted((folder / "weights").glob("trial-*")))
    return [place for place, named in places if named and int(named[1]) in ended and not place.is_symlink()]


def size(paths: Collection[Path]) -> int:
    """Bytes of files, and of all files in folders; links are not followed."""
    total = 0
    for path in paths:
        if path.is_symlink() or not path.is_dir():
            total += path.lstat().st_size if path.exists() else 0
            continue
        for folder, _, names in os.walk(path):
            total += sum(file.lstat().st_size for name in names if (file := Path(folder) / name).exists())
    return total
