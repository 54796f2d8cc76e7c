"""`corpus fetch`: the licence first, then what came; a corpus that is there is counted and left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reno_sweeps.app import fetching, opening
from reno_sweeps.cli import app
from reno_sweeps.config.settings import gather
from reno_sweeps.corpora import asvp_esd, jnv, vivae
from reno_sweeps.records import UserError
from tests.corpora.conftest import site as site  # noqa: PLC0414  # the fixture
from tests.corpora.site import zipped_folder


def fetched(corpus: str, root: Path | None, **options):
    settings = {"accept_licence": True, "archive": None, "quiet": True, **options}
    return fetching.corpus(corpus, root, **settings)


def test_without_agreement_nothing_is_asked_of_anybody(site, tmp_path):
    with pytest.raises(UserError) as refusal:
        fetched("vivae", tmp_path / "vivae", accept_licence=False, base=site.base)

    assert str(refusal.value).splitlines() == [
        "corpus vivae: licence: CC BY-NC 4.0, but its record decides",
        "read it at https://zenodo.org/records/4066235",
        "nothing was downloaded; add --accept-licence once you agree",
    ]
    assert site.asked == []
    assert list(tmp_path.iterdir()) == []


def test_of_asvp_esd_no_licence_is_claimed(tmp_path):
    with pytest.raises(UserError, match=r"licence: as its record says: https://zenodo\.org/records/7132783"):
        fetched("asvp-esd", tmp_path / "a", accept_licence=False)


def test_what_came_is_told(site, tmp_path, capsys):
    told = fetched("vivae", tmp_path / "vivae", base=site.base, quiet=False)

    said = capsys.readouterr()
    assert told == {
        "corpus": "vivae",
        "root": str(tmp_path / "vivae"),
        "clips": 13,
        "speakers": 3,
        "published": {"clips": 1085, "speakers": 11},
        "licence": "CC BY-NC 4.0, but its record decides (the record says cc-by-nc-4.0)",
        "source": "https://zenodo.org/records/4066235",
        "fetched": True,
        "bytes": len(site.archive),
        "sha256": told["sha256"],
    }
    assert json.loads(json.dumps(told)) == told
    assert said.out == ""
    first, second, *_, last = said.err.splitlines()
    assert (
        first
        == "corpus vivae: licence: CC BY-NC 4.0, but its record decides; read it at https://zenodo.org/records/4066235"
    )
    assert second == "VIVAE.zip: 0.1 MB, licence by its record: cc-by-nc-4.0"
    assert last == "corpus vivae: 13 clips, 1085 are published: reno-sweep corpus check says more"


def test_quiet_is_quiet(site, tmp_path, capsys):
    fetched("vivae", tmp_path / "vivae", base=site.base)

    assert capsys.readouterr().err == ""


def test_a_corpus_that_is_there_is_counted_and_left_alone(tmp_path, capsys):
    root = vivae.miniature(tmp_path / "vivae")
    before = sorted(root.rglob("*"))

    told = fetched("vivae", root, accept_licence=False, quiet=False)

    assert (told["clips"], told["fetched"], told["bytes"]) == (13, False, 0)
    assert "13 clips, 1085 are published" in capsys.readouterr().err
    assert sorted(root.rglob("*")) == before


def test_without_a_root_it_lies_below_the_shelf_of_corpora(site, tmp_path, monkeypatch):
    monkeypatch.setenv("RENO_CORPORA", str(tmp_path / "shelf"))

    assert fetched("vivae", None, base=site.base)["root"] == str(tmp_path / "shelf" / "vivae")


def test_without_root_and_shelf_it_is_asked_for(monkeypatch):
    monkeypatch.delenv("RENO_CORPORA", raising=False)

    with pytest.raises(UserError, match="say --root DIR, or set RENO_CORPORA"):
        fetched("vivae", None)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("demo", "corpus demo is not downloaded: --corpus demo\ncorpus fetch offers asvp-esd, jnv, vivae"),
        ("folder", "is not downloaded"),
        ("vivea", "did you mean vivae"),
    ],
)
def test_what_cannot_be_fetched_is_answered_with_what_can(tmp_path, name, answer):
    with pytest.raises(UserError) as refusal:
        fetched(name, tmp_path / "x")

    assert answer in str(refusal.value)


def test_jnv_goes_by_its_page_and_an_archive(tmp_path):
    with pytest.raises(UserError, match="visited by hand"):
        fetched("jnv", tmp_path / "jnv", accept_licence=False)

    archive = tmp_path / "jnv_corpus_ver3.zip"
    archive.write_bytes(zipped_folder(jnv.miniature(tmp_path / "mini"), "jnv_corpus_ver3/"))
    with pytest.raises(UserError, match="add --accept-licence once you agree"):
        fetched("jnv", tmp_path / "jnv", archive=archive, accept_licence=False)
    assert fetched("jnv", tmp_path / "jnv", archive=archive)["clips"] == 16


def test_the_command_answers_in_json_and_refuses_with_exit_code_2(tmp_path):
    archive = tmp_path / "VIVAE.zip"
    archive.write_bytes(zipped_folder(vivae.miniature(tmp_path / "mini")))
    asked = ["corpus", "fetch", "vivae", "--root", str(tmp_path / "vivae"), "--archive", str(archive), "--json"]
    command = [sys.executable, "-m", "reno_sweeps.cli", *asked]
    refused = subprocess.run(command, check=False, capture_output=True, text=True)
    done = CliRunner().invoke(app, [*asked, "--accept-licence", "--quiet"])

    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) <= 3
    assert json.loads(done.stdout)["clips"] == 13


def test_a_killed_fetch_goes_on_where_it_was(site, tmp_path):
    """A real process, killed (not asked to end) while the server is slow; the next call asks for the rest alone."""
    site.drops = [100_000] + [0] * 50
    root = tmp_path / "vivae"
    program = (
        "from pathlib import Path; from reno_sweeps.app import fetching;"
        f"said = dict(accept_licence=True, archive=None, quiet=True, base={site.base!r});"
        f"fetching.corpus('vivae', Path({str(root)!r}), **said)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "no_proxy": "127.0.0.1"})
    part = tmp_path / ".vivae.fetch" / "VIVAE.zip.part"
    limit = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size == 100_000) and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    site.drops = []

    assert fetched("vivae", root, base=site.base)["clips"] == 13
    assert site.downloads[-1] == "bytes=100000-"
    assert [path.name for path in tmp_path.iterdir()] == ["vivae"]


@pytest.mark.parametrize(("asked", "clips"), [("asvp-esd", 11), ("asvp-esd@include_bonus=yes", 12)])
def test_a_corpus_on_the_shelf_is_found_by_its_id_whatever_its_options(tmp_path, monkeypatch, asked, clips):
    asvp_esd.miniature(tmp_path / "shelf" / "asvp-esd")
    monkeypatch.setenv("RENO_CORPORA", str(tmp_path / "shelf"))

    assert len(opening.find_corpus(asked, None, gather()).clips) == clips


@pytest.mark.parametrize(
    ("command", "at", "said"),
    [
        (["fetch", "vivae"], "fetching.corpus", "interrupted; what was downloaded is kept: the same command goes on"),
        (["check", "demo"], "corpora.check", "interrupted; nothing was changed"),
    ],
)
def test_an_interrupted_command_says_what_is_left_of_it(monkeypatch, command, at, said):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"reno_sweeps.app.{at}", interrupt)

    done = CliRunner().invoke(app, ["corpus", *command])

    assert done.exit_code == 130
    assert done.stderr.startswith(said)
    assert done.stdout == ""
