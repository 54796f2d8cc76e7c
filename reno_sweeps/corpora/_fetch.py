"""A published corpus from its official place to a folder: downloaded, checked, unpacked, read, then put in place."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from reno_sweeps.corpora import _web
from reno_sweeps.corpora._download import Meter, download, hashes, megabytes
from reno_sweeps.corpora._facts import Origin
from reno_sweeps.corpora._unpack import MARGIN, unpack
from reno_sweeps.corpora._zenodo import ZENODO, Remote, by_hand, remote_archive
from reno_sweeps.records import Corpus, UserError

UNPACKED = (
    1.5  # times the archive: room for what it may hold, asked before the download; the true size, before unpacking
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A corpus that now lies in its folder, and the archive it came from."""

    corpus: Corpus
    bytes: int  # of the archive
    sha256: str  # of the archive
    licence: str  # as the record names it; '' where nobody was asked


def already_there(module: ModuleType, root: Path) -> Corpus | None:
    """The corpus where `root` holds it; None for a place that is free; a UserError for one with something else."""
    if not os.path.lexists(root):
        return None
    if not root.is_dir():
        raise UserError(f"--root {root} is no folder\ngive a new or an empty one")
    if not any(root.iterdir()):
        return None
    try:
        found: Corpus = module.read(root)
    except UserError as fault:
        why = str(fault).splitlines()[0]
        raise UserError(
            f"--root {root} is not empty\n{why}\ngive a new or an empty folder; nothing was touched"
        ) from fault
    return found


def fetch(
    module: ModuleType,
    root: Path,
    archive: Path | None = None,
    *,
    base: str = ZENODO,
    say: _web.Say = lambda _: None,
    pauses: Sequence[float] = _web.PAUSES,
) -> Fetched:
    """Put the corpus of `module` at `root`, new or empty; whole or not at all.

    Without `archive` it is downloaded: what has come is kept beside `root`, and the next call goes on from there. A
    UserError says what could not be done, and leaves `root` as it was.
    """
    root = root.expanduser().resolve()
    origin: Origin = module.ORIGIN
    if archive is None and origin.record is None:
        raise UserError(
            by_hand(origin, f"corpus {module.ID} ({module.FACTS.licence}): its page must be visited by hand")
        )
    if archive is not None and not archive.is_file():
        raise UserError(f"--archive {archive}: there is no such file\n{origin.archive} is found at {origin.page}")
    if os.path.ismount(root):  # nothing can be moved to its place
        raise UserError(f"--root {root} is where a disk is mounted\ngive a folder in it: --root {root / module.ID}")
    try:
        with _workshop(root) as work:
            say(f"corpus {module.ID}: licence: {module.FACTS.licence}; read it at {origin.page}")
            if archive is None:
                file, digest, licence = _downloaded(module, work, base, say, pauses)
            else:
                file, digest, licence = archive, hashes(archive, "sha256")[1], ""
            size = file.stat().st_size
            _unpacked(module, file, work / "unpacked", say)
            _put(work / "unpacked", root)
    except OSError as fault:
        what = f"{fault.filename or root}: {fault.strerror or fault}"
        kept = "; what was downloaded is kept for the next time" if archive is None else ""
        raise UserError(f"{what}\n{root} is as it was{kept}") from fault
    return Fetched(module.read(root), size, digest, licence)


@contextlib.contextmanager
def _workshop(root: Path) -> Iterator[Path]:
    """A hidden folder beside `root`, ours alone; it outlives a failure only where it holds a part of a download."""
    work = root.parent / f".{root.name}.fetch"
    work.parent.mkdir(parents=True, exist_ok=True)
    work.mkdir(mode=0o700, exist_ok=True)
    if work.is_symlink() or work.stat().st_uid != os.getuid():  # in a folder for all, somebody may have been there
        raise UserError(f"{work} is a link, or somebody else's\nremove it, or give another --root")
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another fetch to {root} is at work\nwait for it, or end it") from None
        shutil.rmtree(work / "unpacked", ignore_errors=True)  # of one that was killed
        done = False
        try:
            yield work
            done = True
        finally:
            shutil.rmtree(work / "unpacked", ignore_errors=True)
            if done or not any(part.stat().st_size for part in work.glob("*.part")):
                shutil.rmtree(work, ignore_errors=True)


def _downloaded(
    module: ModuleType, work: Path, base: str, say: _web.Say, pauses: Sequence[float]
) -> tuple[Path, str, str]:
    """The archive, whole and checked, its SHA-256, and the licence that its record names."""
    origin: Origin = module.ORIGIN
    part = work / f"{origin.archive}.part"
    try:
        remote = _web.patiently(lambda: remote_archive(origin, base), lambda: 0, say, pauses)
        say(f"{remote.name}: {megabytes(remote.size)}, licence by its record: {remote.licence or 'not named'}")
        _refuse_full(work, part, remote)
        _web.patiently(lambda: download(remote, part, say), lambda: _size(part), say, pauses)
    except _web.Refused as fault:
        raise UserError(by_hand(origin, str(fault))) from fault
    except _web.Passing as fault:
        kept = f"{megabytes(_size(part))} are kept: the same command goes on from there" if _size(part) else "try again"
        by = f"or download {origin.archive} by hand from {origin.page} and add --archive {origin.archive}"
        raise UserError(f"corpus {module.ID}: {fault}\n{kept}\n{by}") from fault
    found, digest = hashes(part, remote.algorithm)
    if found != remote.checksum:
        part.unlink()
        wrong = f"{remote.name}: its {remote.algorithm} is {found}, its record says {remote.checksum}"
        raise UserError(f"{wrong}\nthe download was removed; run the command again")
    say(f"{remote.name}: {remote.algorithm} as its record says")
    return part, digest, remote.licence


def _unpacked(module: ModuleType, file: Path, folder: Path, say: _web.Say) -> None:
    """Unpack and read: an archive of something else is refused before anything is put in place."""
    meters: dict[int, Meter] = {}

    def tell(done: int, total: int) -> None:
        meters.setdefault(total, Meter("unpacking", total, say))(done)

    unpack(file, folder, tell)
    try:
        module.read(folder)
    except UserError as fault:
        why = str(fault).splitlines()[0].replace(str(folder), file.name)
        raise UserError(f"{file.name} is no archive of {module.ID}\n{why}") from fault


def _put(unpacked: Path, root: Path) -> None:
    os.sync()  # thousands of small files at once; the rename must not reach the disk before them
    if root.is_dir():
        root.rmdir()  # empty; whatever came there meanwhile stays, and ends this
    unpacked.rename(root)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _refuse_full(work: Path, part: Path, remote: Remote) -> None:
    needed = int(remote.size * (1 + UNPACKED)) - _size(part) + MARGIN
    free = shutil.disk_usage(work).free
    if free < needed:
        asked = f"{remote.name}: about {megabytes(needed)} are needed to download and unpack it"
        raise UserError(f"{asked}, {megabytes(free)} are free in {work.parent}\nmake room, or give another --root")
