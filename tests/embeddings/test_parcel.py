"""Weights that travel: the same files at the other end, shared there, and gone when nobody needs them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reno_sweeps.embeddings import _parcel
from reno_sweeps.embeddings._parcel import TEMPORARY, Unpacked, pack, sweep


@pytest.fixture
def base(tmp_path):
    (tmp_path / "node").mkdir()
    return tmp_path / "node"


@pytest.fixture
def weights(tmp_path):
    folder = tmp_path / "home" / "wavlm"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "deep" / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "empty").write_bytes(b"")
    return folder


def held(array):
    return np.array(array)  # what an object store gives back for what it was given


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_folder_arrives_where_it_was_not(weights, base):
    before, parcel = contents(weights), pack(weights, held)
    shutil.rmtree(weights)
    there = Unpacked(parcel, held, base)

    assert contents(there.path) == before
    assert there.path.name == "wavlm"
    assert there.path.is_relative_to(base)
    assert there.path.parents[1].stat().st_mode & 0o777 == 0o700


def test_a_file_arrives_with_its_name(weights, base):
    file = weights / "deep" / "model.safetensors"
    before, parcel = file.read_bytes(), pack(file, held)
    file.unlink()
    there = Unpacked(parcel, held, base)

    assert there.path.read_bytes() == before
    assert there.path.name == file.name


def test_the_same_files_at_the_same_place_are_used_as_they_are(weights, base):
    there = Unpacked(pack(weights, held), lambda _: pytest.fail("fetched"), base)

    assert there.path == weights
    assert list(base.iterdir()) == []


@pytest.mark.parametrize("change", [b"other", bytes(range(256)) * 39 + bytes(256)])
def test_other_files_at_the_same_place_are_not_used(weights, base, change):
    parcel = pack(weights, held)
    (weights / "deep" / "model.safetensors").write_bytes(change)

    assert Unpacked(parcel, held, base).path != weights


def test_processes_that_need_the_same_share_one_folder(weights, base):
    fetched = []
    parcel = pack(weights, held)
    shutil.rmtree(weights)

    def fetch(array):
        fetched.append(array.size)
        return array

    with ThreadPoolExecutor(4) as pool:
        there = list(pool.map(lambda _: Unpacked(parcel, fetch, base), range(8)))

    assert len({unpacked.path for unpacked in there}) == 1
    assert len(fetched) == 3


def test_a_folder_stays_while_somebody_uses_it(weights, base):
    parcel = pack(weights, held)
    shutil.rmtree(weights)
    one, two = Unpacked(parcel, held, base), Unpacked(parcel, held, base)
    one.close()

    assert len(sweep(base)) == 1
    assert (two.path / "config.json").exists()
    two.close()
    assert sweep(base) == []
    assert list(base.iterdir()) == []


def test_what_a_killed_process_unpacked_is_removed_by_the_next(weights, base):
    program = (
        "import os, sys, shutil, pathlib, numpy as np; from reno_sweeps.embeddings._parcel import pack, Unpacked;"
        f"parcel = pack(pathlib.Path({str(weights)!r}), np.array); shutil.rmtree({str(weights)!r});"
        f"there = Unpacked(parcel, np.array, pathlib.Path({str(base)!r})); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert len(list(base.glob(f"{TEMPORARY}*/weights"))) == 1

    assert sweep(base) == []
    assert list(base.iterdir()) == []


def test_what_cannot_be_written_leaves_nothing_and_says_why(weights, base):
    parcel = pack(weights, held)
    shutil.rmtree(weights)

    def full(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        Unpacked(parcel, full, base)
    assert sweep(base) == []
    assert list(base.iterdir()) == []


@pytest.mark.parametrize("trap", ["a link", "open to others"])
def test_a_folder_that_somebody_laid_out_is_refused(weights, base, tmp_path, trap):
    parcel = pack(weights, held)
    place = base / f"{_parcel.TEMPORARY}{_parcel.os.getuid()}-{_parcel.digest(dict(parcel.hashes))[:32]}"
    shutil.rmtree(weights)
    (tmp_path / "mine").mkdir()
    if trap == "a link":
        place.symlink_to(tmp_path / "mine")
    else:
        place.mkdir()
        place.chmod(0o777)
    (place / "lock").touch()

    with (place / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # somebody is in it, so it is not swept away
        with pytest.raises(PermissionError, match="a link"):
            Unpacked(parcel, held, base)
    assert [path.name for path in (tmp_path / "mine").iterdir()] in (["lock"], [])


def test_another_user_s_folder_is_refused(weights, base, monkeypatch):
    parcel = pack(weights, held)
    shutil.rmtree(weights)
    monkeypatch.setattr(_parcel.os, "getuid", lambda: os.geteuid() + 1)

    with pytest.raises(PermissionError, match="another user"):
        Unpacked(parcel, held, base)
