"""What tracking/store.py promises: a store that is whole, or quickly the reason why there is none."""

from __future__ import annotations

import http.server
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracking import reader, store
from tracking.errors import TrackingError


@pytest.fixture
def answering() -> Iterator[tuple[str, list[int]]]:
    """A web server that answers everything with the status in the list."""
    status = [401]

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://user:secret@127.0.0.1:{web.server_port}", status
        web.shutdown()


def test_a_fresh_store_appears_whole_with_its_folders(tmp_path: Path) -> None:
    file = tmp_path / "new" / "home" / "mlflow.db"

    store.connect(f"sqlite:///{file}", tmp_path / "artifacts")

    assert [entry.name for entry in file.parent.iterdir()] == ["mlflow.db"]
    assert [one["artifacts"] for one in reader.experiments(f"sqlite:///{file}")] == [str(tmp_path / "artifacts" / "0")]


def test_what_a_kill_left_of_a_store_is_cleared_away_in_time(home: Path, uri: str) -> None:
    old, recent = home / f".mlflow.db.{os.getpid():08x}0a", home / f".mlflow.db.{os.getpid():08x}0b"
    old.touch()
    recent.touch()
    os.utime(old, (time.time() - 3600,) * 2)

    store.connect(uri)

    assert (old.exists(), recent.exists()) == (False, True)


def test_what_a_dead_process_left_of_a_store_is_cleared_away_at_once(home: Path, uri: str) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = home / f".mlflow.db.{dead.pid:08x}{'0a' * 12}-journal"
    left.touch()

    store.connect(uri)

    assert not left.exists()


@pytest.mark.slow
def test_three_processes_may_open_a_fresh_store_at_once(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    code = f"from tracking import store; store.connect({uri!r}).create_experiment(str(__import__('os').getpid()))"

    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    codes = [process.wait() for process in processes]

    assert codes == [0, 0, 0]
    assert len(reader.experiments(uri)) == 4


def test_reading_a_store_that_was_never_made_makes_none(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    assert (reader.runs(uri, "x"), reader.experiments(uri)) == ([], [])
    assert not (tmp_path / "mlflow.db").exists()


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("notes " * 1000)

    with pytest.raises(TrackingError, match=r"mlflow\.db cannot be opened: file is not a database"):
        store.connect(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.mark.parametrize("place", ["file/mlflow.db", "folder"])
def test_a_place_where_no_file_can_be_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(TrackingError, match=f"{place} cannot be opened"):
        store.connect(f"sqlite:///{tmp_path / place}")


def test_a_disk_that_fills_up_while_a_store_is_made_is_said_and_nothing_stays(tmp_path: Path) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))  # bytes of a file; a store has more
    try:
        with pytest.raises(TrackingError, match=r"mlflow\.db cannot be made: .*(disk|full)"):
            store.connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    assert not list(tmp_path.glob("*mlflow.db*"))
    store.connect(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", ""])
def test_a_file_store_is_refused_with_what_is_on_offer(uri: str) -> None:
    with pytest.raises(TrackingError, match="sqlite:///FILE"):
        store.connect(uri)


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_port_where_nobody_listens_is_said_at_once_without_the_password(scheme: str, free_port: int) -> None:
    began = time.monotonic()

    with pytest.raises(TrackingError) as caught:
        store.connect(f"{scheme}://user:secret@127.0.0.1:{free_port}/x")

    assert time.monotonic() - began < 5
    assert "refused" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_that_takes_calls_and_says_nothing_is_given_up_within_ten_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(TrackingError, match="timed out"):
            store.connect(f"http://127.0.0.1:{silent.getsockname()[1]}")

    assert time.monotonic() - began < 10


def test_a_server_that_refuses_us_says_which_settings_let_us_in(answering: tuple[str, list[int]]) -> None:
    with pytest.raises(TrackingError, match=r"refuses us \(HTTP 401\); set MLFLOW_TRACKING_USERNAME") as caught:
        store.connect(answering[0])

    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_mlflow_is_said_to_be_none(answering: tuple[str, list[int]]) -> None:
    answering[1][0] = 404

    with pytest.raises(TrackingError, match=r"does not answer as MLflow does \(HTTP 404\)"):
        store.connect(answering[0])
