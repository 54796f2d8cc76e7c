"""From a question to its folder: what a refused command leaves behind, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reno_sweeps.app import commands, opening
from reno_sweeps.config.settings import gather
from reno_sweeps.config.sweep_file import open_space
from reno_sweeps.records import Cell, Sweep, UserError
from reno_sweeps.search.ledger import Ledger
from tests.app.small_home import make_home
from tracking.errors import TrackingError

NOBODY = "http://127.0.0.1:9"


def begun() -> opening.Opened:
    file = open_space("rd_params")
    return opening.open_sweep(file.sweep, gather(), file.text)


def test_a_refused_resume_leaves_the_sweep_as_it_was() -> None:
    opened = begun()
    before = (opened.folder / opening.STATE).read_bytes()

    with pytest.raises(TrackingError, match=r"127\.0\.0\.1:9"):
        commands.resume(opened.name, {"tracking_uri": NOBODY}, trials=128, time=None, quiet=True)
    assert (opened.folder / opening.STATE).read_bytes() == before


def test_a_refused_run_leaves_nothing_but_what_was_there() -> None:
    opened = begun()

    with pytest.raises(TrackingError):
        commands.run("rd_params", {"trials": 3}, {"tracking_uri": NOBODY}, quiet=True)
    assert opening.read_state(opened.name, opened.settings.home)["sweep"]["budget"]["trials"] == 64

    opened.discard()
    with pytest.raises(TrackingError):
        commands.run("rd_params", {"trials": 3}, {"tracking_uri": NOBODY}, quiet=True)
    assert opening.sweeps_in(opened.settings.home) == ()


def test_a_state_that_holds_a_password_is_the_users_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = begun()
    file = opened.folder / opening.STATE
    open_to_others = file.stat().st_mode & 0o777
    secret = replace(opened.settings, storage="postgresql://me:s3cret@127.0.0.1/db")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "chmod", lambda *_: pytest.fail("it would be readable for a moment"))
        opening.write_state(replace(opened, settings=secret))
    assert (file.stat().st_mode & 0o777, "s3cret" in file.read_text()) == (0o600, True)

    opening.write_state(opened)
    assert file.stat().st_mode & 0o777 == open_to_others


def test_a_name_that_asks_another_question_is_refused(tmp_path: Path) -> None:
    opened = begun()

    with pytest.raises(UserError, match="asks another question"):
        commands.run("rd_params", {"seed": 3}, {"name": opened.name}, quiet=True)
    assert opening.read_state(opened.name, opened.settings.home)["identity"] == opened.identity


def test_budget_devices_and_places_are_no_part_of_the_question(tmp_path: Path) -> None:
    opened = begun()
    file = open_space("rd_params")
    elsewhere = gather({"home": tmp_path / "other", "cache": tmp_path / "c", "device": "cpu", "cohort": 3})

    assert opening.open_sweep(file.sweep, elsewhere, "").name == opened.name


def test_cells_without_weights_are_left_out_where_asked_and_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RENO_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    cells = tuple(Cell("fcn", (encoder,)) for encoder in ("mfcc", "audio-mamba-tiny", "log-mel"))
    sweep = Sweep("table", "demo", cells, {})
    settings = gather({"home": tmp_path})

    assert opening.at_hand(sweep, settings) is sweep
    assert not caplog.messages
    kept = opening.at_hand(sweep, replace(settings, skip_missing=True))
    assert kept.cells == (cells[0], cells[2])
    assert caplog.messages == ["left out (--skip-missing): 1 of 3 cells, for want of audio-mamba-tiny"]


def test_where_no_cell_has_its_weights_the_first_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENO_WEIGHTS", raising=False)
    sweep = Sweep("table", "demo", (Cell("fcn", ("audio-mamba-tiny",)),), {})

    with pytest.raises(UserError, match="no weights given"):
        opening.at_hand(sweep, replace(gather({"home": tmp_path}), skip_missing=True))


@pytest.mark.parametrize("left", ["nothing", "an empty file", "another sweep's study"])
def test_a_lost_study_is_refused_and_not_begun_again(left: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    opened = make_home(home)
    study = home / "studies.db"
    study.unlink()
    if left == "an empty file":
        study.touch()
    elif left == "another sweep's study":
        Ledger(f"sqlite:///{study}", "other", direction="maximize", facts={"identity": "x"})
    before = study.read_bytes() if study.exists() else None
    with pytest.raises(UserError, match=r"the study of sweep 'small' is lost.*\nput a copy of the study back"):
        commands.resume("small", {"home": home}, trials=9, time=None)

    assert (study.read_bytes() if study.exists() else None) == before
    assert opened.folder.exists()
