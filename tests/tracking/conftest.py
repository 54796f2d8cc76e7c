"""Real stores for tracking's tests: one fresh SQLite file, copied for every test; a real server on a free port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.backends import postgres
from tracking import names, server, store
from tracking.rows import RunRow, SweepRow
from tracking.writer import Writer

START = 1_700_000_000_000  # ms


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as `connect` makes it; making one takes a second."""
    file = tmp_path_factory.mktemp("fresh") / "mlflow.db"
    store.connect(f"sqlite:///{file}")
    return file


@pytest.fixture
def home(tmp_path: Path, fresh_store: Path) -> Path:
    """A home folder with an empty store."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(fresh_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def uri(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow.db'}"


@pytest.fixture
def a_sweep() -> Callable[..., SweepRow]:
    """`a_sweep(**changes)`: a small sweep's parent run."""

    def make(**changes: object) -> SweepRow:
        plain = {"identity": "3f9c" * 16, "name": "rd-params-3f9c", "experiment": "reno/demo", "start_ms": START}
        return SweepRow(**{**plain, **changes})

    return make


@pytest.fixture
def a_trial() -> Callable[..., RunRow]:
    """`a_trial(number, epochs=3, **changes)`: a finished trial of two folds."""

    def make(number: int, *, epochs: int = 3, **changes: object) -> RunRow:
        points = [
            (names.fold_metric((0, 0, fold), "val_macro_f1"), 0.1 * epoch + fold, START + 1000 * epoch, epoch)
            for fold in range(2)
            for epoch in range(1, epochs + 1)
        ]
        plain = {
            "key": names.trial(number),
            "kind": names.TRIAL_KIND,
            "status": "FINISHED",
            "start_ms": START + number,
            "end_ms": START + 60_000,
            "params": {"renyi.beta": 1.5 + number},
            "metrics": points,
            "tables": {names.FOLDS_TABLE: {"fold": [0, 1], "test_macro_f1": [0.5, 0.6]}},
        }
        return RunRow(**{**plain, **changes})

    return make


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def open_writer(home: Path, uri: str, said: list[str]) -> Iterator[Callable[[], Writer]]:
    """`open_writer()`: a new writer on the home's store, as a resumed driver makes one."""
    writers = []

    def make() -> Writer:
        writers.append(Writer(uri, home / "artifacts", say=said.append))
        return writers[-1]

    yield make
    for writer in writers:
        writer.close()


@pytest.fixture
def free_port() -> int:
    return postgres.free_port()


Serving = Callable[[], AbstractContextManager[str]]


@pytest.fixture
def serving(home: Path, uri: str, free_port: int) -> Serving:
    """`with serving() as url:` runs a real MLflow server over the home's store; it dies like a machine does."""

    @contextmanager
    def run() -> Iterator[str]:
        command = server.ui_command(home / "artifacts", port=free_port)
        environment = server.ui_environment(uri)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, env=environment, start_new_session=True, **quiet)
        try:
            _await(f"http://127.0.0.1:{free_port}/health")
            yield f"http://127.0.0.1:{free_port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    return run


def _await(url: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + 120
    while True:
        try:
            direct.open(url, timeout=5).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return
