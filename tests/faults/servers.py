"""A world whose stores are servers at the other end of a cable: PostgreSQL for the study, MLflow over HTTP."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.backends.postgres import Postgres, free_port
from tests.faults.world import MARK, REPOSITORY, Cable, World, until
from tracking import server


@dataclass
class FarPostgres(Postgres):
    """PostgreSQL that also listens where the cable begins."""

    address: str = "127.0.0.1"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        hba = self.data / "pg_hba.conf"
        rule = f"host all all {self.address}/30 scram-sha-256\n"
        if rule not in hba.read_text():
            hba.write_text(hba.read_text() + rule)
        settings = f"-c listen_addresses=127.0.0.1,{self.address} -c port={self.port} -c fsync=off"
        log = ["-l", str(self.folder / "log")]
        self._run(
            "pg_ctl", "start", "--wait", "-D", str(self.data), *log, "-o", f"{settings} -c unix_socket_directories=''"
        )


@dataclass
class MlflowServer:
    """MLflow's server over a SQLite file, as `reno-sweep ui` begins it."""

    folder: Path
    address: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        """Begin it; with `wait` until it answers."""
        self.folder.mkdir(exist_ok=True)
        command = server.ui_command(self.folder / "artifacts", self.address, self.port)
        kept = {k: v for k, v in os.environ.items() if k != MARK}
        environment = {**kept, "PYTHONPATH": str(REPOSITORY), "MLFLOW_SERVER_ALLOWED_HOSTS": "*"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True,
                env=server.ui_environment(f"sqlite:///{self.folder / 'mlflow.db'}", environment),
            )  # fmt: skip
        if wait:
            until(self._answers, "MLflow's server answers")

    def kill(self) -> None:
        """kill -9 of the server and of its workers."""
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.process.pid)
            for process in [own, *own.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5):  # noqa: S310 - our own server
                return True
        except OSError:
            return False


@dataclass
class FarWorld(World):
    """Drivers in a network namespace of their own; servers here, where a cut cable does not keep us from looking."""

    kind: str = "servers"

    def __enter__(self) -> FarWorld:
        super().__enter__()
        self._stack = contextlib.ExitStack()
        with self._stack:
            self.cable = self._stack.enter_context(Cable())
            self.prefix = ("ip", "netns", "exec", self.cable.name)
            self.server = MlflowServer(self.folder / "mlflow", self.cable.here)
            self._stack.callback(self.server.kill)
            self.server.start(wait=False)
            self.postgres = self._stack.enter_context(FarPostgres(address=self.cable.here))
            self.database = self.postgres.database().rpartition("/")[2]
            until(self.server._answers, "MLflow's server answers")
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._stack.close()

    @property
    def mlflow(self) -> Path:
        return self.server.folder / "mlflow.db"

    def environment(self) -> dict[str, str]:
        storage = self.postgres.url(self.database).replace("127.0.0.1", self.cable.here)
        stores = {"RENO_STORAGE": storage, "MLFLOW_TRACKING_URI": self.server.url}
        return {**super().environment(), **stores}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        try:
            self._last = {**getattr(self, "_last", {}), query: self.postgres.sql(query, self.database)}
        except psycopg.errors.UndefinedTable:
            return []
        except psycopg.OperationalError:  # it was killed: what it last said
            pass
        return getattr(self, "_last", {}).get(query, [])
