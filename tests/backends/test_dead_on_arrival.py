"""Workers that die before they begin, as those that Ray sends to a node which it does not know to be lost yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.ray_nodes import RayNodes

pytestmark = pytest.mark.rough

DRIVER = """
import os, sys
from pathlib import Path
import numpy as np
from reno_sweeps import cluster
from reno_sweeps.records import FoldFailed, FoldFinished, Key, Model, Split

def arrived(array, folder, deaths):
    number = len(os.listdir(folder))
    if number < deaths:
        (Path(folder) / str(number)).touch()
        os._exit(1)
    return array

class Deadly(np.ndarray):
    def __reduce__(self):
        return arrived, (np.asarray(self), folder, deaths)

folder, deaths, address = sys.argv[1], int(sys.argv[2]), sys.argv[3] or None
cluster.prepare(address)
from reno_sweeps.search.dispatch import Dispatcher
from reno_sweeps.training.data import Data

array = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32).view(Deadly)
data = Data({"a": array}, np.arange(60) % 3, tuple("xyz"))
split = Split(tuple(range(36)), tuple(range(36, 48)), tuple(range(48, 60)))
values = {"training.epochs": 2, "training.patience": 2, "training.batch_size": 13}
with Dispatcher(data, address=address, device="cpu", gpus=None) as workers:
    workers.send([Model(Key("trial", 0, 0), "linear", ("a",), values, seed=7, split=split)])
    while True:
        for event in workers.take(0.2):
            if isinstance(event, FoldFailed | FoldFinished):
                print(type(event).__name__, getattr(event, "reason", ""))
                raise SystemExit
"""


def ending(folder: Path, deaths: int, address: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", DRIVER, str(folder), str(deaths), address]
    known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")} | environment
    return subprocess.run(words, env=known, capture_output=True, text=True, timeout=240, check=False)


def test_on_a_cluster_they_cost_the_cohort_no_attempt(tmp_path: Path) -> None:
    with RayNodes() as nodes:
        done = ending(tmp_path, 4, nodes.address, **nodes.environment)

    assert done.stdout == "FoldFinished \n", done.stderr
    assert "workers died before they began; others are sought for trial" in done.stderr


def test_on_one_machine_three_are_the_end(tmp_path: Path) -> None:
    done = ending(tmp_path, 4, "")

    assert done.stdout.startswith("FoldFailed its worker process died 3 times"), done.stderr
