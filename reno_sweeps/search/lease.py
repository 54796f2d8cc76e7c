"""Who drives a sweep: a lock on a home, and a lease in the study that ends with its driver."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from reno_sweeps.records import UserError

LASTS = 60.0  # seconds without renewal after which another host's lease has ended
RENEW = 10.0  # seconds between renewals


@dataclass(frozen=True, slots=True)
class Lease:
    """A driver's claim on a sweep."""

    host: str
    boot: str  # a machine that was started again has none of its old processes
    pid: int
    born: float  # when the process started (clock ticks since boot, or Unix time): pids are used again
    renewed: float  # Unix time

    def alive(self, now: float) -> bool:
        """Whether its driver still lives, as far as can be seen from here."""
        if (self.host, self.boot) != (socket.gethostname(), _boot_id()):
            return now - self.renewed < LASTS
        return _born(self.pid) == self.born

    def same_driver(self, other: Lease) -> bool:
        """Whether both are claims of one process."""
        return (self.host, self.boot, self.pid, self.born) == (other.host, other.boot, other.pid, other.born)

    @property
    def driver(self) -> str:
        """Its driver's name: of one process only, ever."""
        return f"{self.host} {self.boot} {self.pid} {self.born:.2f}"

    def to_dict(self) -> dict[str, object]:
        """Plain JSON."""
        return asdict(self)


def living(facts: Mapping[str, Any], now: float) -> list[Lease]:
    """Who drives a sweep, by its study's facts: one driver, or on a shared storage (fact `leases`) several."""
    held = [facts["lease"]] if facts.get("lease") else []
    leases = [Lease(**plain) for plain in (*held, *facts.get("leases", {}).values())]
    return [lease for lease in leases if lease.alive(now)]


def own(now: float) -> Lease:
    """This process's lease."""
    return Lease(socket.gethostname(), _boot_id(), os.getpid(), _born(os.getpid()) or 0.0, now)


def _boot_id() -> str:
    """The machine's start and, where there are such, the numbers of processes that we see: a container has its own."""
    try:
        numbers = Path("/proc/self/ns/pid").readlink().name
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {numbers}"
    except OSError:  # not Linux: the start of the machine serves as well
        import psutil

        return str(int(psutil.boot_time()))


def _born(pid: int) -> float | None:
    """When a process started; None where it is no more, a zombie included."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # proc(5): fields 3 and on
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _born_elsewhere(pid)
    return None if state in {"Z", "X"} else float(rest[18])  # ticks since boot: unmoved when the clock is set


def _born_elsewhere(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


class HomeLock:
    """One driver at a time in a home; the lock ends with the process, however it ends.

    Drivers whose stores are servers may share a home (`shared`): they take turns in those.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "driver.lock"
        self._file: int | None = None

    def take(self, sweep: str, *, shared: bool = False) -> None:
        """Take the lock, or refuse: a second driver on local storage could claim the same trials."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(file)
            os.close(file)
            raise UserError(
                f"{self._path.parent} is in use: {holder}\nwait until it ends, stop it, or give another --home"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps({"pid": os.getpid(), "sweep": sweep, "since": time.time()}).encode(), 0)
        self._file = file

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def __enter__(self) -> HomeLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def driven(home: Path) -> str | None:
    """Who holds the lock on a home now, in words; None where nobody does. Nothing is written."""
    try:
        file = os.open(home / "driver.lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(file)
    finally:
        os.close(file)
    return None


def _read(file: int) -> str:
    try:
        holder = json.loads(os.pread(file, 4096, 0))
    except ValueError:
        return "another reno-sweep drives a sweep there"
    return f"process {holder['pid']} drives the sweep {holder['sweep']!r} there"
