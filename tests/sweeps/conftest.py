"""Whole sweeps by the command line: a real Ray, a real MLflow on SQLite, a real study, real audio files."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reno_sweeps.cli import main

SPACE = """
name: quick
head: linear
corpus: demo
encoders: [mfcc, log-mel]
search:
  training.weight_decay: {type: float, low: 0.01, high: 3.0, log: true}
  training.lr: {type: float, low: 1e-3, high: 1e-2, log: true}
fixed: {training.epochs: 6}
budget: {trials: 3, sampler: random}
"""


@dataclass(frozen=True)
class Cli:
    """Our command, in a home and with a cache of its own."""

    home: Path
    cache: Path

    def line(self, *arguments: str) -> list[str]:
        """The command as a list."""
        return [sys.executable, "-m", "reno_sweeps.cli", *arguments]

    @property
    def places(self) -> dict[str, str]:
        """Where results and embeddings go, as the environment says it."""
        return {"RENO_HOME": str(self.home), "RENO_CACHE": str(self.cache)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command as the leader of a process group of its own."""
        pipe, environment = subprocess.PIPE, {**os.environ, **self.places}
        return subprocess.Popen(
            self.line(*arguments), stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True
        )

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command to its end in a process of its own; what it printed on stdout."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=280)
        assert process.returncode == code, err
        return out

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json; the value that it printed."""
        return json.loads(self(*arguments, "--json", code=code))

    def here(self, *arguments: str, code: int = 0) -> str:
        """Run a command that trains nothing in this process, which has imported what it needs."""
        with pytest.MonkeyPatch.context() as patch:
            for name, place in self.places.items():
                patch.setenv(name, place)
            with (
                redirect_stdout(io.StringIO()) as out,
                redirect_stderr(io.StringIO()) as err,
                pytest.raises(SystemExit) as end,
            ):
                main(arguments)
        assert end.value.code == code, err.getvalue()
        return out.getvalue()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings that all sweeps of this folder share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A space whose trials take a second."""
    file = tmp_path_factory.mktemp("spaces") / "quick.yaml"
    file.write_text(SPACE)
    return file


@pytest.fixture
def cli(tmp_path: Path, cache: Path) -> Cli:
    """The command in a new home."""
    return Cli(tmp_path / "home", cache)


@pytest.fixture(scope="session")
def in_home(cache: Path) -> Callable[[Path], Cli]:
    """Makes the command for a home that several tests share."""
    return lambda home: Cli(home, cache)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path, space: Path) -> tuple[Cli, dict[str, Any]]:
    """A home with one finished sweep, and what `run --json` said."""
    cli = Cli(tmp_path_factory.mktemp("home"), cache)
    return cli, cli.json("run", "--space", str(space), "--quiet")


@pytest.fixture(scope="session")
def told() -> Callable[[Path], dict[int, tuple[str, float | None, tuple[str, ...]]]]:
    """Reads a home's study: what is told of every ended trial, with its stored folds to the letter."""
    return _told


def _told(home: Path) -> dict[int, tuple[str, float | None, tuple[str, ...]]]:
    if not (home / "studies.db").exists():
        return {}
    with closing(sqlite3.connect(home / "studies.db", timeout=60)) as study:
        tables = {name for (name,) in study.execute("select name from sqlite_master")}
        if not {"trials", "trial_values", "trial_user_attributes"} <= tables:
            return {}  # they are just being made
        rows = study.execute(
            "select t.trial_id, t.number, t.state, v.value from trials t left join trial_values v using (trial_id)"
            " where t.state in ('COMPLETE', 'PRUNED', 'FAIL')"
        ).fetchall()
        folds = study.execute(
            "select trial_id, value_json from trial_user_attributes where key like 'fold:%' order by key"
        ).fetchall()
    return {n: (state, value, tuple(j for i, j in folds if i == trial)) for trial, n, state, value in rows}
