"""The doctor says what is wrong, and a machine without a network is no fault."""

from __future__ import annotations

import pytest
from huggingface_hub import constants

from reno_sweeps.app import doctor


def test_every_check_has_a_state_and_words() -> None:
    rows = doctor.examine({})["checks"]

    assert {row["state"] for row in rows} <= {"ok", "warning"}
    assert all(row["found"] for row in rows)
    assert {"packages", "gpu", "memory", "MLflow", "study storage", "network", "encoders"} <= {r["check"] for r in rows}


def test_an_unreachable_source_of_weights_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")

    state, found = doctor._network()

    assert state == "warning"
    assert "all else does" in found


def test_a_password_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = doctor.examine({"tracking_uri": "http://me:secret@127.0.0.1:9"})["checks"]

    (row,) = [row for row in rows if row["check"] == "MLflow"]
    assert row["state"] == "fault"
    assert "secret" not in str(rows)
