"""Two drivers continue one sweep on PostgreSQL: no trial is lost or trained twice, whoever of them is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from reno_sweeps.search import storage
from tests.search.pretend import Pretend, a_plan
from tests.search.test_driver import drive, opened, picture

pytestmark = pytest.mark.slow
ROOT = str(Path(storage.__file__).parents[2])
BUDGET = {"trials": 64}
PATIENCE = 900  # seconds that a driver has: on a busy machine it is starved

DRIVER = """
import json, sys, time
from pathlib import Path
from reno_sweeps.records import FoldFinished
from tests.search.pretend import Pretend, a_plan
from tests.search.test_driver import Heard, drive

url, home, seed, budget = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])

class Slow(Pretend):
    def take(self, wait):
        time.sleep(0.05)
        news = super().take(wait)
        for event in news:
            if isinstance(event, FoldFinished):
                print("fold", event.key.owner, event.key.fold, flush=True)
        return news

class Telling(Heard):
    def trial(self, trial):
        print(trial.state, "trial", trial.number, flush=True)

    def elsewhere(self, trial):
        print("elsewhere", "trial", trial.number, flush=True)

print("up", flush=True)
finished, *_ = drive(url, a_plan(home, ahead=8, budget=budget), Slow(2, seed), listener=Telling())
print("end" if finished else "cut", flush=True)
"""


def started(url: str, home: Path, seed: int, log: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", DRIVER, url, str(home), str(seed), json.dumps(BUDGET)]
    return subprocess.Popen(command, stdout=log.open("w"), env=environment)


def said(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()]


def ends(log: Path) -> list[int]:
    """The trials that a driver told."""
    return [int(words[2]) for words in said(log) if words[0] in {"complete", "failed", "pruned"}]


def wait_until(true, seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def straight(tmp_path_factory) -> list[tuple]:
    """What one driver finds, on a file of its own."""
    folder = tmp_path_factory.mktemp("straight")
    url = f"sqlite:///{folder}/study.db"
    plan = a_plan(folder, ahead=8, budget=BUDGET)
    drive(url, plan, Pretend(capacity=1))
    return picture(url, plan)


@pytest.mark.timeout(2 * PATIENCE)
def test_two_drivers_share_64_trials_and_find_what_one_finds(url, tmp_path, straight):
    logs = [tmp_path / f"log{number}" for number in range(2)]
    drivers = [started(url, tmp_path / f"home{n}", n, log) for n, log in enumerate(logs)]
    assert [driver.wait(PATIENCE) for driver in drivers] == [0, 0]
    told = [ends(log) for log in logs]

    assert picture(url, a_plan(tmp_path, ahead=8, budget=BUDGET)) == straight
    assert sorted(told[0] + told[1]) == list(range(64))
    assert all(told)
    folds = Counter(tuple(words[1:]) for log in logs for words in said(log) if words[0] == "fold")
    assert set(folds.values()) == {1}


@pytest.mark.rough
@pytest.mark.timeout(2 * PATIENCE)
def test_a_driver_that_is_killed_leaves_its_trials_to_the_other(url, tmp_path, straight):
    logs = [tmp_path / f"log{number}" for number in range(2)]
    drivers = [started(url, tmp_path / f"home{n}", n, log) for n, log in enumerate(logs)]
    wait_until(lambda: len(ends(logs[0])) > 8)
    drivers[0].send_signal(signal.SIGKILL)
    drivers[0].wait()
    before = {t.number for t in opened(url, a_plan(tmp_path, ahead=8, budget=BUDGET)).trials if t.ended}

    assert drivers[1].wait(PATIENCE) == 0
    assert said(logs[1])[-1] == ["end"]
    assert picture(url, a_plan(tmp_path, ahead=8, budget=BUDGET)) == straight
    assert set(ends(logs[0])) <= before
    assert not set(ends(logs[0])) & set(ends(logs[1]))
    trials = opened(url, a_plan(tmp_path, ahead=8, budget=BUDGET)).trials
    assert all(trial.ended for trial in trials)
    assert len(trials) == 64
