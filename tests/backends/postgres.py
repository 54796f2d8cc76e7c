"""A PostgreSQL server of one's own: in a temporary folder, on a free port of this machine, with a password."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

PASSWORD = "a p@ss/word"  # noqa: S105  # of a server that lives as long as its tests
QUOTED = "a%20p%40ss%2Fword"


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl; None where no server is installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda p: int(p.parent.name))


def free_port() -> int:
    """A port that nobody listens on, and that no connection is given while its server is away for a moment."""
    while True:
        port = random.SystemRandom().randrange(20000, 32768)  # above Ray's workers, below what Linux gives away
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _somebody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("no unprivileged user to run PostgreSQL as")


def _lives(process: psutil.Process) -> bool:
    """Not so one that has ended and that nobody asked for its exit code."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclass
class Postgres:
    """`with Postgres() as server`: started, and gone without a trace at the end."""

    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp")))
    made: int = 0

    def __enter__(self) -> Postgres:
        self._as, found = _somebody(), binaries()
        assert found
        self._bin = found
        if self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        options = ["--auth=scram-sha-256", "--username=me", f"--pwfile={secret}", "--no-sync", "--encoding=UTF8"]
        self._run("initdb", "--pgdata", str(self.data), *options, "--locale=C.UTF-8")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> Path:
        """The cluster's folder."""
        return self.folder / "data"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories='' -c fsync=off"
        log = self.folder / "log"
        self._run("pg_ctl", "start", "--wait", "-D", str(self.data), "-l", str(log), "-o", settings)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `fast` ends all sessions, `immediate` as a crash does."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "--wait", "-D", str(self.data), "-m", mode)

    def kill(self) -> None:
        """kill -9 of the server's first process; the others end by themselves, and until then none can start.

        A first process that nobody has asked for its exit code yet would keep the next from starting too.
        """
        file = self.data / "postmaster.pid"
        first = psutil.Process(int(file.read_text().split()[0]))
        all_of_them = [first, *first.children(recursive=True)]
        os.kill(first.pid, signal.SIGKILL)
        end = time.monotonic() + 30
        while any(map(_lives, all_of_them)):
            assert time.monotonic() < end, "they outlive PostgreSQL's first process"
            time.sleep(0.02)
        file.unlink()

    def database(self, template: str = "template1") -> str:
        """A fresh database's URL, a copy of `template`."""
        self.made += 1
        name = f"db{self.made}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def url(self, name: str) -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://me:{QUOTED}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """One statement as the server's owner, by itself; its rows."""
        import psycopg

        where = f"host=127.0.0.1 port={self.port} user=me dbname={database} password='{PASSWORD}'"
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        out = subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE  # the server inherits a pipe and holds it
        done = subprocess.run(
            [str(self._bin / program), *arguments], cwd="/", stdout=out, stderr=out, text=True, check=False, **self._as
        )
        log = self.folder / "log"
        said = done.stderr or (log.read_text(errors="replace")[-2000:] if log.exists() else "")
        assert done.returncode == 0, f"{program}: {said}"
