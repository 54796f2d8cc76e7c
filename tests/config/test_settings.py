"""Where a command runs: option before environment before file before default, and nonsense is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reno_sweeps.config.settings import Settings, gather, masked
from reno_sweeps.records import UserError


def test_the_defaults_are_those_of_the_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "reno-runs"

    assert gather({}, {}) == Settings(
        home=home,
        cache=Path.home() / ".cache/reno-sweeps",
        tracking_uri=f"sqlite:///{home}/mlflow.db",
        storage=f"sqlite:///{home}/studies.db",
    )


def test_the_command_line_wins_then_the_environment_then_the_file(tmp_path: Path) -> None:
    option, variable, file = {"home": "/a"}, {"RENO_HOME": "/b", "RENO_CACHE": "/c"}, {"home": "/d", "cache": "/e"}

    assert gather(option, variable, file).home == Path("/a")
    assert gather({}, variable, file).home == Path("/b")
    assert gather({}, {}, file).home == Path("/d")
    assert gather({"home": None}, variable, file).cache == Path("/c")


def test_every_variable_is_heard() -> None:
    environment = {
        "RENO_HOME": "/h",
        "RENO_CACHE": "/c",
        "RENO_CORPORA": "/corpora",
        "MLFLOW_TRACKING_URI": "http://localhost:5000",
        "XDG_CACHE_HOME": "/x",
    }
    found = gather({}, environment)

    assert (found.home, found.cache, found.corpora) == (Path("/h"), Path("/c"), Path("/corpora"))
    assert (found.tracking_uri, found.storage) == ("http://localhost:5000", "sqlite:////h/studies.db")
    assert gather({}, {"XDG_CACHE_HOME": "/x"}).cache == Path("/x/reno-sweeps")
    assert gather({}, {"XDG_CACHE_HOME": "relative", "RENO_HOME": ""}).cache == Path.home() / ".cache/reno-sweeps"


def test_switches_turn_away_from_their_defaults_only() -> None:
    said = {"download": True, "skip_broken": True, "baselines": False}
    quiet = {"download": False, "skip_broken": False, "baselines": True}  # what a command line without them says

    assert [getattr(gather(said, {}), name) for name in said] == [True, True, False]
    assert [getattr(gather(quiet, {}, said), name) for name in said] == [True, True, False]
    assert [getattr(gather(quiet, {}), name) for name in said] == [False, False, True]


def test_numbers_are_read_from_text_and_auto_is_none() -> None:
    found = gather({"gpus": "2", "cohort": "auto", "max_failed": 3}, {})

    assert (found.gpus, found.cohort, found.max_failed) == (2, None, 3)
    assert gather({"gpus": "auto", "cohort": 8}, {}).cohort == 8


def test_settings_survive_storage_as_json() -> None:
    found = gather({"corpora": "c", "gpus": 1, "name": "x", "ray_address": "head:6379", "experiment": "e"}, {})

    assert Settings.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_relative_database_belongs_to_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert gather({"storage": "sqlite:///my.db"}, {}).storage == f"sqlite:///{tmp_path}/my.db"


def test_a_home_folder_is_found_by_its_tilde() -> None:
    assert gather({"home": "~/runs"}, {}).home == Path.home() / "runs"


def test_passwords_are_not_shown() -> None:
    assert masked("postgresql+psycopg://me:s3cret@host/db") == "postgresql+psycopg://me:***@host/db"
    assert masked("sqlite:////a/b.db") == "sqlite:////a/b.db"
    assert masked("https://host/db?sslPassword=s3cret&x=1&access_token=abc") == (
        "https://host/db?sslPassword=***&x=1&access_token=***"
    )


def test_passwords_in_a_text_are_not_shown_and_the_rest_of_it_is() -> None:
    text = "run:\n  storage: postgresql://me:s3cret@host/db  # mail@example.org\n  tracking_uri: http://host:5000\n"

    assert masked(text) == text.replace("s3cret", "***")
    assert masked("at http://host:5000 and\n by mail@example.org") == "at http://host:5000 and\n by mail@example.org"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "gpu"}, ["--device 'gpu'", "auto, cpu, cuda"]),
        ({"gpus": "many"}, ["--gpus 'many'", "or auto"]),
        ({"gpus": "-1"}, ["--gpus '-1'", "at least 0"]),
        ({"cohort": 0}, ["--cohort '0'", "at least 1"]),
        ({"cohort": True}, ["--cohort 'True'"]),
        ({"max_failed": -1}, ["--max-failed '-1'", "at least 0"]),
        ({"name": "a/b"}, ["--name 'a/b'", "letters"]),
        ({"name": ".."}, ["--name '..'"]),
        ({"experiment": " "}, ["--experiment", "text is expected"]),
        ({"home": "a?b"}, ["--home", "'?'"]),
        ({"tracking_uri": "./mlruns"}, ["--tracking-uri './mlruns'", "sqlite:///FILE.db"]),
        ({"tracking_uri": "file:///mlruns"}, ["--tracking-uri", "http://HOST:PORT"]),
        ({"tracking_uri": "ftp://me:pw@x"}, ["me:***@x"]),
        ({"tracking_uri": "sqlite://"}, ["in memory"]),
        ({"storage": "sqlite:///:memory:"}, ["--storage", "in memory"]),
        ({"storage": "journal.log"}, ["--storage 'journal.log'", "a database"]),
        ({"storage": "postgres://x/y"}, ["Write postgresql://"]),
        ({"ray_address": "ray://head:10001"}, ["ray job submit --address http://head:8265", "head node"]),
        ({"ray_address": "head"}, ["--ray-address 'head'", "HOST:PORT"]),
    ],
)
def test_nonsense_is_refused_by_name(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as refusal:
        gather(options, {})

    said = str(refusal.value)
    assert [word for word in words if word not in said] == []
    assert len(said.splitlines()) <= 3


def test_a_file_where_a_folder_belongs_is_refused_with_who_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UserError, match=r"RENO_HOME .* is a file"):
        gather({}, {"RENO_HOME": str(tmp_path / "file")})
    with pytest.raises(UserError, match=r"run\.cache of the space file .* is a file"):
        gather({}, {}, {"cache": str(tmp_path / "file")})
