"""Hostile archives: every trick is refused in one line before anything is written."""

from __future__ import annotations

import io
import shutil
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reno_sweeps.corpora._unpack import Limits, unpack
from reno_sweeps.records import UserError
from tests.corpora.site import zipped

TIGHT = Limits(members=5, total=10_000, ratio=10, harmless=100)


def archive(folder: Path, content: bytes) -> Path:
    (folder / "a.zip").write_bytes(content)
    return folder / "a.zip"


def refused(file: Path, folder: Path, limits: Limits | None = None) -> str:
    with pytest.raises(UserError) as refusal:
        unpack(file, folder, limits=limits)
    assert len(str(refusal.value).splitlines()) <= 3
    return str(refusal.value)


def patched(content: bytes, flag: int) -> bytes:
    """The archive with a flag set in every header of its members."""
    out = bytearray(content)
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = out.find(magic)
        while at >= 0:
            out[at + place] |= flag
            at = out.find(magic, at + 4)
    return bytes(out)


def test_files_come_out_as_they_went_in(tmp_path):
    files = {"a/b/c.wav": b"abc" * 1000, "a/d.wav": b"", "läuten.wav": b"x", "./e//f.wav": b"e"}
    file = archive(tmp_path, zipped(files, zipfile.ZIP_DEFLATED))
    heard = []

    count = unpack(file, tmp_path / "out", lambda done, total: heard.append((done, total)))

    assert count == 4
    assert (tmp_path / "out/a/b/c.wav").read_bytes() == b"abc" * 1000
    assert (tmp_path / "out/e/f.wav").read_bytes() == b"e"
    assert heard[-1] == (3002, 3002)


def test_folders_written_with_backslashes_are_folders(tmp_path):
    unpack(archive(tmp_path, zipped({"Audio\\actor_1\\x.wav": b"x"})), tmp_path / "out")

    assert (tmp_path / "out/Audio/actor_1/x.wav").is_file()


def test_packaging_and_hidden_files_stay_inside(tmp_path):
    files = {"a.wav": b"x", "__MACOSX/._a.wav": b"x", ".DS_Store": b"x", "b/._c.wav": b"x"}

    assert unpack(archive(tmp_path, zipped(files)), tmp_path / "out") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    "name",
    ["../x.wav", "a/../../x.wav", "/etc/x.wav", "C:/x.wav", "c:x.wav", "..\\x.wav", "\\x.wav", "//host/x.wav", "a/.."],
)
def test_no_path_leaves_the_folder(tmp_path, name):
    file = archive(tmp_path, zipped({"fine.wav": b"x", name: b"x"}))

    assert "leaves the folder; nothing was unpacked" in refused(file, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@given(parts=st.lists(st.sampled_from(["..", ".", "", "a", "b", "C:", "\\", "/"]), min_size=1, max_size=6))
def test_whatever_the_name_everything_lies_in_the_folder(tmp_path_factory, parts):
    here = tmp_path_factory.mktemp("any")
    file = archive(here, zipped({"/".join(parts) or "x": b"x", "fine.wav": b"x"}))

    try:
        unpack(file, here / "out")
    except UserError:
        assert not (here / "out").exists()
    assert {path.name for path in here.iterdir()} <= {"a.zip", "out"}
    shutil.rmtree(here)


def test_an_entry_for_the_folder_itself_is_fine(tmp_path):
    assert unpack(archive(tmp_path, zipped({"./": b"", "a/": b"", "a/x.wav": b"x"})), tmp_path / "out") == 1


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path, kind):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        info = zipfile.ZipInfo("link.wav")
        info.external_attr = (kind | 0o777) << 16
        target.writestr(info, "/etc/passwd")

    assert "is a link or a device" in refused(archive(tmp_path, out.getvalue()), tmp_path / "out")


def test_an_encrypted_archive_is_refused(tmp_path):
    file = archive(tmp_path, patched(zipped({"a.wav": b"x"}), 0x1))

    assert "is encrypted" in refused(file, tmp_path / "out")


def test_control_characters_are_refused(tmp_path):
    assert "control characters" in refused(archive(tmp_path, zipped({"a\nb.wav": b"x"})), tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        target.writestr("a.wav", "x")
        target.writestr("a.wav", "y")

    assert "two members are named" in refused(archive(tmp_path, out.getvalue()), tmp_path / "out")


def test_too_many_members_are_refused(tmp_path):
    file = archive(tmp_path, zipped({f"{n}.wav": b"" for n in range(6)}))

    assert "6 members, more than the 5" in refused(file, tmp_path / "out", TIGHT)


def test_too_much_is_refused(tmp_path):
    file = archive(tmp_path, zipped({"a.wav": b"x" * 10_001}))

    assert "10001 bytes in" in refused(file, tmp_path / "out", TIGHT)


def test_a_bomb_is_refused_and_small_silence_is_not(tmp_path):
    bomb = archive(tmp_path, zipped({"a.wav": bytes(9_000)}, zipfile.ZIP_DEFLATED))

    assert "is no corpus; nothing was unpacked" in refused(bomb, tmp_path / "out", TIGHT)
    assert unpack(bomb, tmp_path / "out") == 1


def test_a_member_that_is_longer_than_it_says_is_refused(tmp_path):
    content = bytearray(zipped({"a.wav": b"x" * 5000}, zipfile.ZIP_DEFLATED))
    at = content.find(b"PK\x01\x02")
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")

    assert "is damaged" in refused(archive(tmp_path, bytes(content)), tmp_path / "out")
    assert sum(file.stat().st_size for file in (tmp_path / "out").rglob("*")) <= 10


def test_a_changed_byte_is_found(tmp_path):
    content = zipped({"a.wav": b"abcdefgh" * 100})

    assert "is damaged (Bad CRC-32" in refused(archive(tmp_path, content.replace(b"h", b"i", 1)), tmp_path / "out")


@pytest.mark.parametrize("cut", [10, 500, 900])
def test_a_truncated_archive_is_refused(tmp_path, cut):
    content = zipped({"a.wav": b"abcdefgh" * 100})

    assert "no zip archive, or a damaged one" in refused(archive(tmp_path, content[:cut]), tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"<html>please log in</html>"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    assert "no zip archive" in refused(archive(tmp_path, content), tmp_path / "out")


def test_an_unknown_compression_is_refused(tmp_path):
    content = bytearray(zipped({"a.wav": b"abc"}))
    for magic, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.find(magic) + place] = 99

    assert "packed in a way that corpora do not use" in refused(archive(tmp_path, bytes(content)), tmp_path / "out")


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(METHODS), changes=st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 255)), max_size=4)
)
def test_whatever_is_damaged_is_said_in_words(tmp_path, method, changes):
    content = bytearray(zipped({"a/ü.wav": bytes(range(256)), "b.wav": b"hello" * 50}, method))
    for place, byte in changes:
        content[int(place * len(content))] = byte

    said = ""
    try:
        unpack(archive(tmp_path, bytes(content)), tmp_path / "out")
    except UserError as refusal:
        said = str(refusal)
    shutil.rmtree(tmp_path / "out", ignore_errors=True)

    assert len(said.splitlines()) <= 3
    assert len(said) < 500


@pytest.mark.parametrize(("magic", "place"), [(b"PK\x01\x02", 6), (b"BZh9", 8), (b"PK\x01\x02", 45)])
def test_versions_streams_and_places_from_nowhere_are_said_in_words(tmp_path, magic, place):
    content = bytearray(zipped({"a.wav": b"hello" * 50}, zipfile.ZIP_BZIP2))
    content[content.find(magic) + place] = 255

    assert "a.zip: " in refused(archive(tmp_path, bytes(content)), tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["d/" * 17 + "a.wav", "a" * 252 + ".wav", "ä" * 126 + ".wav", ("d" * 200 + "/") * 5 + "a.wav", "d/" * 3000]
)
def test_names_that_no_disk_takes_are_refused(tmp_path, name):
    said = refused(archive(tmp_path, zipped({"fine.wav": b"x", name: b"x"})), tmp_path / "out")

    assert "has too long a name; nothing was unpacked" in said
    assert len(said) < 250
    assert not (tmp_path / "out").exists()


def test_names_that_a_disk_just_takes_are_not_refused(tmp_path):
    files = {"d/" * 16 + "a.wav": b"x", "a" * 251 + ".wav": b"x"}

    assert unpack(archive(tmp_path, zipped(files)), tmp_path / "out") == 2


def test_too_many_folders_are_refused(tmp_path):
    file = archive(tmp_path, zipped({f"{n}/{n}/{n}.wav": b"x" for n in range(3)}))

    assert "6 folders, more than the 5" in refused(file, tmp_path / "out", TIGHT)


def test_a_file_that_is_a_folder_too_is_refused(tmp_path):
    file = archive(tmp_path, zipped({"a/b.wav": b"x", "a/b.wav/c.wav": b"x"}))

    assert "'a/b.wav' is a file and a folder; nothing was unpacked" in refused(file, tmp_path / "out")


def test_a_list_of_members_beyond_all_measure_is_not_read(tmp_path):
    file = archive(tmp_path, zipped({f"{n}.wav": b"" for n in range(100)}))

    assert "bytes of member names" in refused(file, tmp_path / "out", Limits(table=5_000))
    assert unpack(file, tmp_path / "out", limits=Limits(table=5_300)) == 100


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path, monkeypatch):
    file = archive(tmp_path, zipped({"a.wav": b"abc"}))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))

    assert "0.00 GB free in" in refused(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_packing_whose_tables_alone_take_gigabytes_is_refused(tmp_path):
    file = archive(tmp_path, zipped({"a.wav": b"x" * 100}, zipfile.ZIP_LZMA))

    assert "packed in a way that corpora do not use" in refused(file, tmp_path / "out")
