"""What a user does with sweeps, from the first command to the last, on real parts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracking import reader

Told = Callable[[Path], dict[int, tuple[str, float | None, tuple[str, ...]]]]


def test_a_sweep_ends_with_the_object_of_the_interface(finished: tuple[Any, dict[str, Any]]) -> None:
    _, result = finished

    assert result["trials"] == {"asked": 3, "complete": 3, "pruned": 0, "failed": 0}
    assert (result["corpus"], result["head"], result["selection"]) == ("demo", "linear", "validation")
    assert set(result["best"]["params"]) == {"training.weight_decay", "training.lr", "training.epochs"}
    for part in (result["best"]["test"], result["best"]["test_refit"], result["baselines"]["linear"]["test"]):
        assert len(part["macro_f1"]["folds"]) == 5
        assert part["macro_f1"]["mean"] == pytest.approx(sum(part["macro_f1"]["folds"]) / 5)
    assert result["baselines"]["majority"]["test"]["uar"]["mean"] == pytest.approx(1 / 6)
    assert set(result["seconds"]) == {"total", "embedding", "training", "tracking_wait"}


def test_the_same_question_again_returns_its_result_and_trains_nothing(
    finished: tuple[Any, dict[str, Any]], space: Path, told: Told
) -> None:
    cli, result = finished
    before = told(cli.home)

    again = json.loads(cli.here("run", "--space", str(space), "--quiet", "--json"))

    assert again == result
    assert told(cli.home) == before


def test_mlflow_shows_what_the_study_has(finished: tuple[Any, dict[str, Any]], told: Told) -> None:
    cli, result = finished
    identity = json.loads(cli.here("status", result["sweep"], "--json"))["sweep"] and _identity(
        cli.home, result["sweep"]
    )

    rows = reader.runs(result["tracking_uri"], identity)

    trials = {row["key"]: row for row in rows if row["kind"] == "trial"}
    study = told(cli.home)
    assert {f"trial {n:04d}": value for n, (_, value, _) in study.items()} == {
        key: row["metrics"]["val_macro_f1"] for key, row in trials.items()
    }
    assert {row["status"] for row in rows} == {"FINISHED"}
    assert {row["kind"] for row in rows} >= {"sweep", "trial", "baselines", "refit", "winner"}
    assert result["best"]["run_id"] == trials[f"trial {result['best']['number']:04d}"]["run_id"]


def test_a_fold_s_curve_ends_with_the_best_epoch_s_value(finished: tuple[Any, dict[str, Any]]) -> None:
    _, result = finished
    run, uri = result["best"]["run_id"], result["tracking_uri"]

    curve = {step: value for step, value, _ in reader.metric_history(uri, run, "fold_0/val_macro_f1")}
    ((step, epoch, _),) = reader.metric_history(uri, run, "fold_0/best_epoch")

    assert step == max(curve) == 7
    assert curve[step] == pytest.approx(curve[int(epoch)], rel=1e-6)  # judged once more, alone


def _identity(home: Path, name: str) -> str:
    return str(json.loads((home / "sweeps" / name / "sweep.json").read_text())["identity"])


def test_predictions_are_a_row_for_every_clip_and_agree_with_the_score(finished: tuple[Any, dict[str, Any]]) -> None:
    cli, result = finished

    rows = list(csv.DictReader(io.StringIO(cli.here("predictions", result["sweep"]))))

    right = sum(row["emotion"] == row["label"] for row in rows) / len(rows)
    assert len({row["path"] for row in rows}) == len(rows) == 240
    assert right == pytest.approx(result["best"]["test"]["accuracy"]["mean"], abs=1e-9)
    assert all(
        sum(float(v) for k, v in row.items() if k.startswith("p_")) == pytest.approx(1, abs=5e-3) for row in rows
    )


def test_a_report_is_written_and_logged(finished: tuple[Any, dict[str, Any]], tmp_path: Path) -> None:
    cli, result = finished

    page = Path(cli.here("report", result["sweep"], "-o", str(tmp_path / "report")).splitlines()[0])

    logged = reader.artifact(result["tracking_uri"], result["parent_run_id"], "report.html")
    assert result["sweep"] in page.read_text()
    assert result["sweep"] in logged


def test_a_larger_budget_keeps_what_is_there(finished: tuple[Any, dict[str, Any]], told: Told) -> None:
    cli, result = finished
    before = told(cli.home)

    more = cli.json("resume", result["sweep"], "--trials", "4", "--quiet")

    after = told(cli.home)
    assert more["trials"] == {"asked": 4, "complete": 4, "pruned": 0, "failed": 0}
    assert {number: after[number] for number in before} == before


def test_cohorts_and_devices_change_no_result(
    finished: tuple[Any, dict[str, Any]], cli: Any, space: Path, told: Told
) -> None:
    other, result = finished

    mine = cli.json("run", "--space", str(space), "--cohort", "3", "--device", "cpu", "--quiet", "--no-baselines")

    assert mine["best"]["objective"] == result["best"]["objective"]
    assert {n: told(cli.home)[n][1] for n in range(3)} == {n: told(other.home)[n][1] for n in range(3)}


def test_a_name_with_another_question_is_refused(finished: tuple[Any, dict[str, Any]], space: Path) -> None:
    cli, result = finished

    out = cli.here("run", "--space", str(space), "--name", result["sweep"], "--fold-seed", "7", "--json", code=2)

    assert out == ""
