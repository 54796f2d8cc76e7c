"""The nested protocol by the command line: an unbiased figure, its gap, its runs in MLflow; killed, it goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory, in_home: Any, space: Path) -> tuple[Any, dict[str, Any]]:
    cli = in_home(tmp_path_factory.mktemp("home"))
    options = ["--selection", "nested", "--folds", "3", "--trials", "2", "--quiet"]
    return cli, cli.json("run", "--space", str(space), *options)


def test_the_answer_has_a_figure_for_every_outer_fold_and_the_gap(nested: tuple[Any, dict[str, Any]]) -> None:
    _, found = nested
    answer = found["nested"]

    assert len(answer["test"]["macro_f1"]["folds"]) == 3
    assert [set(one["selected"]) for one in answer["selected"]] == [{"training.lr", "training.weight_decay"}] * 3
    gap = found["best"]["test"]["macro_f1"]["mean"] - answer["test"]["macro_f1"]["mean"]
    assert answer["optimism_gap"] == pytest.approx(gap, abs=1e-12)
    assert found["trials"]["asked"] == found["trials"]["complete"] == 2


def test_mlflow_shows_a_run_for_each_outer_search_below_one_child(nested: tuple[Any, dict[str, Any]]) -> None:
    cli, found = nested
    with closing(sqlite3.connect(cli.home / "mlflow.db")) as store:
        kinds = store.execute("select count(*) from tags where key = 'reno.kind' and value = 'nested'").fetchone()
        metrics = dict(
            store.execute("select key, value from latest_metrics where run_uuid = ?", (found["parent_run_id"],))
        )

    assert kinds == (4,)
    assert metrics["nested_test_macro_f1"] == pytest.approx(found["nested"]["test"]["macro_f1"]["mean"])
    assert metrics["optimism_gap"] == pytest.approx(found["nested"]["optimism_gap"])


def test_asked_again_it_trains_nothing_and_says_the_same(nested: tuple[Any, dict[str, Any]], space: Path) -> None:
    cli, found = nested
    again = cli.json("resume", found["sweep"], "--quiet")

    assert again["nested"] == found["nested"]
    assert again["best"]["test"] == found["best"]["test"]


def test_what_it_costs_is_said_before_it_starts(cli: Any, space: Path) -> None:
    options = ["--selection", "nested", "--folds", "5", "--trials", "8", "--dry-run"]
    said = cli.json("run", "--space", str(space), *options)

    assert said["cost"]["nested_trainings"] == 165
    assert said["cost"]["trainings"] == 165 + 40
