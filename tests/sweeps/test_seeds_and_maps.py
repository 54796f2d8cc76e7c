"""A sweep of a fusion head with two seeds a fold: every model is kept, folds count once; its features are mapped."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SPACE = """
name: seeded
head: concat
corpus: demo
encoders: [mfcc, log-mel]
fixed: {training.epochs: 2, align.width: 8, trunk.positions: 2}
protocol: {n_folds: 3, seeds: 2}
"""


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, in_home: Any) -> tuple[Any, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("seeded")
    (folder / "seeded.yaml").write_text(SPACE)
    cli = in_home(folder / "home")
    return cli, cli.json("run", "--space", str(folder / "seeded.yaml"), "--controls", "--quiet")


def test_a_fold_counts_once_however_many_seeds_it_has(seeded: tuple[Any, dict[str, Any]]) -> None:
    cli, found = seeded
    answers = list(csv.DictReader(io.StringIO(cli("predictions", found["sweep"]))))

    assert (found["folds"], found["repeats"], found["seeds"]) == (3, 1, 2)
    assert len(found["best"]["test"]["macro_f1"]["folds"]) == 3
    assert len(found["baselines"]["linear"]["test"]["macro_f1"]["folds"]) == 3
    assert len(found["baselines"]["majority"]["test"]["macro_f1"]["folds"]) == 3
    assert len(answers) == 2 * 240
    assert {row["seed"] for row in answers} == {"0", "1"}


def test_the_control_on_shuffled_labels_is_beside_the_baselines(seeded: tuple[Any, dict[str, Any]]) -> None:
    _, found = seeded

    assert set(found["controls"]) == {"shuffled labels"}
    assert len(found["controls"]["shuffled labels"]["test"]["macro_f1"]["folds"]) == 3


def test_mlflow_tells_seeds_apart_and_the_note_links_to_the_runs(seeded: tuple[Any, dict[str, Any]]) -> None:
    cli, found = seeded
    with closing(sqlite3.connect(cli.home / "mlflow.db")) as store:
        named = {
            row[0]
            for row in store.execute("select key from latest_metrics where run_uuid = ?", (found["best"]["run_id"],))
        }
        (note,) = store.execute(
            "select value from tags where key = 'mlflow.note.content' and run_uuid = ?", (found["parent_run_id"],)
        ).fetchone()

    assert {f"seed_{seed}/fold_{fold}/test_macro_f1" for seed in range(2) for fold in range(3)} <= named
    place = f"#/experiments/{found['experiment_id']}/runs"
    for run in (found["best"]["run_id"], *found["runs"].values()):
        assert f"({place}/{run}?workflowType=machine_learning)" in note
    assert set(found["runs"]) == {"winner", "refit", "baselines"}


def test_the_encoders_and_the_fused_features_are_mapped(seeded: tuple[Any, dict[str, Any]]) -> None:
    cli, found = seeded
    folder = cli.home / "sweeps" / found["sweep"]
    maps = json.loads((folder / "maps.json").read_text())

    assert list(maps) == ["mfcc", "log-mel", "features of trial 0"]
    assert maps["features of trial 0"]["title"] == "fused features of concat"
    assert "Trial 0 on the test clips of fold 0" in maps["features of trial 0"]["about"]
    assert len(maps["features of trial 0"]["points"]) == 80
    assert "fused features of concat" in (folder / "report" / "report.html").read_text()
