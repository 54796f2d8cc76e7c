"""What `clean` finds, what it leaves alone, and that nothing goes without a yes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reno_sweeps import cli, cluster
from reno_sweeps.app import cleaning, leftovers, opening
from reno_sweeps.app.cleaning import EMBEDDINGS, FOLDERS, RUNS, WEIGHTS
from reno_sweeps.embeddings import _parcel
from reno_sweeps.embeddings.address import address
from reno_sweeps.embeddings.held import held, key
from reno_sweeps.embeddings.store import Store
from reno_sweeps.files import write_bytes
from reno_sweeps.records import UserError
from reno_sweeps.search import lease
from reno_sweeps.search.ledger import Ledger
from tests.app.small_home import make_home
from tracking.mirror import SCRATCH

DAY = 24 * 3600.0


@pytest.fixture(autouse=True)
def nobodys_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder in which no other Ray of this machine lies."""
    base = tmp_path / "tmp"
    base.mkdir()
    monkeypatch.setattr(cluster, "_base", lambda: base)
    monkeypatch.setattr(tempfile, "tempdir", str(base))
    monkeypatch.setattr(_parcel, "_base", lambda _=None: base)
    return base


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as `make_home` makes it: its study takes longer than most tests."""
    folder = tmp_path_factory.mktemp("template") / "home"
    make_home(folder, cache=folder.parent / "cache")
    return folder


@pytest.fixture
def home(tmp_path: Path, template: Path) -> Path:
    """A home of its own, which was moved here."""
    return Path(shutil.copytree(template, tmp_path / "home"))


def find(home: Path, unused_for: str | None = None) -> dict[str, list[cleaning.Item]]:
    found: dict[str, list[cleaning.Item]] = {}
    for item in cleaning.find({"home": home}, unused_for).items:
        found.setdefault(item.kind, []).append(item)
    return found


def embedded(cache: Path, facts: dict[str, Any], sound: str, *, days: float = 0.0) -> Path:
    """An entry of the cache, last used so many days ago."""
    place = address(sound, facts)
    Store(cache).put(place, np.ones(3, np.float32), {"audio": sound, **facts})
    file = cache / place[:2] / f"{place}.safetensors"
    os.utime(file, (time.time() - days * DAY,) * 2)
    return file


def old(file: Path, content: bytes = b"half", days: float = 2.0) -> Path:
    write_bytes(file, content)
    os.utime(file, (time.time() - days * DAY,) * 2)
    return file


@pytest.fixture
def facts(home: Path) -> dict[str, Any]:
    """Those of an encoder that the home's sweep names."""
    return dict(opening.read_state("small", home)["encoders"]["mfcc"])


def test_a_driver_removes_what_a_killed_one_left_half_written_and_nothing_newer(home: Path) -> None:
    sweep = home / "sweeps" / "small"
    left, newer = sweep / "folds" / ".trial.aaaaaaaa.tmp", sweep / "folds" / ".trial.bbbbbbbb.tmp"
    old(left, days=0.01)
    newer.touch()
    os.utime(newer, (time.time() + 5,) * 2)
    kept = sorted((sweep / "folds").glob("trial-*"))
    leftovers.drop_halves(sweep)

    assert (left.exists(), newer.exists()) == (False, True)
    assert sorted((sweep / "folds").glob("trial-*")) == kept


# --- embeddings ---------------------------------------------------------------------------------------------


def test_embeddings_of_encoders_that_a_sweep_names_stay(home: Path, tmp_path: Path, facts: dict[str, Any]) -> None:
    cache = tmp_path / "cache"
    named = embedded(cache, facts, "a", days=99)
    strangers = [embedded(cache, {**facts, "code": code}, "a", days=days) for code, days in (("x", 2), ("y", 50))]

    items = find(home)[EMBEDDINGS]

    assert [item.paths for item in items] == [(strangers[1],), (strangers[0],)]  # the longest unused first
    assert [item.bytes for item in items] == [file.stat().st_size for file in reversed(strangers)]
    assert [item.paths for item in find(home, "30d")[EMBEDDINGS]] == [(strangers[1],)]
    said = cleaning.remove(cleaning.find({"home": home}))
    assert (said["removed"], named.exists(), [file.exists() for file in strangers]) == (True, True, [False, False])


def test_only_files_that_a_cache_writes_are_its_entries(home: Path, tmp_path: Path, facts: dict[str, Any]) -> None:
    cache = tmp_path / "cache"
    mine = [old(cache / name) for name in ("ab/notes.txt", "ab/x.safetensors", f"{'0' * 64}.safetensors")]
    elsewhere = old(cache / "cd" / f"{'ab' * 32}.safetensors")  # not in its own folder
    (cache / "ef").mkdir()
    (cache / "ef" / f"{'ef' * 32}.safetensors").symlink_to(mine[0])
    damaged = old(cache / "aa" / f"{'aa' * 32}.safetensors", b"\xff" * 40)

    (item,) = find(home)[EMBEDDINGS]

    assert item.paths == (damaged,)
    assert "damaged" in item.what
    assert elsewhere.exists()


def test_looking_does_not_count_as_use(tmp_path: Path, home: Path, facts: dict[str, Any]) -> None:
    file = embedded(tmp_path / "cache", facts, "a", days=40)

    (entries,) = held(tmp_path / "cache").values()

    assert key(entries.facts) == key(facts)
    assert time.time() - file.stat().st_atime > 39 * DAY


# --- what belongs to a home ---------------------------------------------------------------------------------


def test_weights_of_trials_that_are_not_the_best_can_go(home: Path) -> None:
    weights = home / "sweeps" / "small" / "weights"
    assert sorted(p.name for p in weights.iterdir()) == ["refit-0001", "trial-0000", "trial-0001", "trial-0002"]

    (item,) = find(home)[WEIGHTS]
    cleaning.remove(cleaning.find({"home": home}))

    assert [path.name for path in item.paths] == ["trial-0000", "trial-0002"]
    assert sorted(path.name for path in weights.iterdir()) == ["refit-0001", "trial-0001"]
    assert WEIGHTS not in find(home)


def test_weights_inside_outer_folds_can_go_too(tmp_path: Path) -> None:
    make_home(tmp_path / "n", selection="nested")

    (item,) = find(tmp_path / "n")[WEIGHTS]

    inner = [path for path in item.paths if "nested" in path.parts]
    assert [path.name for path in inner] == ["trial-0000", "trial-0002"]


def test_half_written_files_of_yesterday_can_go_and_no_others(home: Path, tmp_path: Path) -> None:
    gone = [
        old(home / "sweeps" / "small" / "folds" / ".trial-0001-r0-f0.safetensors.abc_1234.tmp"),
        old(home / f".mlflow.db.{'0f' * 16}"),
        old(home / f".mlflow.db.{'0f' * 16}-journal"),
        old(tmp_path / "cache" / "aa" / f".{'a' * 40}.abcdefgh.tmp"),
    ]
    stage = home / ".importing-xyz"
    old(stage / "small" / "data.json")
    os.utime(stage, (time.time() - 2 * DAY,) * 2)
    kept = [
        old(home / "sweeps" / "small" / ".young.json.abcdefgh.tmp", days=0.5),
        old(home / "artifacts" / ".users-own.abcdefgh.tmp"),
        old(home / "sweeps" / "small" / "notes.tmp"),
    ]

    cleaning.remove(cleaning.find({"home": home}))

    assert [file.exists() for file in [*gone, stage]] == [False] * 5
    assert all(file.exists() for file in kept)


def test_a_home_that_is_driven_keeps_its_files(home: Path, tmp_path: Path, facts: dict[str, Any]) -> None:
    file = old(home / "sweeps" / ".x.abcdefgh.tmp")
    unused = embedded(tmp_path / "cache", {**facts, "code": "x"}, "a")
    with lease.HomeLock(home) as lock:
        lock.take("small")
        found = cleaning.find({"home": home})
        said = cleaning.remove(found)

    assert {item.kind for item in found.items} == {EMBEDDINGS}
    assert "drives the sweep 'small'" in said["kept"][0]
    assert (file.exists(), unused.exists()) == (True, False)


def test_a_driver_that_began_after_the_question_keeps_its_files(home: Path) -> None:
    found = cleaning.find({"home": home})
    with lease.HomeLock(home) as lock:
        lock.take("small")
        said = cleaning.remove(found)

    assert {item["kind"] for item in said["items"]} <= {EMBEDDINGS, FOLDERS}
    assert (home / "sweeps" / "small" / "weights" / "trial-0000").exists()


def test_a_sweep_whose_lease_is_alive_keeps_its_weights(home: Path) -> None:
    ledger = Ledger(f"sqlite:///{home}/studies.db", "small", direction="maximize")
    ledger.keep("lease", lease.Lease("another", "boot", 1, 1.0, renewed=time.time()).to_dict())

    found = cleaning.find({"home": home})

    assert WEIGHTS not in {item.kind for item in found.items}
    assert found.kept == ("sweep small: it is running",)


def test_a_trial_that_became_the_best_after_the_question_keeps_its_weights(home: Path) -> None:
    found = cleaning.find({"home": home})
    ledger = Ledger(f"sqlite:///{home}/studies.db", "small", direction="maximize")
    ledger.claim(3, 0.0)
    ledger.tell(3, "complete", now=0.0, objective=0.99)
    late = [leftovers.size(list(item.paths)) for item in found.items if item.kind == WEIGHTS]

    said = cleaning.remove(found)

    assert late
    (row,) = [row for row in said["items"] if row["kind"] == WEIGHTS]
    assert row["files"] == 2  # as they were found: trial 1, the best until now, was not among them
    assert (home / "sweeps" / "small" / "weights" / "trial-0001").exists()


# --- MLflow and temporary folders ---------------------------------------------------------------------------


def test_runs_that_were_deleted_go_with_their_artifacts_and_the_others_stay(home: Path) -> None:
    from tracking.store import connect

    client = connect(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")
    experiment = client.create_experiment("mine", str(home / "artifacts" / "mine"))
    runs = [client.create_run(experiment, run_name=name).info for name in ("kept", "deleted", "restored")]
    for run in runs:
        client.log_text(run.run_id, "x" * 100, "notes.txt")
    for run in runs[1:]:
        client.delete_run(run.run_id)
    found = cleaning.find({"home": home})
    client.restore_run(runs[2].run_id)

    said = cleaning.remove(found)

    assert sorted(item.what for item in found.items if item.kind == RUNS) == ["deleted of mine", "restored of mine"]
    assert [row["bytes"] for row in said["items"] if row["kind"] == RUNS] == [100]
    left = {run.info.run_id for run in client.search_runs([experiment], run_view_type=3)}
    assert left == {runs[0].run_id, runs[2].run_id}
    assert [Path(run.artifact_uri).parent.exists() for run in runs] == [True, False, True]


def test_folders_of_drivers_that_live_no_more_can_go(home: Path, nobodys_folders: Path) -> None:
    dead, alive = (nobodys_folders / f"reno-ray-{pid}-x" for pid in (2**22 + 1, os.getpid()))  # Linux: pids end at 2²²
    sent = nobodys_folders / f"{SCRATCH}{2**22 + 1}-x"
    for folder in (dead, alive, sent):
        old(folder / "session.log", b"x" * 10)
    (nobodys_folders / f"reno-ray-{2**22 + 2}-y").symlink_to(alive)

    items = find(home)[FOLDERS]
    cleaning.remove(cleaning.find({"home": home}))

    assert {(item.paths, item.bytes) for item in items} == {((dead,), 10), ((sent,), 10)}
    assert (dead.exists(), sent.exists(), alive.exists()) == (False, False, True)


# --- asking -------------------------------------------------------------------------------------------------


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["clean", *arguments])
    return int(ended.value.code or 0)


def test_without_a_yes_nothing_goes_and_the_line_that_does_it_is_said(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run("--home", str(home), "--unused-for", "30d")

    out, err = capsys.readouterr()
    assert code == 2
    assert "sweep small, trials that are not the best" in out
    assert f"reno-sweep clean --yes --unused-for 30d --home {home}" in err
    assert (home / "sweeps" / "small" / "weights" / "trial-0000").exists()


def test_with_a_yes_it_goes_and_a_second_time_there_is_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--home", str(home), "--yes") == 0
    assert "freed" in capsys.readouterr().out

    assert run("--home", str(home)) == 0
    assert capsys.readouterr().out == "nothing to clean\n"


def test_a_duration_that_is_none_is_refused(home: Path) -> None:
    with pytest.raises(UserError, match="--unused-for 'long'"):
        cleaning.find({"home": home}, "long")


@pytest.mark.parametrize(("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_345_678, "2.3 MB")])
def test_sizes_are_for_people(count: int, shown: str) -> None:
    assert cleaning.size(count) == shown
