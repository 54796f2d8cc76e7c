"""Small real material for the search: a study's storage, and scores of folds that no short decimal can write."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.engine import Engine

from reno_sweeps.records import FoldScore

THIRD = 1 / 3


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Tests kill processes, not machines: what the system was given is there, whether the disk has it or not."""

    def relax(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", relax)
    yield
    event.remove(Engine, "connect", relax)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's storage without a study: making its tables takes longer than most tests."""
    file = tmp_path_factory.mktemp("storage") / "study.db"
    RDBStorage(f"sqlite:///{file}")
    return file


@pytest.fixture
def url(tmp_path: Path, empty: Path) -> str:
    """A storage without a study."""
    shutil.copy(empty, tmp_path / "study.db")
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture
def fold_score() -> Callable[..., FoldScore]:
    """A finished fold."""

    def make(
        fold: int = 0, repeat: int = 0, value: float = THIRD, file: str = "folds/x", sha256: str = ""
    ) -> FoldScore:
        return FoldScore(
            repeat=repeat,
            fold=fold,
            best_epoch=2,
            epochs=3,
            seed=2**62 + 1,
            sizes={"train": 3, "validation": 1, "test": 1},
            validation={"macro_f1": value, "cross_entropy": 5e-324},
            test={"macro_f1": value / 3, "uar": 0.1 + 0.2},
            test_f1=(1.0, None, THIRD),
            test_confusion=((1, 0), (0, 2)),
            curves={"val_macro_f1": (0.1, value, 1e300), "loss": (THIRD,)},
            parameters=12,
            seconds=0.1,
            finished=1.7e9 + THIRD,
            file=file,
            sha256=sha256,
        )

    return make
