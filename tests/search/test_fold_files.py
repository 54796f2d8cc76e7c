"""Files of folds: what the ledger names is there, whole, and nothing else stays."""

from __future__ import annotations

import dataclasses
import hashlib
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from reno_sweeps.records import FoldResult, Key, Split, UserError
from reno_sweeps.search.fold_files import FoldFiles

SPLIT = Split((0, 1, 2), (70000, 3), (5,))


def result(**changes) -> FoldResult:
    """A finished fold with arrays."""
    known = {
        "best_epoch": 2,
        "epochs": 3,
        "seed": 5,
        "sizes": {"train": 3, "validation": 2, "test": 1},
        "validation": {"macro_f1": 1 / 3},
        "test": {"macro_f1": 0.25},
        "test_f1": (0.5, None),
        "test_confusion": ((1, 0), (0, 0)),
        "curves": {"val_macro_f1": (0.1, 1 / 3)},
        "parameters": 12,
        "seconds": 1.5,
        "finished": 1.7e9,
        "validation_probabilities": np.array([[0.1, 0.9], [0.25, 0.75]], dtype=np.float32),
        "test_probabilities": np.array([[0.5, 0.5]], dtype=np.float32),
        "weights": {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "mean": np.zeros(2)},
    }
    return FoldResult(**{**known, **changes})


@pytest.fixture
def files(tmp_path) -> FoldFiles:
    return FoldFiles(tmp_path)


def names(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_arrays_are_read_back_with_the_rows_they_belong_to(files):
    arrays = files.read(files.write(Key("trial 17", 1, 2), result(), SPLIT))

    assert arrays["validation_rows"].tolist() == [70000, 3]
    assert arrays["test_rows"].tolist() == [5]
    assert arrays["validation_probabilities"].dtype == np.float16
    assert np.abs(arrays["validation_probabilities"] - result().validation_probabilities).max() < 1e-3


def test_the_score_names_the_file_by_hash_and_keeps_the_rest_unchanged(files, tmp_path):
    score = files.write(Key("trial 17", 1, 2), result(), SPLIT)

    assert score.file == "folds/trial-0017-r1-f2.safetensors"
    assert score.sha256 == hashlib.sha256((tmp_path / score.file).read_bytes()).hexdigest()
    assert (score.repeat, score.fold, score.validation, score.test_f1) == (1, 2, {"macro_f1": 1 / 3}, (0.5, None))
    assert names(tmp_path) == {score.file, "weights/trial-0017/trial-0017-r1-f2.safetensors"}


def test_weights_are_kept_bit_for_bit_whatever_their_layout(files, tmp_path):
    from safetensors.numpy import load_file

    files.write(Key("trial 17"), result(), SPLIT)
    kept = load_file(tmp_path / "weights/trial-0017/trial-0017-r0-f0.safetensors")

    assert all(np.array_equal(kept[name], array) for name, array in result().weights.items())


def test_the_same_result_written_again_has_the_same_hash(files):
    one, other = (files.write(Key("trial 3"), result(), SPLIT) for _ in range(2))

    assert one == other


def test_without_validation_or_weights_there_is_nothing_of_them(files, tmp_path):
    split = Split(SPLIT.train, (), SPLIT.test)
    score = files.write(Key("refit 3"), result(validation_probabilities=None, weights=None), split)

    assert set(files.read(score)) == {"test_rows", "test_probabilities"}
    assert names(tmp_path) == {"folds/refit-0003-r0-f0.safetensors"}


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[:-1])])
def test_a_lost_or_changed_file_is_not_intact(harm, files, tmp_path):
    score = files.write(Key("trial 3"), result(), SPLIT)
    assert files.intact(score)

    harm(tmp_path / score.file)
    assert not files.intact(score)


def test_only_the_weights_that_are_asked_for_stay(files, tmp_path):
    for owner in ("trial 3", "trial 17", "baseline linear"):
        files.write(Key(owner), result(), SPLIT)
    files.keep_weights_of({"trial 17", "trial 99"})

    assert {place.name for place in (tmp_path / "weights").iterdir()} == {"trial-0017"}
    assert len(list((tmp_path / "folds").iterdir())) == 3


def test_keeping_weights_of_a_sweep_without_any_does_nothing(files, tmp_path):
    files.keep_weights_of({"trial 0"})

    assert names(tmp_path) == set()


@contextmanager
def full_disk(room: int):
    """No file may grow beyond `room` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_nothing_half_written(files, tmp_path):
    before = files.write(Key("trial 3"), result(), SPLIT)
    with full_disk(100), pytest.raises(OSError, match="File too large"):
        files.write(Key("trial 4"), result(), SPLIT)
    with full_disk(100), pytest.raises(OSError, match="File too large"):
        files.write(Key("trial 3"), result(best_epoch=1), SPLIT)

    assert files.intact(before)
    assert not any("0004" in name or "tmp" in name for name in names(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no tensors", (9).to_bytes(8, "little") + b"{}"])
def test_a_damaged_file_is_said_in_words(files, tmp_path, content):
    score = files.write(Key("trial 3"), result(), SPLIT)
    for place in (score.file, "weights/trial-0003/trial-0003-r0-f0.safetensors"):
        (tmp_path / place).write_bytes(content)

    with pytest.raises(UserError, match=r"is damaged .*\nremove it and call reno-sweep resume"):
        files.read(score)
    with pytest.raises(UserError, match="is damaged"):
        files.read_weights("trial 3", score)


@pytest.mark.parametrize("place", ["../other/x.safetensors", "/etc/hostname"])
def test_a_file_outside_the_sweeps_folder_is_not_intact(files, place):
    score = dataclasses.replace(files.write(Key("trial 3"), result(), SPLIT), file=place)

    assert not files.intact(score)
