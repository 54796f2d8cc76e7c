"""A registered model behind `mlflow models serve`, and how it is asked: real processes, real HTTP, 127.0.0.1 alone."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.backends.postgres import free_port

SPACE = """
name: tiny
head: linear
search: {training.weight_decay: {type: float, low: 0.001, high: 0.1, log: true}}
fixed: {training.epochs: 2}
protocol: {n_folds: 2}
budget: {trials: 1}
"""
SECONDS = 90  # until a server answers


def command(place: Path, *words: str, **environment: str) -> dict[str, Any]:
    """What a command of ours says with --json."""
    started = [sys.executable, "-m", "reno_sweeps.cli", *words, "--home", str(place / "home"), "--json"]
    said = subprocess.run(
        started, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True, cwd=place
    )
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def swept(place: Path, corpus: str, encoders: str, *words: str) -> Path:
    """A home with a finished sweep `tiny`."""
    (place / "tiny.yaml").write_text(SPACE)
    question = ["--corpus", corpus, "--encoders", encoders, "--cache", str(place / "cache"), *words]
    options = ["--name", "tiny", "--device", "cpu", "--no-baselines", "--quiet"]
    command(place, "run", "--space", str(place / "tiny.yaml"), *question, *options)
    return place / "home"


@dataclass(frozen=True)
class Server:
    """A scoring server that answers."""

    port: int
    pid: int  # of the process that answers
    log: Path

    def ask(self, body: Any, kind: str = "application/json", **headers: str) -> tuple[int, Any]:
        """Status and answer; bytes and iterators of bytes (sent in chunks) go as they are, the rest as JSON."""
        raw = body if isinstance(body, bytes) or hasattr(body, "__next__") else json.dumps(body).encode()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            connection.request("POST", "/invocations", raw, {"Content-Type": kind, **headers})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def refused(self, body: Any, kind: str = "application/json") -> str:
        """The one sentence with which something is refused, after a 4xx."""
        status, said = self.ask(body, kind)
        assert 400 <= status < 500, (status, said)
        assert set(said) == {"error_code", "message"}
        assert len(said["message"]) < 1_000
        assert "\n" not in said["message"]
        assert "Traceback" not in said["message"]
        assert "site-packages" not in said["message"]
        return str(said["message"])

    def megabytes(self) -> float:
        """Memory that the server's process holds now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


@contextlib.contextmanager
def serving(model: str, tracking_uri: str, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """`mlflow models serve` of `model` in this environment, until it answers; ended with all its processes."""
    port = free_port()
    words = ["models", "serve", "-m", model, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    said = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "OMP_NUM_THREADS": "1", **(environment or {})}
    said["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{said['PATH']}"  # MLflow starts `uvicorn` by name
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words], env=said, stdout=lines, stderr=lines, start_new_session=True
        )
    try:
        _wait(port, process, log)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield Server(port, int(child), log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise AssertionError(f"no answer within {SECONDS} s\n{log.read_text()}")


def text(content: bytes) -> str:
    """A file as JSON carries it."""
    return base64.b64encode(content).decode()


def rows(*contents: bytes) -> dict[str, Any]:
    """A request with these files."""
    return {"dataframe_records": [{"audio": text(content)} for content in contents]}
