"""A real sweep travels to another home and goes on there; its news are JSON lines, every one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swept(
    space: Path, in_home: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, dict[str, Any]]:
    """A home with a small finished sweep, and what `run --json` said."""
    cli = in_home(tmp_path_factory.mktemp("home"))
    return cli, cli.json("run", "--space", str(space), "--folds", "2", "--quiet")


@pytest.fixture(scope="module")
def taken(
    swept: tuple[Any, dict[str, Any]], in_home: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, dict[str, Any]]:
    """A new home with the finished sweep as an archive brought it, and what `import --json` said."""
    cli, found = swept
    archive = tmp_path_factory.mktemp("post") / "quick.zip"
    cli.here("export", found["sweep"], "-o", str(archive))
    other = in_home(tmp_path_factory.mktemp("other"))
    return other, json.loads(other.here("import", str(archive), "--as", "taken", "--json"))


def test_everything_is_shown_in_the_new_home(
    taken: tuple[Any, dict[str, Any]], swept: tuple[Any, dict[str, Any]], tmp_path: Path
) -> None:
    (other, said), (cli, found) = taken, swept
    shown = json.loads(other.here("status", "taken", "--json"))

    assert (said["already_here"], said["mlflow_runs_behind"]) == (False, 0)
    for key in ("trials", "baselines", "cautions", "seconds"):
        assert shown[key] == found[key]
    assert {**shown["best"], "run_id": None} == {**found["best"], "run_id": None}
    assert other.here("predictions", "taken") == cli.here("predictions", found["sweep"])
    other.here("report", "taken", "-o", str(tmp_path / "report"))
    assert "taken" in (tmp_path / "report" / "report.html").read_text()
    assert json.loads(other.here("compare", "taken", "--json"))["compared"]


def test_mlflow_holds_the_imported_runs(taken: tuple[Any, dict[str, Any]], swept: tuple[Any, Any]) -> None:
    (other, _), (cli, _) = taken, swept
    kinds = "select value, count(*) from tags where key = 'reno.kind' group by 1 order by 1"
    with (
        closing(sqlite3.connect(other.home / "mlflow.db")) as new,
        closing(sqlite3.connect(cli.home / "mlflow.db")) as old,
    ):
        assert new.execute(kinds).fetchall() == old.execute(kinds).fetchall()


def test_it_goes_on_where_it_was_and_every_line_on_stderr_is_json(
    taken: tuple[Any, dict[str, Any]], swept: tuple[Any, dict[str, Any]], told: Any
) -> None:
    (other, _), (cli, _) = taken, swept
    before = told(other.home)
    process = other.start("resume", "taken", "--trials", "5", "--json", "--log-json")
    out, err = process.communicate(timeout=280)

    assert process.returncode == 0, err
    assert json.loads(out)["trials"]["complete"] == 5
    after = told(other.home)
    assert {number: after[number] for number in before} == before == told(cli.home)
    news = [json.loads(line) for line in err.splitlines()]
    assert {"begin", "trial", "progress"} <= {one["event"] for one in news}
    assert {one["sweep"] for one in news if one["event"] != "clips"} == {"taken"}


def test_a_nested_sweep_travels_with_its_searches(cli: Any, space: Path, tmp_path: Path) -> None:
    options = ["--selection", "nested", "--folds", "3", "--trials", "2", "--name", "deep", "--quiet"]
    found = cli.json("run", "--space", str(space), *options)
    cli.here("export", "deep", "-o", str(tmp_path / "deep.zip"))
    shutil.rmtree(cli.home)
    cli.here("import", str(tmp_path / "deep.zip"))
    again = json.loads(cli.here("resume", "deep", "--quiet", "--json"))

    assert again["nested"] == found["nested"]
    assert again["trials"] == found["trials"]
