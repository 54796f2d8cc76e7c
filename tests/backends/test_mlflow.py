"""MLflow's store on PostgreSQL, with artifacts in a folder or in S3-compatible storage."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.backends.postgres import free_port
from tests.tracking.conftest import a_sweep, a_trial
from tracking import database, reader, store
from tracking.errors import TrackingError
from tracking.mirror import Mirror

__all__ = ["a_sweep", "a_trial"]
pytestmark = pytest.mark.slow
KEYS = ("reno-access-key-0001", "reno-secret-key-0001")


@pytest.fixture(scope="session")
def mlflow_template(postgres, tmp_path_factory) -> str:
    """A database with MLflow's tables: its migrations take many seconds."""
    url = postgres.database()
    database.prepare(url, tmp_path_factory.mktemp("artifacts"))
    return url.rpartition("/")[2]


@pytest.fixture
def uri(postgres, mlflow_template) -> str:
    return postgres.database(mlflow_template)


def ended(uri: str, identity: str) -> list:
    client = MlflowClient(tracking_uri=uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, f"tags.`reno.sweep` = '{identity}'", max_results=100)


def test_two_drivers_mirror_one_sweep_into_one_run_a_trial(uri, tmp_path, a_sweep, a_trial):
    sweep = a_sweep()
    one, other = Mirror(uri, tmp_path / "a"), Mirror(uri, tmp_path / "b")
    places = [mirror.open(sweep) for mirror in (one, other)]
    for number in range(4):
        (one, other)[number % 2].write(a_trial(number))
    for mirror in (one, other):  # at the end each brings up to date what the other wrote
        for number in range(4):
            mirror.write(a_trial(number))
    runs = ended(uri, sweep.identity)

    assert places[0] == places[1]
    assert len(runs) == 5
    assert {run.info.status for run in runs} == {"RUNNING", "FINISHED"}
    assert sum("fold_0/val_macro_f1" in run.data.metrics for run in runs) == 4


def test_artifacts_go_to_the_home_and_nothing_to_the_current_folder(uri, tmp_path, a_sweep, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Mirror(uri, tmp_path / "home" / "artifacts").open(a_sweep(note="x" * 9000))

    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_an_empty_database_is_made_once_by_three_that_come_at_once(postgres, tmp_path):
    url = postgres.database()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: database.prepare(url, tmp_path), range(3)))

    assert reader.experiments(url)


def test_an_older_schema_is_refused_with_the_command_and_not_migrated(uri, postgres, tmp_path):
    name = uri.rpartition("/")[2]
    postgres.sql("UPDATE alembic_version SET version_num = '451aebb31d03'", name)  # MLflow's first revision
    postgres.sql("DROP TABLE latest_metrics", name)
    with pytest.raises(TrackingError, match=r"older MLflow \(451aebb31d03\); .*mlflow db upgrade post") as refusal:
        store.connect(uri, tmp_path)

    assert "p%40ss" not in str(refusal.value)
    assert postgres.sql("SELECT to_regclass('latest_metrics')", name) == [(None,)]


def test_optunas_database_is_no_store(url, tmp_path):
    with pytest.raises(TrackingError, match=r"no MLflow's known here; .*a database of its own"):
        store.connect(url, tmp_path)


def test_a_wrong_password_is_said_in_one_line_without_it(uri, tmp_path):
    with pytest.raises(TrackingError, match="password authentication failed") as refusal:
        store.connect(uri.replace("a%20p", "b%20p"), tmp_path)

    assert "p%40ss" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.fixture
def bucket(rclone, tmp_path, monkeypatch) -> str:
    """An S3-compatible server of one's own, and a bucket in it."""
    if importlib.util.find_spec("boto3") is None:
        pytest.skip('boto3 is not installed: pip install "reno-sweeps[s3]"')
    import boto3

    (tmp_path / "s3").mkdir()
    port = free_port()
    keys = ["--auth-key", ",".join(KEYS)]
    command = [rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", *keys, "--config", os.devnull]
    server = subprocess.Popen([*command, str(tmp_path / "s3")], stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    for name, value in {
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEYS[0],
        "AWS_SECRET_ACCESS_KEY": KEYS[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        database.ARTIFACTS: "s3://mlflow/reno",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=endpoint)
    for _ in range(100):
        try:
            client.create_bucket(Bucket="mlflow")
            break
        except Exception:  # noqa: BLE001 - until it answers, whatever it says
            time.sleep(0.2)
    yield str(tmp_path / "s3" / "mlflow")
    server.kill()
    server.wait()


def test_artifacts_go_to_s3_where_that_is_asked(bucket, uri, tmp_path, a_sweep):
    place = Mirror(uri, tmp_path / "home").open(a_sweep(texts={"space.yaml": "name: x\n"}))
    stored = list(Path(bucket).rglob("space.yaml"))

    assert MlflowClient(tracking_uri=uri).get_experiment(place.experiment_id).artifact_location.startswith("s3://")
    assert [path.read_text() for path in stored] == ["name: x\n"]
    assert not (tmp_path / "home").exists()


def test_artifacts_in_s3_without_boto3_are_refused_with_what_to_install(uri, tmp_path, monkeypatch):
    monkeypatch.setenv(database.ARTIFACTS, "s3://bucket/place")
    monkeypatch.setattr(database, "find_spec", lambda name: None if name == "boto3" else importlib.util.find_spec(name))

    with pytest.raises(TrackingError, match=r'pip install "reno-sweeps\[s3\]"'):
        store.connect(uri, tmp_path)
