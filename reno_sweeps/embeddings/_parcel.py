"""Weights on their way to a machine that may not have them: packed file by file, unpacked once on a machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from reno_sweeps.records import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEMPORARY = "reno-weights-"  # folders of unpacked weights


@dataclass(frozen=True, slots=True)
class Parcel:
    """A folder or a file: where it lies at home, and its files by their names below it ('': the place is a file)."""

    place: str
    hashes: Mapping[str, str]  # name → SHA-256
    contents: Mapping[str, Any]  # name → what `pack` was given back for the bytes


def pack(place: Path, put: Callable[[NDArray[np.uint8]], Any]) -> Parcel:
    """Hand every file's bytes to `put`."""
    import numpy as np

    files = _files(place)
    contents = {name: put(np.fromfile(file, dtype=np.uint8)) for name, file in files.items()}
    return Parcel(str(place), _hashes(files), contents)


class Unpacked:
    """The files of a parcel on this machine, at `path`: at their old place where it holds the same, else in a folder.

    Processes that unpack the same share the folder: each holds a lock on it, which ends with the process however it
    ends, and a folder without a lock is removed by whoever comes next, or by `sweep`.
    """

    def __init__(self, parcel: Parcel, fetch: Callable[[Any], NDArray[np.uint8]], base: Path | None = None) -> None:
        self._lock: IO[str] | None = None
        place = Path(parcel.place)
        if place.exists() and _hashes(_files(place)) == dict(parcel.hashes):
            self.path = place
            return
        sweep(base)
        folder = _base(base) / f"{TEMPORARY}{os.getuid()}-{digest(dict(parcel.hashes))[:32]}"
        self._lock = _entered(folder)
        try:
            _fill(folder, parcel, fetch)
        except BaseException:
            self.close()
            raise
        self.path = folder / "weights" / place.name

    def close(self) -> None:
        """Leave; the folder stays until nobody is in it and `sweep` is called."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def left(base: Path | None = None) -> list[Path]:
    """The folders of unpacked weights that nobody uses."""
    found = []
    for folder in sorted(_base(base).glob(f"{TEMPORARY}{os.getuid()}-*")):
        with contextlib.suppress(OSError), (folder / "lock").open("a") as lock:
            if _is_free(lock):
                found.append(folder)
    return found


def sweep(base: Path | None = None) -> list[Path]:
    """Remove the folders of unpacked weights that nobody uses; those that somebody uses are returned."""
    used = []
    for folder in _base(base).glob(f"{TEMPORARY}{os.getuid()}-*"):
        with contextlib.suppress(OSError):  # another process is sweeping too
            lock = (folder / "lock").open("a")
            with lock:
                if _is_free(lock):
                    shutil.rmtree(folder)
                else:
                    used.append(folder)
    return used


def _files(place: Path) -> dict[str, Path]:
    """Files by name, of a folder's whole depth; links are followed."""
    if place.is_file():
        return {"": place}
    return {str(file.relative_to(place)): file for file in sorted(place.rglob("*")) if file.is_file()}


def _hashes(files: Mapping[str, Path]) -> dict[str, str]:
    found = {}
    for name, file in files.items():
        with file.open("rb") as stream:
            found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _entered(folder: Path) -> IO[str]:
    """The folder's lock, shared by all who use it; the folder is made, mode 0700. Another user's is refused."""
    import fcntl

    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()  # in a folder for all, somebody may have been there first
        if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
            raise PermissionError(13, "is a link, another user's, or open to others", str(folder))
        try:
            lock = (folder / "lock").open("a")
        except FileNotFoundError:  # somebody swept it this moment
            continue
        fcntl.flock(lock, fcntl.LOCK_SH)
        if _is_there(lock):
            return lock
        lock.close()


def _fill(folder: Path, parcel: Parcel, fetch: Callable[[Any], NDArray[np.uint8]]) -> None:
    """Write the files, once for all who are in the folder."""
    import fcntl

    with (folder / "filling").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (folder / "weights").exists():
            _write(folder, parcel, fetch)


def _write(folder: Path, parcel: Parcel, fetch: Callable[[Any], NDArray[np.uint8]]) -> None:
    """All files, then one rename: `weights` is whole or not there."""
    new = folder / f"new-{uuid.uuid4().hex}"
    try:
        for name, content in parcel.contents.items():
            file = new / Path(parcel.place).name / name if name else new / Path(parcel.place).name
            file.parent.mkdir(parents=True, exist_ok=True)
            fetch(content).tofile(file)
        new.rename(folder / "weights")
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _is_free(lock: IO[str]) -> bool:
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_there(lock)


def _is_there(lock: IO[str]) -> bool:
    """Whether the lock that we hold is still the folder's: who held it before may have removed both."""
    try:
        return Path(lock.name).stat().st_ino == os.fstat(lock.fileno()).st_ino
    except FileNotFoundError:
        return False


def _base(base: Path | None) -> Path:
    return base or Path(tempfile.gettempdir())
