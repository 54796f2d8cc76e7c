"""What tracking/mirror.py and reader.py promise, on a real store: one run a key, each point once."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from tracking import names, reader
from tracking.errors import TrackingError
from tracking.rows import Dataset, RunRow, SweepRow
from tracking.writer import Writer

Sweeps, Trials = Callable[..., SweepRow], Callable[..., RunRow]


def test_a_sweep_and_its_trials_are_found_as_they_were_written(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    writer = open_writer()
    data = Dataset("demo", "d" * 64, "demo", profile='{"clips": 240}')
    opened = writer.open_sweep(a_sweep(note="# what was searched", datasets=[data], params={"head": "reno"}))
    writer.write(a_trial(17))
    assert writer.close() == 0

    sweep, trial = reader.runs(uri, "3f9c" * 16)

    assert (sweep["run_id"], sweep["experiment_id"]) == (opened.parent_run_id, opened.experiment_id)
    assert (sweep["kind"], sweep["status"], sweep["params"]) == ("sweep", "RUNNING", {"head": "reno"})
    assert sweep["tags"]["mlflow.note.content"] == "# what was searched"
    assert sweep["datasets"] == [("demo", "d" * 36)]
    assert (trial["name"], trial["tags"]["reno.kind"], trial["status"]) == ("trial 0017", "trial", "FINISHED")
    assert (trial["parent_run_id"], trial["run_id"]) == (opened.parent_run_id, writer.run_id("trial 0017"))
    assert (trial["start_ms"], trial["end_ms"]) == (1_700_000_000_017, 1_700_000_060_000)
    assert trial["params"] == {"renyi.beta": "18.5"}
    history = reader.metric_history(uri, trial["run_id"], "fold_1/val_macro_f1")
    assert [(step, value) for step, value, _ in history] == [(1, 1.1), (2, 1.2), (3, pytest.approx(1.3))]


def test_the_folds_table_is_one_that_mlflow_loads(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # where MLflow's loader looks
    writer = open_writer()
    opened = writer.open_sweep(a_sweep())
    writer.write(a_trial(0, tables={"folds.json": {"fold": [0, 1], "test_uar": [0.5, math.nan]}}))
    writer.close()

    table = MlflowClient(uri).load_table(opened.experiment_id, "folds.json", [writer.run_id("trial 0000")])

    assert list(table["fold"]) == [0, 1]
    assert table["test_uar"][0] == 0.5
    assert math.isnan(table["test_uar"][1])


def test_replaying_a_sweep_changes_nothing(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    for _ in range(3):
        writer = open_writer()
        writer.open_sweep(a_sweep())
        for number in range(3):
            writer.write(a_trial(number))
        assert writer.close() == 0

    found = reader.runs(uri, "3f9c" * 16)

    assert [run["key"] for run in found] == ["sweep", "trial 0000", "trial 0001", "trial 0002"]
    assert len(reader.metric_history(uri, found[1]["run_id"], "fold_0/val_macro_f1")) == 3


def test_an_interrupted_trial_goes_on_in_its_own_run_and_no_point_is_there_twice(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    first = open_writer()
    first.open_sweep(a_sweep())
    first.write(a_trial(0, epochs=2, status="RUNNING", end_ms=None))
    first.drain(30)
    first.write(a_trial(0, epochs=4, status="RUNNING", end_ms=None))
    assert first.close() == 0
    second = open_writer()
    second.open_sweep(a_sweep())
    second.write(a_trial(0, epochs=6))
    assert second.close() == 0

    trials = [run for run in reader.runs(uri, "3f9c" * 16) if run["kind"] == "trial"]

    assert [run["run_id"] for run in trials] == [first.run_id("trial 0000")]
    assert trials[0]["status"] == "FINISHED"
    steps = [step for step, _, _ in reader.metric_history(uri, trials[0]["run_id"], "fold_0/val_macro_f1")]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_trial_that_was_trained_again_has_a_run_with_its_own_points_alone(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    first = a_trial(0)
    later = a_trial(0, metrics=[(name, value, time + 5000, step) for name, value, time, step in first.metrics])
    latest = a_trial(0, metrics=[(name, value, time + 9000, step) for name, value, time, step in first.metrics])
    made = []
    for rows in ([first], [later, latest], [latest]):
        writer = open_writer()
        writer.open_sweep(a_sweep())
        for row in rows:
            writer.write(row)
            assert writer.drain(30) == 0
        writer.close()
        made.append(writer.run_id("trial 0000"))

    _, trial = reader.runs(uri, "3f9c" * 16)

    assert made[0] != made[1] == made[2] == trial["run_id"]
    history = reader.metric_history(uri, trial["run_id"], "fold_0/val_macro_f1")
    assert [(step, time) for step, _, time in history] == [(n, 1_700_000_009_000 + 1000 * n) for n in (1, 2, 3)]


def test_runs_lie_under_the_run_that_their_row_names(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    writer = open_writer()
    writer.open_sweep(a_sweep())
    writer.write(a_trial(0, key="baselines", kind="baselines", metrics=()))
    writer.write(a_trial(1, key="baselines linear", kind="fold", parent="baselines", name="linear"))
    assert writer.close() == 0

    by_key = {run["key"]: run for run in reader.runs(uri, "3f9c" * 16)}

    assert by_key["baselines"]["parent_run_id"] == by_key["sweep"]["run_id"]
    assert by_key["baselines linear"]["parent_run_id"] == by_key["baselines"]["run_id"]
    assert by_key["baselines linear"]["name"] == "linear"


def test_more_than_mlflow_takes_in_a_call_is_written_whole(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    points = [("fold_0/loss", float(step), 1000 + step, step) for step in range(2500)]
    params = {f"p{number}": number for number in range(250)} | {"long": "x" * 9000}
    writer = open_writer()
    writer.open_sweep(a_sweep(note="n" * 20_000))
    writer.write(a_trial(0, metrics=points, params=params, tags={f"t{number}": "v" for number in range(150)}))
    assert writer.close() == 0

    sweep, trial = reader.runs(uri, "3f9c" * 16)

    assert len(reader.metric_history(uri, trial["run_id"], "fold_0/loss")) == 2500
    assert len(trial["params"]) == 251
    assert trial["params"]["long"] == "x" * 5999 + "…"
    assert trial["tags"]["t149"] == "v"
    assert len(sweep["tags"]["mlflow.note.content"]) == 8000
    assert reader.artifact(uri, sweep["run_id"], "note.md") == "n" * 20_000


def test_files_and_texts_are_artifacts_under_the_names_that_the_row_gives(
    open_writer: Callable[[], Writer], home: Path, uri: str, a_sweep: Sweeps, tmp_path: Path
) -> None:
    (tmp_path / "drawn.svg").write_text("<svg/>")
    writer = open_writer()
    writer.open_sweep(a_sweep(texts={"space.yaml": "a: β\n"}, files={"figures/history.svg": tmp_path / "drawn.svg"}))
    writer.close()

    run_id = str(writer.run_id("sweep"))

    assert reader.artifact(uri, run_id, "space.yaml") == "a: β\n"
    assert reader.artifact(uri, run_id, "figures/history.svg") == "<svg/>"
    assert list((home / "artifacts").rglob("history.svg"))


def test_names_that_mlflow_does_not_take_are_made_so_that_it_does(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    writer = open_writer()
    writer.open_sweep(a_sweep())
    writer.write(a_trial(0, metrics=[("test_f1/joy & fun", 0.5, 1, 0), ("/../f1", 0.25, 1, 0)], params={"a=b": 1}))
    assert writer.close() == 0

    trial = reader.runs(uri, "3f9c" * 16)[1]

    assert trial["metrics"] == {"test_f1/joy _ fun": 0.5, "f1": 0.25}
    assert trial["params"] == {"a_b": "1"}


def test_nan_and_infinity_are_points_too_and_once_each(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    points = [("loss", math.nan, 1, 1), ("loss", math.inf, 2, 2)]
    for status in ("RUNNING", "FAILED"):
        writer = open_writer()
        writer.open_sweep(a_sweep())
        writer.write(a_trial(0, metrics=points, status=status))
        assert writer.close() == 0

    history = reader.metric_history(uri, str(writer.run_id("trial 0000")), "loss")

    assert [step for step, _, _ in history] == [1, 2]
    assert math.isnan(history[0][1])


def test_a_run_created_twice_by_an_unanswered_call_counts_once(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    first = open_writer()
    opened = first.open_sweep(a_sweep())
    first.write(a_trial(0))
    first.close()
    tags = {names.SWEEP: "3f9c" * 16, names.KEY: "trial 0000", names.KIND: "trial", names.PARENT: opened.parent_run_id}
    twin = MlflowClient(uri).create_run(opened.experiment_id, 5, tags).info.run_id

    second = open_writer()
    second.open_sweep(a_sweep())
    second.close()

    found = reader.runs(uri, "3f9c" * 16)
    assert [run["run_id"] for run in found if run["kind"] == "trial"] == [first.run_id("trial 0000")]
    marked = MlflowClient(uri).get_run(twin)
    assert (marked.info.status, marked.info.lifecycle_stage) == ("KILLED", "active")
    assert (marked.data.tags["reno.duplicate"], marked.data.tags["reno.kind"]) == ("true", "duplicate")


def test_a_run_deleted_by_hand_is_mirrored_again(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps, a_trial: Trials
) -> None:
    writer = open_writer()
    writer.open_sweep(a_sweep())
    writer.write(a_trial(0, epochs=2, status="RUNNING"))
    writer.drain(30)
    deleted = str(writer.run_id("trial 0000"))
    MlflowClient(uri).delete_run(deleted)
    writer.write(a_trial(0, epochs=3))
    assert writer.close() == 0

    trial = reader.runs(uri, "3f9c" * 16)[1]

    assert trial["run_id"] not in {deleted, None}
    assert len(reader.metric_history(uri, trial["run_id"], "fold_0/val_macro_f1")) == 3


def test_the_ui_has_a_view_with_the_sweeps_columns(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps
) -> None:
    columns = ["metrics.val_macro_f1", "params.renyi.beta"]
    writer = open_writer()
    writer.open_sweep(a_sweep(columns=columns, primary_metric="val_macro_f1"))
    writer.close()

    tags = next(one["tags"] for one in reader.experiments(uri) if one["name"] == "reno/demo")

    view = json.loads(tags["mlflow.sharedViewState.3f9c3f9c3f9c"])
    assert view["selectedColumns"] == ["metrics.`val_macro_f1`", "params.`renyi.beta`"]
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`val_macro_f1`", False)


def test_a_deleted_experiment_is_named_with_the_way_out(
    open_writer: Callable[[], Writer], uri: str, a_sweep: Sweeps
) -> None:
    opened = open_writer().open_sweep(a_sweep())
    MlflowClient(uri).delete_experiment(opened.experiment_id)

    with pytest.raises(TrackingError, match="was deleted in MLflow; restore it"):
        open_writer().open_sweep(a_sweep())


def test_a_fresh_runs_metrics_are_what_mlflow_itself_would_have_written(
    open_writer: Callable[[], Writer], uri: str, home: Path, a_sweep: Sweeps, a_trial: Trials
) -> None:
    """Same values, same latest ones; twice the same point, no numbers, infinities, and a later step given first."""
    points = [("loss", 0.5, 10, 2), ("loss", 0.25, 5, 1), ("loss", 0.75, 10, 2), ("loss", 0.5, 10, 2)]
    points += [("wild", value, 10 + i, 1) for i, value in enumerate((math.inf, -math.inf, math.nan, 1e308))]
    writer = open_writer()
    opened = writer.open_sweep(a_sweep())
    writer.write(a_trial(0, metrics=points))
    assert writer.close() == 0
    client = MlflowClient(uri)
    by_mlflow = client.create_run(opened.experiment_id).info.run_id
    client.log_batch(by_mlflow, [Metric(*point) for point in points])

    assert metrics(home, writer.run_id("trial 0000")) == metrics(home, by_mlflow)
    assert len(metrics(home, by_mlflow)) == 7 + 2


def metrics(home: Path, run_id: str | None) -> list[tuple[object, ...]]:
    """What the store's tables hold of a run."""
    columns = "key, value, timestamp, step, is_nan"
    with sqlite3.connect(home / "mlflow.db") as store:
        return [
            (table, *row)
            for table in ("metrics", "latest_metrics")
            for row in store.execute(f"SELECT {columns} FROM {table} WHERE run_uuid = ? ORDER BY {columns}", [run_id])  # noqa: S608
        ]
