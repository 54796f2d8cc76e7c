"""A sweep on three nodes, PostgreSQL and S3-compatible storage: a node dies, one is added, the figures stay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from reno_sweeps.app.stored import load
from reno_sweeps.records import Trial
from tests.backends.postgres import Postgres, free_port
from tests.backends.ray_nodes import RayNodes

pytestmark = [pytest.mark.rough, pytest.mark.timeout(900)]
TRIALS = 12
SPACE = f"""
name: nodes
head: reno
corpus: demo
encoders: [mfcc, log-mel]
search:
  training.lr: {{type: float, low: 1e-4, high: 1e-2, log: true}}
  loss.lambda: {{type: float, low: 0.01, high: 1.0, log: true}}
  attention.heads: {{type: categorical, choices: [1, 2, 4]}}
fixed: {{trunk.kind: linear, training.epochs: 12, training.precision: float64}}
budget: {{trials: {TRIALS}, sampler: random, ahead: 8}}
"""
KEYS = {"AWS_ACCESS_KEY_ID": "reno", "AWS_SECRET_ACCESS_KEY": "a-key-of-tests"}


@pytest.fixture
def bucket(tmp_path: Path, rclone: str) -> Iterator[Mapping[str, str]]:
    """S3-compatible storage; the environment that leads there."""
    (tmp_path / "s3" / "reno").mkdir(parents=True)
    port = free_port()
    words = ["serve", "s3", str(tmp_path / "s3"), "--addr", f"127.0.0.1:{port}", "--auth-key", ",".join(KEYS.values())]
    server = subprocess.Popen([rclone, *words], stderr=subprocess.DEVNULL)
    try:
        place = {"MLFLOW_DEFAULT_ARTIFACT_ROOT": "s3://reno", "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        yield {**KEYS, **place}
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayNodes]:
    """A head and two nodes, a core each."""
    with RayNodes() as nodes:
        nodes.add()
        nodes.add()
        yield nodes


def begin(home: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reno_sweeps.cli", "run", *words, "--no-baselines", "--json"]
    places = {"RENO_HOME": str(home), "RENO_CACHE": str(home.parent / "cache")}
    log = (home.parent / f"{home.name}.err").open("w")
    known = {**os.environ, **places, **environment}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=known)


def end(process: subprocess.Popen[str], home: Path) -> Any:
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, (home.parent / f"{home.name}.err").read_text()
    return json.loads(out)


def figures(trial: Trial) -> list[Any]:
    """Everything that must not depend on where it was trained."""
    return [(s.repeat, s.fold, s.best_epoch, s.epochs, s.validation, s.test) for s in trial.scores]


def test_on_three_nodes_of_which_one_dies_and_one_is_new_the_figures_are_those_of_one_machine(
    cluster: RayNodes, postgres: Postgres, bucket: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("RAY_AUTH")]:
        monkeypatch.delenv(name)
    space = tmp_path / "nodes.yaml"
    space.write_text(SPACE)
    alone, spread = tmp_path / "alone", tmp_path / "spread"
    end(begin(alone, "--space", str(space), "--name", "nodes"), alone)

    stores = {"RENO_STORAGE": postgres.database(), "MLFLOW_TRACKING_URI": postgres.database()}
    words = ("--space", str(space), "--name", "nodes", "--ray-address", cluster.address)
    driver = begin(spread, *words, **stores, **bucket, **cluster.environment)

    def ended() -> int:
        try:
            return sum(trial.ended for trial in load("nodes", spread).trials)
        except Exception:  # noqa: BLE001  # not begun
            return -1

    def until(true: Any) -> None:
        last = time.monotonic() + 300
        while not true() and driver.poll() is None:
            assert time.monotonic() < last
            time.sleep(0.3)

    until(lambda: ended() >= 2)
    cluster.kill(2)
    (one,) = load("nodes", spread).facts["crews"].values()
    assert (one["workers"], len(one["nodes"])) == (3, 3)
    cluster.add()
    until(lambda: driver.poll() is not None)
    result = end(driver, spread)

    said = (tmp_path / "spread.err").read_text()
    assert "the cluster has changed: " in said
    assert not any(word in said for word in (stores["RENO_STORAGE"], *KEYS.values(), cluster.token))
    mine, theirs = load("nodes", alone).trials, load("nodes", spread).trials
    assert [t.proposal for t in theirs] == [t.proposal for t in mine]
    assert [t.state for t in theirs] == ["complete"] * TRIALS
    assert [figures(t) for t in theirs] == [figures(t) for t in mine]
    client = MlflowClient(stores["MLFLOW_TRACKING_URI"])
    runs = client.search_runs([result["experiment_id"]], "tags.`reno.kind` = 'trial'")
    shown = {run.data.tags["reno.key"]: run.data.metrics["val_macro_f1"] for run in runs}
    assert len(runs) == TRIALS
    assert shown == {f"trial {t.number:04d}": pytest.approx(t.objective, abs=1e-12) for t in mine}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert list((tmp_path / "s3" / "reno").rglob("report.html"))
