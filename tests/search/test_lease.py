"""Leases end with their driver, and a home's lock with its process: real processes, killed and waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from reno_sweeps.records import UserError
from reno_sweeps.search import lease
from reno_sweeps.search.lease import LASTS, HomeLock, Lease, own

HOLD = """
import sys, time
from pathlib import Path
from reno_sweeps.search.lease import HomeLock
with HomeLock(Path(sys.argv[1])) as lock:
    lock.take("theirs")
    print("taken", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has taken the lock of this home."""
    root = str(Path(lease.__file__).parents[2])
    started = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert started.stdout.readline() == "taken\n"
    yield started
    started.kill()
    started.wait()


def test_a_second_driver_in_a_home_is_refused_with_who_holds_it(holder, tmp_path):
    with pytest.raises(UserError, match=f"in use: process {holder.pid} drives the sweep 'theirs' there\nwait"):
        HomeLock(tmp_path).take("ours")


def test_a_killed_holder_frees_the_lock(holder, tmp_path):
    holder.kill()
    holder.wait()
    with HomeLock(tmp_path) as lock:
        lock.take("ours")

        assert f'"pid": {os.getpid()}' in (tmp_path / "driver.lock").read_text()


def test_a_released_lock_can_be_taken_again_and_names_nobody(tmp_path):
    for _ in range(2):
        with HomeLock(tmp_path / "home") as lock:
            lock.take("ours")

    assert (tmp_path / "home" / "driver.lock").read_text() == ""


def test_releasing_what_was_never_taken_does_nothing(tmp_path):
    HomeLock(tmp_path / "home").release()

    assert not (tmp_path / "home").exists()


def test_one_process_cannot_take_a_home_twice(tmp_path):
    with HomeLock(tmp_path) as lock:
        lock.take("ours")
        with pytest.raises(UserError, match="in use"):
            HomeLock(tmp_path).take("ours too")


def test_different_homes_do_not_mind_each_other(tmp_path):
    with HomeLock(tmp_path / "a") as one, HomeLock(tmp_path / "b") as other:
        one.take("a")
        other.take("b")


# --- leases ---


def test_our_own_lease_is_alive_however_old_it_is():
    assert own(0.0).alive(now=1e12)
    assert own(1.0).same_driver(own(2.0))


def test_a_lease_ends_with_its_process():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    theirs = replace(own(time.time()), pid=process.pid, born=lease._born(process.pid))
    assert theirs.alive(time.time())
    assert not theirs.same_driver(own(time.time()))

    process.kill()
    while Path(f"/proc/{process.pid}/stat").read_text().split()[2] != "Z":  # killed, not waited for: a zombie
        time.sleep(0.01)
    assert not theirs.alive(time.time())
    process.wait()
    assert not theirs.alive(time.time())


def test_a_number_that_another_process_has_now_is_not_the_driver():
    assert not replace(own(time.time()), born=own(0.0).born - 1).alive(time.time())


def test_a_machine_that_was_started_again_has_none_of_its_drivers():
    before = replace(own(1000.0), boot="before")

    assert before.alive(1000.0 + LASTS - 1)  # it may be another container of this name
    assert not before.alive(1000.0 + LASTS)


def test_another_host_is_alive_while_it_renews():
    theirs = Lease("another", "boot", os.getpid(), own(0.0).born, renewed=1000.0)

    assert theirs.alive(1000.0 + LASTS - 0.1)
    assert not theirs.alive(1000.0 + LASTS)


def test_a_lease_is_read_back_equal():
    mine = own(time.time())

    assert Lease(**mine.to_dict()) == mine
