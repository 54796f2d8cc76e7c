"""What is shown of a home: one sweep whose storage is away hides no other."""

from __future__ import annotations

import pytest

from reno_sweeps.app import looking, opening
from reno_sweeps.config.settings import gather
from reno_sweeps.config.sweep_file import Overrides, open_space


def begin(name: str, **options: str) -> None:
    file = open_space("rd_params", Overrides(trials=len(name)))
    opening.open_sweep(file.sweep, gather({"name": name, **options}), file.text)


def test_a_storage_that_does_not_answer_hides_no_other_sweep(caplog: pytest.LogCaptureFixture) -> None:
    begin("here")
    begin("away", storage="sqlite:////no/such/folder/studies.db")

    rows = {row["sweep"]: row for row in looking.status(None, None)}

    assert {name: row["state"] for name, row in rows.items()} == {"here": "stopped", "away": "unknown"}
    assert "away: the study's storage" in caplog.text


def test_a_sweep_that_was_killed_before_its_first_trial_is_shown() -> None:
    begin("early")

    shown = looking.status("early", None)

    assert (shown["state"], shown["best"], shown["trials"]["asked"]) == ("stopped", None, 5)
