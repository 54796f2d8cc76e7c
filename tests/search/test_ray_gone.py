"""A driver whose Ray is killed or has no room ends soon, with a sentence, whatever waited for Ray at that moment."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from reno_sweeps import cluster

pytestmark = pytest.mark.rough

# a process of its own: Ray ends the process that asks a dead one something
DRIVER = """
import numpy as np
from reno_sweeps.records import Key, Model, Split, UserError
from reno_sweeps.search.dispatch import Dispatcher
from reno_sweeps.training.data import Data

data = Data({"a": np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)}, np.arange(60) % 3, tuple("xyz"))
split = Split(tuple(range(36)), tuple(range(36, 48)), tuple(range(48, 60)))
values = {"training.epochs": 100_000, "training.patience": 100_000, "training.batch_size": 13}
try:
    with Dispatcher(data, address=None, device="cpu", gpus=None) as workers:
        print("ready", flush=True)
        workers.send([Model(Key("trial", 0, 0), "linear", ("a",), values, seed=7, split=split)])
        while True:
            if workers.take(0.2):
                print("trains", flush=True)
except UserError as error:
    print(error)
    raise SystemExit(2)
"""


@pytest.mark.parametrize("moment", ["ready", "trains"])  # no worker has begun; one trains
@pytest.mark.parametrize("later", [0.0, 0.7])
def test_a_driver_whose_ray_is_killed_ends_soon_with_the_reason_and_leaves_nothing(moment, later):
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True) as driver:
        try:
            while (line := driver.stdout.readline()).strip() != moment:
                assert line, "it ended before"
            time.sleep(later)
            for process in psutil.Process(driver.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            began = time.monotonic()
            said, _ = driver.communicate(timeout=90)
        finally:
            driver.kill()

    assert driver.returncode == 2, said
    assert said.rpartition("trains\n")[2] == f"{cluster.GONE}\n"
    assert time.monotonic() - began < 40  # Ray itself gives up after 60
    assert not list(Path(tempfile.gettempdir()).glob(f"{cluster.TEMPORARY}{driver.pid}-*"))


def test_embeddings_that_find_no_room_are_said_as_that():
    small = {"RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": "80000000", "RAY_local_fs_capacity_threshold": "0"}
    large = DRIVER.replace("size=(60, 8)", "size=(60, 500_000)")

    driver = subprocess.run(
        [sys.executable, "-c", large], env=os.environ | small, capture_output=True, text=True, timeout=120, check=False
    )

    assert driver.returncode == 2, driver.stderr
    assert driver.stdout.startswith("Ray's object store has no room")
    assert driver.stdout.count("\n") == 2
