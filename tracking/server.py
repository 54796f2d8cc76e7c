"""How the MLflow server is started over a home's store: by `reno-sweep ui` and by containers."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import IO

from tracking import names
from tracking.errors import TrackingError, one_line

_SQLITE = "sqlite:///"
_READY_WITHIN = 180  # seconds: a cold start reads some hundred megabytes of packages
_STOP_WITHIN = 10  # seconds between the polite and the last signal
_LOCAL = {"", "0.0.0.0", "::", "localhost"}  # noqa: S104 - compared with, not bound to


def ui_command(artifact_root: Path, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """The command line of a small server: one worker (MLflow's four take 2 GB), no requests on the console.

    The store is told in the environment (`ui_environment`): command lines are read by all users of a machine, and a
    store's address may hold a password.
    """
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--artifacts-destination", str(artifact_root)),
        *("--host", host, "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning --no-access-log"),
    ]


def ui_environment(store_uri: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the server: its store, no job runners (ten processes for GenAI features), no telemetry."""
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    store = {"MLFLOW_BACKEND_STORE_URI": store_uri, "MLFLOW_REGISTRY_STORE_URI": store_uri}
    return {**own, **(os.environ if environment is None else environment), **store}


def ui_url(host: str, port: int, experiment_id: str | None = None, identity: str | None = None) -> str:
    """Where the UI opens on training runs (by itself it opens on GenAI traces): all experiments, or one; with a
    sweep's identity in the sweep's own view.
    """
    place = "experiments" if experiment_id is None else f"experiments/{experiment_id}/runs"
    view = "" if identity is None else f"&viewStateShareKey={names.view(identity)}"
    return f"http://{_shown(host)}:{port}/#/{place}?workflowType=machine_learning{view}"


def check_port(host: str, port: int) -> None:
    """`TrackingError` if nothing can listen there, with a port that is free if this one is taken."""
    try:
        _bind(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise TrackingError(f"cannot listen on {host}:{port}: {one_line(error.strerror or error)}") from error
        raise TrackingError(f"port {port} on {host} is occupied; use --port {_free_port(host, port)}") from error


def serve(
    store_uri: str,
    artifact_root: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 5000,
    ready: Callable[[str], None] = lambda _: None,
) -> int:
    """Run the server until SIGINT or SIGTERM, which end it with all its children. `ready` hears the URL once it
    answers. The exit code is 0 after a signal; `TrackingError` if the server cannot start or dies.
    """
    check_port(host, port)
    if store_uri.startswith(_SQLITE) and not Path(store_uri.removeprefix(_SQLITE)).exists():
        from tracking.store import connect  # MLflow itself: only a home without a store pays for it

        connect(store_uri, artifact_root)
    with tempfile.TemporaryFile("w+") as log:
        command, environment = ui_command(artifact_root, host, port), ui_environment(store_uri)
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 - our own words
        with _ending(process) as stopped:
            if _answers(process, host, port):
                ready(ui_url(host, port))
            process.wait()
        if not stopped:
            raise TrackingError(f"the MLflow server ended by itself: {_last_words(log)}")
    return 0


@contextlib.contextmanager
def _ending(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """SIGINT and SIGTERM go on to the server, which takes its workers with it. Yields the signals that came."""
    came: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        came.append(number)
        process.send_signal(signal.SIGTERM)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(process: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Wait until the server answers; False if it ended first."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business here
    until = time.monotonic() + _READY_WITHIN
    while process.poll() is None:
        try:
            with direct.open(f"http://{_shown(host)}:{port}/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            if time.monotonic() > until:
                raise TrackingError(f"the MLflow server did not answer within {_READY_WITHIN} s") from None
            time.sleep(0.2)
    return False


def _last_words(log: IO[str]) -> str:
    """The last error that the server named, else its last line."""
    log.seek(0)
    lines = [line for line in log.read().splitlines() if line.strip() and not line.startswith("Running the mlflow")]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return one_line([*lines, *errors][-1]) if lines else "it said nothing"


def _bind(host: str, port: int) -> int:
    """Bind as the server will, let go again, and tell the port."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)
        return int(probe.getsockname()[1])


def _free_port(host: str, taken: int) -> int:
    for port in range(taken + 1, min(taken + 50, 65536)):
        with contextlib.suppress(OSError):
            return _bind(host, port)
    return _bind(host, 0)


def _shown(host: str) -> str:
    """A host as a browser on this machine reaches it."""
    plain = "127.0.0.1" if host in _LOCAL else host
    return f"[{plain}]" if ":" in plain else plain
