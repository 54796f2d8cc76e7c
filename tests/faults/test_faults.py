"""Every fault once, at one moment: the sweep goes on, and at its end nothing is lost, repeated or left behind.

`make soak` strikes at random moments, again and again.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.postgres import binaries
from tests.faults.harms import FAULTS
from tests.faults.servers import FarWorld
from tests.faults.suffer import after_a_fold, finish, suffer, undisturbed
from tests.faults.world import Picture, World, cable_is_permitted, disk_is_permitted, write_question

pytestmark = [
    pytest.mark.rough,
    pytest.mark.timeout(1800),  # a fault may wait for several starts of Ray, on a busy machine for minutes
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no Linux: no /proc"),
]
TRIALS = 40
LOCAL = (
    "the clock jumps by an hour", "kill -9 of a worker", "a second driver in the same home", "kill -9 of the driver",
    "a damaged embedding in the cache", "a damaged fold file", "a truncated study", "SIGINT once",
    "kill -9 of all of Ray on a node", "SIGINT twice", "a full disk",
)  # fmt: skip
SERVERS = ("kill -9 of the MLflow server", "kill -9 of PostgreSQL", "a network cut", "kill -9 of the driver")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_question(tmp_path_factory.mktemp("question"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, space: Path) -> Picture:
    """What the sweep finds undisturbed."""
    with World(tmp_path_factory.mktemp("reference"), space, TRIALS) as world:
        return undisturbed(world)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, space: Path) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("local"), space, TRIALS, small_disk=disk_is_permitted()) as world:
        yield world


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, space: Path) -> Iterator[FarWorld]:
    if binaries() is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("PostgreSQL or its driver is not installed")
    if not cable_is_permitted():
        pytest.skip("network namespaces are not permitted here: ip netns add")
    with FarWorld(tmp_path_factory.mktemp("servers"), space, TRIALS) as world:
        yield world


def test_every_fault_is_tried() -> None:
    assert set(FAULTS) == {*LOCAL, *SERVERS}


@pytest.mark.parametrize("name", LOCAL)
def test_a_sweep_on_one_machine_survives(name: str, local: World) -> None:
    if FAULTS[name].small_disk and not local.small_disk:
        pytest.skip("mounting a small disk is not permitted here")

    assert suffer(local, FAULTS[name], random.Random(0), after_a_fold).wrong == []


def test_on_one_machine_everything_holds_at_the_end(local: World, reference: Picture) -> None:
    known = local.told()

    assert finish(local, reference, known) == []


@pytest.mark.parametrize("name", SERVERS)
def test_a_sweep_on_servers_survives(name: str, servers: FarWorld) -> None:
    assert suffer(servers, FAULTS[name], random.Random(0), after_a_fold).wrong == []


def test_on_servers_everything_holds_at_the_end(servers: FarWorld, reference: Picture) -> None:
    known = servers.told()

    assert finish(servers, reference, known) == []
