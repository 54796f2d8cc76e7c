"""`export`: a sweep as one archive for a colleague: its question, its study, its files; nothing of this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.app import archive, discreet, nested, parent, reporting
from reno_sweeps.app.opening import STATE
from reno_sweeps.app.stored import DATA, Stored, load
from reno_sweeps.records import UserError, best_of

if TYPE_CHECKING:
    from reno_sweeps.search.ledger import Ledger

STUDY = "study.json"
SUFFIX = ".sweep.zip"
TEXTS = (".html", ".csv", ".md", ".tex")  # of a report; its other files are pictures
PICTURES = (".png", ".pdf")


def export(name: str, home: Path | None, output: Path | None) -> dict[str, Any]:
    """Write the archive of a sweep; where it is and what is in it. UserError where there is nothing to give away."""
    found = load(name, home)
    if found.ledger is None or not found.data:
        raise UserError(
            f"sweep {name!r} has no trial yet: there is nothing to export\ngo on with: reno-sweep resume {name}"
        )
    file = output or Path(f"{name}{SUFFIX}")
    parts = _Parts(found)
    heading = {
        "made": round(time.time()),
        "versions": parent.versions(),
        "name": found.name,
        "identity": found.state["identity"],
    }
    sizes = archive.pack(file, heading, parts.members())
    ended = sum(trial.ended for trial in found.trials)
    return {
        "exported": found.name,
        "archive": str(file),
        "bytes": file.stat().st_size,
        "files": len(sizes),
        "trials": {"asked": found.asked, "ended": ended},
        "nested_searches": len(parts.searches),
        "lost_files": parts.lost,
    }


class _Parts:
    """What an archive of one sweep holds. Read in this order while a driver may go on: the study names the files."""

    def __init__(self, found: Stored) -> None:
        self._found, self._how = found, discreet.of(found)
        self.searches = dict(searches(found))
        self.lost: list[str] = []  # files of folds that are missing or damaged

    def members(self) -> Iterator[tuple[str, bytes | Path]]:
        """Names with their content, or with the file that has it."""
        from reno_sweeps.search import portable

        found, how = self._found, self._how
        ledger = found.ledger
        if ledger is None:  # refused before
            return
        study = {"main": portable.dump(ledger)}
        inner = {place: portable.dump(search) for place, search in self.searches.items()}
        study["nested"] = {f"{repeat}:{fold}": plain for (repeat, fold), plain in inner.items()}
        yield STATE, _json(discreet.question(found, how))
        data = found.data
        yield DATA, _json({**how.value({k: v for k, v in data.items() if k != "clips"}), "clips": data["clips"]})
        yield STUDY, _json(how.value(study))
        yield from self._fold_files(ledger, found.folder, "")
        for place, search in self.searches.items():
            below = nested.folder_of(*place)
            yield from self._fold_files(search, found.folder / below, f"{below}/")
        yield from self._beside()

    def _fold_files(self, ledger: Ledger, folder: Path, prefix: str) -> Iterator[tuple[str, bytes]]:
        from reno_sweeps.search import portable
        from reno_sweeps.search.fold_files import FoldFiles

        files = FoldFiles(folder)
        scores = portable.scores_of(ledger.trials, {k: v for k, v in ledger.facts.items() if v is not None})
        for score in {score.file: score for score in scores}.values():
            if files.intact(score):
                yield f"{prefix}{score.file}", (folder / score.file).read_bytes()
            else:
                self.lost.append(f"{prefix}{score.file}")

    def _beside(self) -> Iterator[tuple[str, bytes | Path]]:
        """The best trial's weights, the maps, and the report for those who have no reno-sweeps."""
        from reno_sweeps.search.fold_files import FoldFiles

        found, how = self._found, self._how
        best = best_of(found.trials, found.sweep)
        for file in FoldFiles(found.folder).weights_of(f"trial {best.number}") if best else ():
            with suppress(FileNotFoundError):  # a better trial ended this moment
                yield str(file.relative_to(found.folder)), file.read_bytes()
        maps = found.folder / reporting.MAPS
        if maps.is_file():
            yield reporting.MAPS, _json(how.value(json.loads(maps.read_text())))
        for file in sorted((found.folder / parent.REPORT).glob("*")):
            if file.is_symlink() or not file.is_file():
                continue
            if file.suffix in TEXTS:
                yield f"{parent.REPORT}/{file.name}", how.exact(file.read_text("utf-8")).encode()
            elif file.suffix in PICTURES:
                yield f"{parent.REPORT}/{file.name}", file


def searches(found: Stored) -> Iterator[tuple[tuple[int, int], Ledger]]:
    """The studies inside the outer folds of a nested sweep, as far as there are any."""
    from reno_sweeps.search.ledger import Ledger, StorageError

    protocol = found.sweep.protocol
    if protocol.selection != "nested" or found.ledger is None:
        return
    for repeat in range(protocol.rounds):
        for fold in range(protocol.n_folds):
            study = nested.study_of(found.name, repeat, fold)
            try:
                yield (repeat, fold), Ledger(found.ledger.url, study, direction=found.sweep.objective.direction)
            except StorageError:
                raise
            except UserError:  # not begun
                continue


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
