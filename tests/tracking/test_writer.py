"""What tracking/writer.py promises, on a real store: nobody waits, nothing is lost, kills leave no trace."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tracking import names, reader
from tracking.rows import RunRow, SweepRow
from tracking.writer import Writer

Sweeps, Trials = Callable[..., SweepRow], Callable[..., RunRow]


def test_the_latest_row_of_a_key_wins(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    writer = open_writer()
    writer.open_sweep(a_sweep())
    for metric in range(50):
        writer.update_sweep(a_sweep(metrics=[("best_val_macro_f1", metric / 100, 1000 + metric, metric)]))
    writer.update_sweep(a_sweep(status="FINISHED", end_ms=1_700_000_100_000, note="the best is trial 49"))
    assert writer.close() == 0

    sweep = reader.runs(uri, "3f9c" * 16)[0]

    assert (sweep["status"], sweep["end_ms"]) == ("FINISHED", 1_700_000_100_000)
    assert sweep["tags"]["mlflow.note.content"] == "the best is trial 49"


def test_a_row_that_mlflow_refuses_is_said_and_counted_and_holds_up_no_other(
    open_writer: Callable[[], Writer], said: list[str], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    writer = open_writer()
    writer.open_sweep(a_sweep())
    writer.write(a_trial(0, params={"renyi.beta": 1}, status="RUNNING"))
    writer.drain(30)
    writer.write(a_trial(0, params={"renyi.beta": 2}))
    writer.write(a_trial(1))
    left = writer.drain(30)

    assert left == 1
    assert [run["key"] for run in reader.runs(uri, "3f9c" * 16)] == ["sweep", "trial 0000", "trial 0001"]
    assert len(said) == 1
    assert "MLflow refuses 'trial 0000'" in said[0]
    writer.write(a_trial(0, params={"renyi.beta": 1}))
    assert writer.close() == 0


def test_writing_does_not_wait_for_mlflow(open_writer: Callable[[], Writer], a_sweep: Sweeps, a_trial: Trials) -> None:
    writer = open_writer()
    writer.open_sweep(a_sweep())
    opening = writer.waited_seconds
    for number in range(30):
        writer.write(a_trial(number, epochs=50))
    writing = writer.waited_seconds - opening
    began = time.monotonic()
    assert writer.drain(60) == 0

    assert writing < 0.25 * (time.monotonic() - began)
    assert writer.run_id("trial 0029")


def test_a_trial_that_ends_soon_is_written_once_and_one_that_lasts_is_shown_as_running(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracking.writer._SETTLES", 0.5)
    writer = open_writer()
    writer.open_sweep(a_sweep())
    written: list[tuple[str, str]] = []
    mirror = writer._mirror.write
    monkeypatch.setattr(writer._mirror, "write", lambda row: written.append((row.key, row.status)) or mirror(row))
    for number in (0, 1):
        writer.write(a_trial(number, status="RUNNING", end_ms=None, metrics=[]))
    writer.write(a_trial(0))
    until = time.monotonic() + 30
    while len(written) < 2 and time.monotonic() < until:
        time.sleep(0.05)

    assert written == [("trial 0000", "FINISHED"), ("trial 0001", "RUNNING")]


def test_a_broken_store_in_mid_sweep_is_said_once_and_caught_up_with(
    open_writer: Callable[[], Writer], said: list[str], home: Path, uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    writer = open_writer()
    writer.open_sweep(a_sweep())
    artifacts = home / "artifacts"  # nothing is in it yet
    artifacts.write_text("in the way")
    for number in range(5):
        writer.write(a_trial(number))
    left = writer.drain(1.0)
    artifacts.unlink()

    assert left == 5
    assert writer.drain(30) == 0
    assert len(reader.runs(uri, "3f9c" * 16)) == 6
    assert ["does not take runs" in said[0], "answers again" in said[-1], len(said)] == [True, True, 2]


KILLED = """
import os, sys
from pathlib import Path
from tracking import names
from tracking.rows import RunRow, SweepRow
from tracking.writer import Writer

home = Path(sys.argv[1])
writer = Writer(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")
writer.open_sweep(SweepRow("3f9c" * 16, "s", "reno/demo", 1))
print("open", flush=True)
for number in range(200):
    points = [(f"fold_{fold}/loss", float(epoch), epoch, epoch) for fold in range(5) for epoch in range(40)]
    writer.write(RunRow(names.trial(number), "trial", "FINISHED", 1, 2, metrics=points))
writer.drain(600)
"""


@pytest.mark.rough
def test_a_driver_killed_at_any_moment_is_caught_up_with_exactly(tmp_path: Path) -> None:
    """Also while the store itself is being made: it appears whole or not at all."""
    home = tmp_path / "home"
    for runs in (0, 8, 40):  # that are there when the kill comes; the first process is killed in set-up
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(home)], stdout=subprocess.PIPE)
        _until_it_is_so(lambda: list(home.glob(".mlflow.db.*")) if not runs else _runs(home) >= runs)  # noqa: B023
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    uri = f"sqlite:///{home / 'mlflow.db'}"
    half_written = len(reader.runs(uri, "3f9c" * 16))
    whole = subprocess.run([sys.executable, "-c", KILLED, str(home)], check=True, capture_output=True, text=True)

    trials = [run for run in reader.runs(uri, "3f9c" * 16) if run["kind"] == "trial"]

    assert 8 < half_written < 201
    assert (whole.stdout, whole.stderr) == ("open\n", "")
    assert sorted(run["key"] for run in trials) == [names.trial(number) for number in range(200)]
    assert all(names.MIRRORED in run["tags"] for run in trials)
    assert {len(reader.metric_history(uri, run["run_id"], "fold_4/loss")) for run in trials[:20]} == {40}


def _runs(home: Path) -> int:
    """How many runs MLflow's store holds now."""
    if not (home / "mlflow.db").exists():
        return 0
    with contextlib.closing(sqlite3.connect(home / "mlflow.db", timeout=10)) as store:
        return int(store.execute("SELECT count(*) FROM runs").fetchone()[0])


def _until_it_is_so(so: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not so() and time.monotonic() < until:
        time.sleep(0.01)
