"""Fetching a corpus over a real connection: resumed, checked, put in place whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest

from reno_sweeps.corpora import _web, jnv, vivae
from reno_sweeps.corpora._fetch import already_there, fetch
from reno_sweeps.records import UserError
from tests.corpora.site import certificate, serve, zipped

QUICK = (0.0, 0.0, 0.0)  # seconds between attempts


def refused(*arguments, **options) -> str:
    with pytest.raises(UserError) as refusal:
        fetch(*arguments, pauses=QUICK, **options)
    assert len(str(refusal.value).splitlines()) <= 3
    return str(refusal.value)


def kept(root: Path) -> int:
    """Bytes of a download that wait beside `root`."""
    return sum(part.stat().st_size for part in root.parent.glob(f".{root.name}.fetch/*.part"))


def test_a_corpus_comes_whole_and_leaves_nothing_beside_it(site, tmp_path):
    root = tmp_path / "new" / "vivae"
    said = []

    came = fetch(vivae, root, base=site.base, say=said.append)

    assert came.corpus.clips == vivae.read(vivae.miniature(tmp_path / "mini")).clips
    assert (came.bytes, came.sha256) == (len(site.archive), hashlib.sha256(site.archive).hexdigest())
    assert came.licence == "cc-by-nc-4.0"
    assert list(root.parent.iterdir()) == [root]
    assert site.asked[0][0] == "/api/records/4066235"
    assert any("MB/s" in line for line in said)
    assert any("md5 as its record says" in line for line in said)


def test_an_empty_folder_may_be_given(site, tmp_path):
    (tmp_path / "vivae").mkdir()

    assert fetch(vivae, tmp_path / "vivae", base=site.base).corpus.root == tmp_path / "vivae" / "VIVAE"


def test_dropped_connections_are_resumed_where_they_broke(site, tmp_path):
    site.drops = [1000, 0, 5000]

    fetch(vivae, tmp_path / "vivae", base=site.base, pauses=QUICK)

    assert site.downloads == [None, "bytes=1000-", "bytes=1000-", "bytes=6000-"]


def test_any_number_of_drops_is_survived_while_something_new_comes(site, tmp_path):
    site.drops = [10_000] * 10

    assert fetch(vivae, tmp_path / "vivae", base=site.base, pauses=QUICK).bytes == len(site.archive)


def test_a_server_that_cannot_resume_sends_all_again(site, tmp_path):
    site.ranges, site.drops = False, [1000]
    said = []

    fetch(vivae, tmp_path / "vivae", base=site.base, pauses=QUICK, say=said.append)

    assert site.downloads == [None, "bytes=1000-"]
    assert any("cannot resume" in line for line in said)


def test_a_server_that_cannot_resume_and_always_breaks_is_given_up(site, tmp_path):
    site.ranges, site.drops = False, [1000] * 100

    said = refused(vivae, tmp_path / "vivae", base=site.base)

    assert "the connection ended after 0.0 MB" in said
    assert len(site.downloads) == 1 + len(QUICK)


def test_what_came_before_giving_up_is_kept_for_the_next_call(site, tmp_path):
    root = tmp_path / "vivae"
    site.drops = [70_000, 0, 0, 0, 0]

    said = refused(vivae, root, base=site.base)
    waiting = kept(root)
    fetch(vivae, root, base=site.base)

    assert "0.1 MB are kept: the same command goes on from there" in said
    assert waiting == 70_000
    assert site.downloads[-1] == "bytes=70000-"
    assert list(tmp_path.iterdir()) == [root]


def test_a_whole_download_is_not_asked_for_again(site, tmp_path):
    work = tmp_path / ".vivae.fetch"
    work.mkdir()
    (work / "VIVAE.zip.part").write_bytes(site.archive)

    fetch(vivae, tmp_path / "vivae", base=site.base)

    assert site.downloads == []


def test_a_longer_part_than_the_archive_is_begun_anew(site, tmp_path):
    work = tmp_path / ".vivae.fetch"
    work.mkdir()
    (work / "VIVAE.zip.part").write_bytes(site.archive + b"more")

    fetch(vivae, tmp_path / "vivae", base=site.base)

    assert site.downloads == [None]


def test_leftovers_of_a_killed_call_are_cleaned(site, tmp_path):
    half = tmp_path / ".vivae.fetch" / "unpacked" / "VIVAE"
    half.mkdir(parents=True)
    (half / "half.wav").write_text("half")

    fetch(vivae, tmp_path / "vivae", base=site.base)

    assert [path.name for path in tmp_path.iterdir()] == ["vivae"]
    assert not list(tmp_path.rglob("half.wav"))


def test_a_wrong_checksum_removes_the_download(site, tmp_path):
    site.sends = site.archive[:-1] + b"x"

    said = refused(vivae, tmp_path / "vivae", base=site.base)

    assert "its md5 is" in said
    assert "the download was removed" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_passing_failures_are_tried_again(site, tmp_path, status):
    site.faults = [(status, {"Retry-After": "0"})] * 3

    fetch(vivae, tmp_path / "vivae", base=site.base, pauses=QUICK)

    assert len(site.downloads) == 4


def test_the_wait_that_a_server_asks_for_is_kept_and_bounded(site, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(_web.time, "sleep", waits.append)
    site.faults = [(429, {"Retry-After": "7"}), (503, {"Retry-After": "99999"}), (503, {"Retry-After": "tomorrow"})]

    fetch(vivae, tmp_path / "vivae", base=site.base, pauses=QUICK)

    assert waits == [7.0, 60.0, 0.0]


@pytest.mark.parametrize(("status", "reason"), [(403, "Forbidden"), (404, "Not Found"), (410, "Gone")])
def test_a_final_no_names_the_page_to_visit(site, tmp_path, status, reason):
    site.faults = [(status, {})]

    said = refused(vivae, tmp_path / "vivae", base=site.base)

    assert said.startswith(f"127.0.0.1 answers {status} {reason}\nvisit https://zenodo.org/records/4066235\n")
    assert "--archive VIVAE.zip" in said
    assert len(site.downloads) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_the_server_cannot_continue_is_begun_anew(site, tmp_path):
    work = tmp_path / ".vivae.fetch"
    work.mkdir()
    (work / "VIVAE.zip.part").write_bytes(site.archive[:100])
    site.faults = [(416, {})]

    fetch(vivae, tmp_path / "vivae", base=site.base, pauses=QUICK)

    assert site.downloads == ["bytes=100-", None]


def test_another_part_than_was_asked_for_is_not_taken(site, tmp_path):
    work, said = tmp_path / ".vivae.fetch", []
    work.mkdir()
    (work / "VIVAE.zip.part").write_bytes(site.archive[:100])
    site.faults = [(206, {"Content-Range": f"bytes 50-99/{len(site.archive)}"})]

    fetch(vivae, tmp_path / "vivae", base=site.base, pauses=QUICK, say=said.append)

    assert site.downloads == ["bytes=100-", "bytes=100-"]
    assert any("sent another part than was asked for" in line for line in said)


def test_a_host_that_cannot_be_reached_is_named(tmp_path):
    said = refused(vivae, tmp_path / "vivae", base="http://127.0.0.1:9")

    assert said.startswith("corpus vivae: 127.0.0.1 cannot be reached: ")
    assert "--archive" in said
    assert list(tmp_path.iterdir()) == []


def test_a_silent_server_counts_as_lost(site, tmp_path, monkeypatch):
    monkeypatch.setattr(_web, "SILENCE", 0.2)
    monkeypatch.setattr(type(site), "answer", lambda _: time.sleep(0.5) or b"")

    assert "timed out" in refused(vivae, tmp_path / "vivae", base=site.base)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"metadata": {"access_right": "restricted"}}, "not open to everybody (access: restricted)"),
        ({"files": []}, "not open to everybody"),
        ({"files": None}, "not open to everybody"),
        ({"files": {"entries": {}}}, "not as we know it"),
        ({"files": [{"key": "other.zip"}]}, "its record has no VIVAE.zip; it has other.zip"),
        ({"files": [{"key": "VIVAE.zip"}]}, "does not describe VIVAE.zip as we know it"),
        ({"metadata": 3}, "not as we know it"),
    ],
)
def test_a_record_that_is_closed_or_strange_sends_to_its_page(site, tmp_path, record, why):
    site.record = record

    said = refused(vivae, tmp_path / "vivae", base=site.base)

    assert why in said
    assert "visit https://zenodo.org/records/4066235" in said


@pytest.mark.parametrize("file", [{"checksum": ""}, {"checksum": "md4:00"}, {"checksum": "md5:xy"}, {"size": 0}])
def test_without_size_or_checksum_nothing_is_downloaded(site, tmp_path, file):
    site.file = file

    assert "gives no size or checksum" in refused(vivae, tmp_path / "vivae", base=site.base)
    assert site.downloads == []


def test_a_file_of_another_length_than_its_record_says_is_refused(site, tmp_path):
    site.sends = site.archive + b"more"

    assert f"has {len(site.archive) + 4} bytes where it lies" in refused(vivae, tmp_path / "vivae", base=site.base)


@pytest.mark.parametrize("address", ["http://example.org/VIVAE.zip", "ftp://example.org/x", "file:///etc/passwd"])
def test_only_https_is_spoken_to_others(site, tmp_path, address):
    site.file = {"links": {"self": address}}

    assert "downloads use https alone" in refused(vivae, tmp_path / "vivae", base=site.base)


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("http://example.org/VIVAE.zip", "downloads use https alone"),
        ("ftp://example.org/x", "downloads use https alone"),
        ("file:///etc/passwd", "answers 302"),
    ],
)
def test_no_redirect_leads_away_from_https(site, tmp_path, address, answer):
    site.on_to = address

    assert answer in refused(vivae, tmp_path / "vivae", base=site.base)
    assert list(tmp_path.iterdir()) == []


def test_nobody_sends_on_from_https_to_this_machine(site, tmp_path, monkeypatch):
    pem = certificate(tmp_path)
    server = serve(site, pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    site.on_to = "http://127.0.0.1:9/VIVAE.zip"

    said = refused(vivae, tmp_path / "vivae", base=site.base)
    server.shutdown()
    server.server_close()

    assert "sends on to http://127.0.0.1:9/VIVAE.zip: downloads use https alone" in said


def test_a_redirect_on_the_way_is_followed(site, tmp_path):
    mirror = type(site)(site.archive)
    server = serve(mirror)
    site.on_to = f"{mirror.base}/files/VIVAE.zip"

    came = fetch(vivae, tmp_path / "vivae", base=site.base)
    server.shutdown()
    server.server_close()

    assert came.bytes == len(mirror.archive)
    assert len(mirror.downloads) == 1


def test_a_certificate_that_nobody_vouches_for_is_final(site, tmp_path):
    server = serve(site, certificate(tmp_path))

    said = refused(vivae, tmp_path / "vivae", base=site.base)
    server.shutdown()
    server.server_close()

    assert said.startswith("127.0.0.1: its certificate is not to be trusted")
    assert site.asked == []


def test_a_certificate_that_is_named_is_trusted(site, tmp_path, monkeypatch):
    pem = certificate(tmp_path)
    server = serve(site, pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))

    came = fetch(vivae, tmp_path / "vivae", base=site.base)
    server.shutdown()
    server.server_close()

    assert site.base.startswith("https://")
    assert came.bytes == len(site.archive)


@pytest.mark.parametrize(
    "address", ["https://[", "https://127.0.0.1/a b", "https://läuten.example/ü", "https://h:port/"]
)
def test_an_address_that_is_none_is_final(site, tmp_path, address):
    site.file = {"links": {"self": address}}

    said = refused(vivae, tmp_path / "vivae", base=site.base)

    assert said.startswith(f"{address!r} is no address, or leads to none: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["https://[", "https://127.0.0.1:port/"])
def test_a_redirect_to_what_is_no_address_is_final(site, tmp_path, address):
    site.on_to = address

    assert "is no address, or leads to none: " in refused(vivae, tmp_path / "vivae", base=site.base)


def test_a_record_without_end_sends_to_its_page(site, tmp_path, monkeypatch):
    monkeypatch.setattr(type(site), "answer", lambda _: b"[" * 200_000)

    assert "not as we know it" in refused(vivae, tmp_path / "vivae", base=site.base)


def test_the_name_of_a_licence_is_one_short_line(site, tmp_path):
    site.record = {"metadata": {"license": {"id": "a\x1b[31m\n" + "b" * 500}}}

    came = fetch(vivae, tmp_path / "vivae", base=site.base)

    assert came.licence == "a[31m" + "b" * 55


def test_a_proxy_is_honoured(site, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", site.base)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    fetch(vivae, tmp_path / "vivae", base="http://localhost:9")

    assert site.asked[0][0] == "http://localhost:9/api/records/4066235"


def test_a_disk_without_room_is_refused_before_anything_is_downloaded(site, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))

    said = refused(vivae, tmp_path / "vivae", base=site.base)

    assert "are needed to download and unpack it, 0.0 MB are free" in said
    assert site.downloads == []
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing_half_written(site, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reno_sweeps.corpora._fetch.unpack", full)
    root = tmp_path / "vivae"

    assert "No space left on device" in refused(vivae, root, base=site.base)
    assert not root.exists()
    assert kept(root) == len(site.archive)


def test_an_interruption_keeps_the_part_and_nothing_else(site, tmp_path):
    def interrupt(text: str) -> None:
        if "trying again" in text:
            raise KeyboardInterrupt

    site.drops = [3000]
    with pytest.raises(KeyboardInterrupt):
        fetch(vivae, tmp_path / "vivae", base=site.base, say=interrupt)

    assert kept(tmp_path / "vivae") == 3000
    assert sorted(path.name for path in (tmp_path / ".vivae.fetch").iterdir()) == ["VIVAE.zip.part", "lock"]


def test_two_at_once_are_not_allowed(site, tmp_path):
    (tmp_path / ".vivae.fetch").mkdir()
    with (tmp_path / ".vivae.fetch" / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        assert "another fetch" in refused(vivae, tmp_path / "vivae", base=site.base)

    assert (tmp_path / ".vivae.fetch" / "lock").exists()


def test_an_archive_downloaded_by_hand_needs_no_network(site, tmp_path):
    file = tmp_path / "by hand.zip"
    file.write_bytes(site.archive)

    came = fetch(vivae, tmp_path / "vivae", file, base="http://127.0.0.1:9")

    assert len(came.corpus.clips) == 13
    assert (came.licence, came.sha256) == ("", hashlib.sha256(site.archive).hexdigest())
    assert file.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["by hand.zip", "vivae"]


def test_jnv_says_which_page_must_be_visited_by_hand(tmp_path):
    said = refused(jnv, tmp_path / "jnv")

    assert "its page must be visited by hand" in said
    assert jnv.ORIGIN.page in said
    assert "--archive jnv_corpus_ver3.zip --accept-licence" in said


def test_a_workshop_that_is_a_link_is_refused(site, tmp_path):
    """In a folder for all somebody may have laid it."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / ".vivae.fetch").symlink_to(tmp_path / "theirs")

    assert "is a link, or somebody else's" in refused(vivae, tmp_path / "vivae", base=site.base)
    assert list((tmp_path / "theirs").iterdir()) == []
    assert site.asked == []


def test_a_workshop_is_nobody_else_s_to_look_into(site, tmp_path):
    modes = []

    fetch(vivae, tmp_path / "vivae", base=site.base, say=lambda _: modes.append(mode(tmp_path / ".vivae.fetch")))

    assert set(modes) == {0o700}
    assert mode(tmp_path / "vivae") == mode(vivae.miniature(tmp_path / "mini"))


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_a_place_where_a_disk_is_mounted_is_refused_before_anything_is_downloaded(site, tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path / "disk")

    assert f"give a folder in it: --root {tmp_path}/disk/vivae" in refused(vivae, tmp_path / "disk", base=site.base)
    assert site.asked == []


def test_without_a_download_none_is_said_to_be_kept(site, tmp_path, monkeypatch):
    (tmp_path / "vivae.zip").write_bytes(site.archive)
    monkeypatch.setattr(os, "sync", (tmp_path / "vivae").touch)

    said = refused(vivae, tmp_path / "vivae", tmp_path / "vivae.zip")

    assert said.splitlines()[-1] == f"{tmp_path}/vivae is as it was"


def test_an_archive_of_something_else_is_refused(site, tmp_path):
    (tmp_path / "vivae.zip").write_bytes(site.archive)

    said = refused(jnv, tmp_path / "jnv", tmp_path / "vivae.zip")

    assert said.startswith("vivae.zip is no archive of jnv\ncorpus jnv: looked for F1/F1_angry_00_F.wav in vivae.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vivae.zip"]


def test_a_missing_archive_is_answered_with_where_it_is(tmp_path):
    assert jnv.ORIGIN.page in refused(jnv, tmp_path / "jnv", tmp_path / "none.zip")


def test_a_hostile_archive_leaves_nothing(tmp_path):
    (tmp_path / "bad.zip").write_bytes(zipped({"VIVAE/full_set/S01_pain_low_01.wav": b"x", "../../out.wav": b"x"}))

    assert "leaves the folder" in refused(vivae, tmp_path / "below" / "vivae", tmp_path / "bad.zip")
    assert not list((tmp_path / "below").iterdir())
    assert not list(tmp_path.rglob("out.wav"))


def test_what_is_there_is_found_or_refused_and_never_touched(tmp_path):
    root = vivae.miniature(tmp_path / "vivae")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()

    assert already_there(vivae, root).clips == vivae.read(root).clips
    assert already_there(vivae, tmp_path / "none") is None
    assert already_there(vivae, tmp_path / "empty") is None
    with pytest.raises(UserError, match=r"is not empty\n.*found mine\.txt\n.*nothing was touched"):
        already_there(vivae, tmp_path / "other")
    with pytest.raises(UserError, match="is no folder"):
        already_there(vivae, tmp_path / "file")


def test_a_root_that_fills_up_meanwhile_is_left_alone(site, tmp_path, monkeypatch):
    root = tmp_path / "vivae"

    def meanwhile() -> None:
        root.mkdir()
        (root / "mine.txt").write_text("mine")

    monkeypatch.setattr(os, "sync", meanwhile)

    assert "is as it was" in refused(vivae, root, base=site.base)
    assert [path.name for path in root.iterdir()] == ["mine.txt"]
