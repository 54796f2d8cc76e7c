"""News on stderr: words for people, one JSON object a line for machines."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime

import pytest

from reno_sweeps import cli, lines
from reno_sweeps.app.progress import Progress
from tests.reports.conftest import make_sweep, make_trial

KEYS = {"time", "level", "sweep", "event", "fields"}


@pytest.fixture
def as_json(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:  # whose stderr is there first
    """JSON lines, and afterwards everything as it was."""
    root, hook = logging.getLogger(), sys.excepthook
    level, before = root.level, list(root.handlers)
    lines.configure("json")
    ours = [handler for handler in root.handlers if handler not in before]
    yield
    for handler in ours:
        root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    sys.excepthook = hook
    lines._Form.json = False
    lines.about(None)


def heard(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    """What stands on stderr, every line of it."""
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all(set(one) == KEYS for one in found)
    return found


@pytest.mark.usefixtures("as_json")
def test_every_line_is_one_object_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    lines.about("small")
    lines.say("two\nlines", "trial", "warning", trial=3, objective=float("nan"))

    (said,) = heard(capsys)

    assert said | {"time": None} == {
        "time": None,
        "level": "warning",
        "sweep": "small",
        "event": "trial",
        "fields": {"message": "two\nlines", "trial": 3, "objective": None},
    }
    assert datetime.fromisoformat(said["time"]).utcoffset().total_seconds() == 0


@pytest.mark.usefixtures("as_json")
def test_log_records_and_warnings_are_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("inner")  # noqa: TRY301
    except ValueError:
        logging.getLogger("reno_sweeps.app.run").exception("it is %s", "bad")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)

    error, warning = heard(capsys)

    assert (error["level"], error["fields"]["logger"], error["fields"]["message"]) == (
        "error",
        "reno_sweeps.app.run",
        "it is bad",
    )
    assert "ValueError: inner" in error["fields"]["traceback"]
    assert (warning["level"], "old" in warning["fields"]["message"]) == ("warning", True)


@pytest.mark.usefixtures("as_json")
def test_progress_tells_every_trial_and_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = make_sweep()
    trials = [make_trial(0, 0.5), make_trial(1, 0.75)]
    with Progress(sweep, trials, asked=4, quiet=False) as progress:
        progress.trial(trials[1])
        progress.say("caution", "caution", "warning")

    trial, standing, caution = heard(capsys)

    assert (trial["event"], trial["fields"]["trial"], trial["fields"]["objective"]) == ("trial", 1, 0.75)
    assert standing["event"] == "progress"
    assert {k: standing["fields"][k] for k in ("asked", "ended", "best", "best_trial")} == {
        "asked": 4,
        "ended": 2,
        "best": 0.75,
        "best_trial": 1,
    }
    assert caution["level"] == "warning"


def test_for_people_the_lines_are_words(capsys: pytest.CaptureFixture[str]) -> None:
    lines.say("3/4 trials", "progress", ended=3)

    assert capsys.readouterr().err == "3/4 trials\n"


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [(["resume", "nobody", "--log-json"], ""), (["resume", "nobody"], "json"), (["run", "--log-json"], "")],
)
def test_refusals_are_lines_too(arguments: list[str], variable: str) -> None:
    environment = {**os.environ, "RENO_LOG": variable}
    line = [sys.executable, "-m", "reno_sweeps.cli", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)

    (said,) = [json.loads(one) for one in done.stderr.splitlines()]
    assert (done.returncode, done.stdout) == (2, "")
    assert (said["event"], said["level"], said["fields"]["exit_code"]) == ("refused", "error", 2)


def test_an_unknown_form_is_refused_with_what_is_on_offer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RENO_LOG", "yaml")
    with pytest.raises(SystemExit) as ended:
        cli.main(["status"])

    assert ended.value.code == 2
    assert "on offer: text, json" in capsys.readouterr().err
