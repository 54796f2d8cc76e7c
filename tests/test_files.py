"""A file is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from reno_sweeps import files


def test_a_written_file_is_all_there_and_alone(tmp_path):
    files.write_bytes(tmp_path / "new" / "a.bin", b"whole")

    assert (tmp_path / "new" / "a.bin").read_bytes() == b"whole"
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.bin"]


def test_an_error_midway_leaves_the_old_file_and_no_other(tmp_path):
    files.write_bytes(tmp_path / "a.bin", b"old")

    with pytest.raises(OSError, match="No space left"), files.replacing(tmp_path / "a.bin") as temporary:
        fill_the_disk(temporary)

    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def fill_the_disk(file: Path) -> None:
    file.write_bytes(b"ha")
    raise OSError(28, "No space left on device")


def test_two_writers_of_one_file_never_share_a_temporary_one(tmp_path):
    with files.replacing(tmp_path / "a.bin") as first, files.replacing(tmp_path / "a.bin") as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")

    assert first != second
    assert (tmp_path / "a.bin").read_bytes() == b"first"  # the outer one ended last


def test_a_private_file_is_never_open_to_others(tmp_path):
    with files.replacing(tmp_path / "secret", private=True) as temporary:
        temporary.write_bytes(b"x")
        before = temporary.stat().st_mode & 0o777

    assert (before, (tmp_path / "secret").stat().st_mode & 0o777) == (0o600, 0o600)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5_000, "{", b"\xff"])
def test_json_that_others_wrote_is_a_value_or_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011  # json's own words
        files.parsed(text)
