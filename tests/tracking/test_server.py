"""What tracking/server.py promises, and the writer and the registry over a real MLflow server."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tracking import reader, registry, server
from tracking.errors import TrackingError
from tracking.registry import Column, Package
from tracking.rows import RunRow, SweepRow
from tracking.writer import Writer

Sweeps, Trials = Callable[..., SweepRow], Callable[..., RunRow]
Serving = Callable[[], AbstractContextManager[str]]


def test_an_occupied_port_is_answered_with_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(TrackingError, match=rf"port {port} on 127\.0\.0\.1 is occupied; use --port \d+") as caught:
            server.check_port("127.0.0.1", port)
        offered = int(str(caught.value).rsplit(" ", 1)[1])

        server.check_port("127.0.0.1", offered)


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(TrackingError, match=r"cannot listen on 203\.0\.113\.9:5000"):
        server.check_port("203.0.113.9", 5000)


def test_the_ui_opens_on_training_runs_and_on_a_sweeps_view() -> None:
    assert server.ui_url("", 5000) == "http://127.0.0.1:5000/#/experiments?workflowType=machine_learning"
    assert server.ui_url("::1", 80, "3", "3f9c" * 16) == (
        "http://[::1]:80/#/experiments/3/runs?workflowType=machine_learning&viewStateShareKey=3f9c3f9c3f9c"
    )


def test_the_users_environment_wins_over_ours() -> None:
    environment = server.ui_environment(
        "sqlite:///a.db", {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true", "PATH": "/bin"}
    )

    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "true"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_stores_password_stands_on_no_command_line() -> None:
    uri = "postgresql://me:s3cret@127.0.0.1/db"

    assert "s3cret" not in " ".join(server.ui_command(Path("artifacts")))
    assert server.ui_environment(uri, {"MLFLOW_BACKEND_STORE_URI": "another"})["MLFLOW_BACKEND_STORE_URI"] == uri


SERVE = """
import sys
from pathlib import Path
from tracking import server
home = Path(sys.argv[1])
print("rc", server.serve(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts", port=int(sys.argv[2]),
      ready=lambda url: print(url, flush=True)))
"""


def test_the_ui_answers_and_an_interrupt_ends_it_with_all_its_children(tmp_path: Path, free_port: int) -> None:
    command = [sys.executable, "-c", SERVE, str(tmp_path / "home"), str(free_port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    children = _descendants(process.pid)
    runs = reader.experiments(f"http://127.0.0.1:{free_port}")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert url == server.ui_url("127.0.0.1", free_port)
    assert [one["name"] for one in runs] == ["Default"]
    assert (out, err, process.returncode) == ("rc 0\n", "", 0)
    assert len(children) >= 2
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    server.check_port("127.0.0.1", free_port)


def test_a_server_that_cannot_start_says_why(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "mlflow.db").write_text("notes " * 1000)

    with pytest.raises(TrackingError, match=r"the MLflow server ended by itself: .*not a database"):
        server.serve(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts", port=free_port)


@pytest.mark.rough
def test_a_server_that_dies_and_comes_back_loses_no_row(
    serving: Serving, home: Path, a_sweep: Sweeps, a_trial: Trials, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with serving() as url:
        writer = Writer(url, home / "artifacts", say=said.append)
        writer.open_sweep(a_sweep())
        for number in range(5):
            writer.write(a_trial(number))
        assert writer.drain(60) == 0
        writer.write(a_trial(5, status="RUNNING", epochs=1))  # perhaps half written when the server dies
    before = writer.waited_seconds
    for number in range(5, 10):
        writer.write(a_trial(number))
    waited = writer.waited_seconds - before
    left = writer.drain(5)
    with serving() as url:
        assert writer.drain(120) == 0
        trials = [run for run in reader.runs(url, "3f9c" * 16) if run["kind"] == "trial"]
        steps = [len(reader.metric_history(url, run["run_id"], "fold_1/val_macro_f1")) for run in trials]
        tables = [reader.artifact(url, run["run_id"], "folds.json") for run in trials]

    assert waited < 0.1
    assert left == 5
    assert sum("does not take runs" in line for line in said) == 1
    assert capfd.readouterr() == ("", "")
    assert "answers again" in said[-1]
    assert [run["key"] for run in trials] == [f"trial {number:04d}" for number in range(10)]
    assert steps == [3] * 10
    assert len(set(tables)) == 1


def test_a_model_goes_through_a_server_and_back(serving: Serving, home: Path, tmp_path: Path, a_sweep: Sweeps) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.json").write_text("{}")
    code = tmp_path / "served.py"
    code.write_text(ECHO)
    columns = [Column("path")]
    package = Package(tmp_path / "weights", code, columns, columns, {"path": ["a.wav"]}, ["pandas"])

    with serving() as url:
        writer = Writer(url, home / "artifacts")
        opened = writer.open_sweep(a_sweep())
        writer.close()
        made = registry.register(
            url, package, name="reno-demo", experiment="reno/demo", run_id=opened.parent_run_id, aliases=["champion"]
        )
        folder = registry.resolve("models:/reno-demo@champion", url, tmp_path / "fetched")

    assert made.version == "1"
    assert (registry.model_folder(folder) / "model.json").read_text() == "{}"
    assert folder.is_relative_to(tmp_path / "fetched")


ECHO = """
import mlflow
import pandas as pd


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return model_input


mlflow.models.set_model(Echo())
"""


def _descendants(pid: int) -> list[int]:
    """Children, and theirs, of a process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(re.sub(r".*\) ", "", entry.read_text()).split()[1])
            if parent == pid:
                child = int(entry.parent.name)
                found += [child, *_descendants(child)]
    return found
