"""A whole sweep in a process of its own, killed and interrupted while it is at work."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tracking import reader

pytestmark = pytest.mark.rough

Told = Callable[[Path], dict[int, tuple[str, float | None, tuple[str, ...]]]]


def identity(home: Path, name: str) -> str:
    return str(json.loads((home / "sweeps" / name / "sweep.json").read_text())["identity"])


def await_news(process: subprocess.Popen[str], told: Callable[[], int], patience: float = 200.0) -> None:
    """Until one more trial has ended than when this began, or the process has."""
    end, before = time.monotonic() + patience, told()
    while process.poll() is None and told() == before:
        assert time.monotonic() < end, "no trial ends"
        time.sleep(0.05)


def test_killed_at_any_moment_a_sweep_goes_on_and_loses_nothing(cli: Any, space: Path, told: Told) -> None:
    arguments = ("run", "--space", str(space), "--trials", "8", "--name", "kill", "--quiet")
    known: dict[int, Any] = {}
    for early in (True, False, False):
        begun = (cli.home / "sweeps" / "kill").exists()
        process = cli.start(*(("resume", "kill", "--quiet") if begun else arguments))
        if early:
            time.sleep(2)
        else:
            await_news(process, lambda: len(told(cli.home)))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        now = told(cli.home)
        assert {n: now[n] for n in known} == known
        known = now
        if not (cli.home / "sweeps" / "kill").exists():
            cli.here("run", *arguments[1:], "--dry-run")  # killed before anything was written: nothing was begun

    result = cli.json(*(("resume", "kill") if (cli.home / "sweeps" / "kill").exists() else arguments), "--quiet")

    after = told(cli.home)
    assert known
    assert {n: after[n] for n in known} == known
    assert (len(after), result["trials"]["complete"]) == (8, 8)
    rows = [r for r in reader.runs(result["tracking_uri"], identity(cli.home, "kill")) if r["kind"] == "trial"]
    assert sorted((r["key"], r["metrics"]["val_macro_f1"]) for r in rows) == sorted(
        (f"trial {n:04d}", value) for n, (_, value, _) in after.items()
    )
    with closing(sqlite3.connect(cli.home / "mlflow.db")) as store:
        twice = "select run_uuid, key, step from metrics group by 1, 2, 3 having count(*) > 1"
        assert store.execute(twice).fetchall() == []


def test_interrupted_once_it_ends_cleanly_and_a_second_driver_is_refused_meanwhile(
    cli: Any, space: Path, told: Told
) -> None:
    process = cli.start("run", "--space", str(space), "--trials", "500", "--name", "long")
    await_news(process, lambda: len(told(cli.home)))

    cli.here("run", "--space", str(space), "--fold-seed", "3", code=2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)

    assert process.returncode == 130
    assert "reno-sweep resume long" in err
    shown = json.loads(cli.here("status", "long", "--json"))
    assert shown["state"] == "stopped"
    assert shown["running"] == []
    rows = reader.runs(shown["tracking_uri"], identity(cli.home, "long"))
    assert "RUNNING" not in {row["status"] for row in rows}
