"""`import`: a colleague's sweep into this home: everything is proven first, then all of it appears, or nothing."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reno_sweeps.app import foreign, looking, opening, reporting
from reno_sweeps.app.archive import Archive
from reno_sweeps.app.foreign import Foreign
from reno_sweeps.app.stored import DATA, load
from reno_sweeps.config.settings import Settings, gather
from reno_sweeps.files import write_bytes
from reno_sweeps.records import UserError
from reno_sweeps.training.configuration import search_of

logger = logging.getLogger(__name__)

STAGE = ".importing-"  # folders in the home that a killed import leaves; nothing reads them
UNFINISHED = "importing.json"  # in the folder of a sweep whose import has not come to its end


def bring(file: Path, name: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Import an archive: what is here now. UserError for an archive that is not proven, or a name that is taken."""
    from reno_sweeps.search.lease import HomeLock

    with Archive(file) as archive:
        archive.verify()
        found = foreign.read(archive)
        settings = gather({**found.settings(umap=_umap()), **options, "name": name or found.state["name"]})
        name = str(settings.name)
        if (here := _here(found, name, settings)) is not None:
            return here
        with HomeLock(settings.home) as lock:
            lock.take(name)
            if (here := _here(found, name, settings)) is not None:  # another import was faster
                return here
            _place(archive, found, name, settings)
    behind = _finish(name, settings)
    return {**_shown(found, name, settings), "already_here": False, "mlflow_runs_behind": behind}


def _umap() -> bool:
    return find_spec("umap") is not None


def _here(found: Foreign, name: str, settings: Settings) -> dict[str, Any] | None:
    """What is said where the very sweep is here; None where the name is free; else a UserError."""
    folder = opening.folder_of(settings.home, name)
    if not (folder / opening.STATE).exists():
        if folder.exists() and not (folder / UNFINISHED).exists():
            raise UserError(f"{folder} is there and holds no sweep\nremove it, or import under another name with --as")
        return None
    if opening.read_state(name, settings.home)["identity"] != found.identity:
        raise UserError(
            f"{settings.home} has a sweep {name!r} that asks another question; nothing was changed\n"
            "import this one under another name with --as, or into another --home"
        )
    return {**_shown(found, name, settings), "already_here": True}


def _shown(found: Foreign, name: str, settings: Settings) -> dict[str, Any]:
    trials = load(name, settings.home).trials
    return {
        "imported": name,
        "identity": found.identity,
        "home": str(settings.home),
        "from": {key: found.heading.get(key) for key in ("name", "made")} | {"version": found.version},
        "trials": {"here": sum(trial.ended for trial in trials), "archive": sum(t.ended for t in found.trials)},
    }


def _place(archive: Archive, found: Foreign, name: str, settings: Settings) -> None:
    """Files, study, then the file that makes it a sweep: before that one is there, nobody sees the others.

    A kill on the way leaves what the next import of this archive replaces.
    """
    folder = opening.folder_of(settings.home, name)
    stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=settings.home))
    try:
        for member in found.files:
            archive.unpack(member, stage / name / member)
        write_bytes(stage / name / DATA, json.dumps(found.data, ensure_ascii=False).encode())
        write_bytes(stage / name / UNFINISHED, json.dumps(found.mark).encode())
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():  # a killed import's
            folder.rename(stage / "former")
        (stage / name).rename(folder)
        _restore(found, name, settings)
        state = {**found.state, "name": name, "settings": settings.to_dict(), "imported": found.mark}
        text = json.dumps(state, indent=1, ensure_ascii=False)
        write_bytes(folder / opening.STATE, text.encode(), private=opening.secret(settings))
        (folder / UNFINISHED).unlink()
    except BaseException:
        if not (folder / opening.STATE).exists() and (folder / UNFINISHED).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _restore(found: Foreign, name: str, settings: Settings) -> None:
    """The studies, those inside outer folds first; each is one transaction."""
    from reno_sweeps.search import portable

    direction = found.sweep.objective.direction

    def search(cell: int) -> Any:
        return search_of(found.sweep, found.sweep.cells[cell])

    write = partial(portable.restore, settings.storage, direction=direction, search=search, mark=found.mark)
    for study, content in found.studies(name):
        if not write(study, study=content):
            raise UserError(
                f"the study's storage has a study {study!r} already, without its files; nothing was imported\n"
                "import under another name with --as, or give another --home or --storage"
            )


def _finish(name: str, settings: Settings) -> int:
    """What can be made again from the imported facts: report and mirror. A fault of theirs is said, no more."""
    found = load(name, settings.home)
    if found.trials:
        try:
            reporting.write_report(found)
        except Exception as fault:  # noqa: BLE001  # the sweep is here; `report` tries again
            logger.warning("no report yet: %s; try reno-sweep report %s", fault, name)
    return looking.catch_up(found)
