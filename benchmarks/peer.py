"""The naive peer, a whole sweep: Ray Tune, one trial a process, folds in turn, an MLflow run per fold, torch.nn.

python benchmarks/peer.py JOB.json FOUND.json

What a competent user writes today, with no library of ours: `sweeps.py` writes the job. Generous where users differ: no
dashboard, data on the device once, batches by index instead of a DataLoader, the loss read once an epoch, all metrics
of an epoch in one call, MLflow's database made before the trials start, one torch thread a trial.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing phones home
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["RAY_AUTH_MODE"] = "token"  # nobody else on the machine is let in
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

import mlflow
import naive
import numpy as np
import ray
import torch
from ray import tune
from ray.tune.search.optuna import OptunaSearch


def trial(config: dict[str, Any], job: dict[str, Any], data: dict[str, np.ndarray]) -> None:
    """One Tune trial: a configuration on all folds, one after another."""
    torch.set_num_threads(1)
    task = task_of(job, data)
    mlflow.set_tracking_uri(job["tracking_uri"])
    mlflow.set_experiment("peer")
    config = config.get("given", config)
    with mlflow.start_run():
        mlflow.log_params(config)
        folds = [train_fold(task, fold, split, config, job) for fold, split in enumerate(job["splits"])]
        objective = float(np.mean([found.scores["val_macro_f1"] for found in folds]))
        mlflow.log_metric("val_macro_f1", objective)
    tune.report(
        {
            "objective": objective,
            "finished": time.time(),
            "training_seconds": sum(found.seconds for found in folds),
            "folds": [vars(found) for found in folds],
            "values": config,
        }
    )


def train_fold(
    task: naive.Task, fold: int, split: dict[str, list[int]], config: dict[str, Any], job: dict[str, Any]
) -> naive.Fitted:
    """One fold in an MLflow run of its own below the trial's."""
    with mlflow.start_run(run_name=f"fold {fold}", nested=True):
        found = naive.fit(
            task,
            split["train"],
            split["validation"],
            config,
            seed=1000 * job["seed"] + fold,  # of dropout; the same in every trial, as ours
            start=start_of(job, fold),
            told=lambda epoch, metrics: mlflow.log_metrics(dict(metrics), step=epoch),
        )
        mlflow.log_metrics({f"best_{name}": value for name, value in found.scores.items()})
        mlflow.log_metric("best_epoch", found.best_epoch)
    return found


def start_of(job: dict[str, Any], fold: int) -> dict[str, np.ndarray]:
    """Initial weights and orders of clips, the same on both sides."""
    with np.load(job["starts"], allow_pickle=False) as found:
        return {name.partition("/")[2]: found[name] for name in found.files if name.startswith(f"{fold}/")}


def task_of(job: dict[str, Any], data: dict[str, np.ndarray]) -> naive.Task:
    """Data on the device."""
    x, y, labels = (torch.from_numpy(data[name].copy()).to(job["device"]) for name in ("x", "y", "labels"))
    return naive.Task(x, y, labels, job["classes"], job["epochs"], job["patience"], job["precision"])


def domain(one: dict[str, Any]) -> Any:
    """A searched parameter in Tune's words."""
    if one["type"] == "categorical":
        return tune.choice(one["choices"])
    return (tune.loguniform if one.get("log") else tune.uniform)(one["low"], one["high"])


def tuner(job: dict[str, Any], data: dict[str, np.ndarray], folder: str) -> tune.Tuner:
    """The given configurations in their order, or Optuna's search."""
    trainable = tune.with_parameters(trial, job=job, data=data)
    share = {"cpu": 1, "gpu": 1 / job["workers"]} if job["device"] == "cuda" else {"cpu": 1}
    if job["configurations"] is not None:
        space, settings = {"given": tune.grid_search(job["configurations"])}, tune.TuneConfig()
    else:
        space = {name: domain(one) for name, one in job["search"].items()}
        search = OptunaSearch(metric="objective", mode="max", seed=job["seed"])
        settings = tune.TuneConfig(search_alg=search, num_samples=job["trials"], metric="objective", mode="max")
    return tune.Tuner(
        tune.with_resources(trainable, share),
        param_space=space,
        tune_config=settings,
        run_config=tune.RunConfig(name="peer", storage_path=folder, verbose=0),
    )


def run(job: dict[str, Any]) -> list[dict[str, Any]]:
    """The sweep; a row a trial, in the order of their ends."""
    with np.load(job["data"], allow_pickle=False) as found:
        data = {name: found[name] for name in ("x", "y", "labels")}
    mlflow.set_tracking_uri(job["tracking_uri"])
    mlflow.set_experiment("peer")  # the database is made here: trials that make it together crash
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as folder:
        ray.init(
            num_cpus=job["workers"] if job["device"] == "cpu" else None,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=folder,
        )
        results = tuner(job, data, f"{folder}/tune").fit()
        ray.shutdown()
    if results.num_errors:
        raise RuntimeError(f"{results.num_errors} of the peer's trials failed: {results.errors[0]}")
    wanted = ("objective", "finished", "training_seconds", "folds", "values")
    rows = [{name: result.metrics[name] for name in wanted} for result in results]
    return sorted(rows, key=lambda row: row["finished"])


def main() -> None:
    """Read the job, write what was found."""
    job = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps({"trials": run(job)}))


if __name__ == "__main__":
    main()
