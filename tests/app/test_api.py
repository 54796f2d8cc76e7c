"""The Python interface says what it does not know, and takes the options of `run` by their names."""

from __future__ import annotations

import inspect

import pytest

from reno_sweeps import Sweep, cli
from reno_sweeps.app.api import OPTIONS, QUESTION
from reno_sweeps.records import UserError

ELSEWHERE = {"space", "quiet", "dry_run", "json", "log_json"}  # the first argument; of `run()`; of the command alone


def test_the_options_are_those_of_the_command() -> None:
    assert set(inspect.signature(cli.run).parameters) - ELSEWHERE == QUESTION | OPTIONS


def test_an_unknown_option_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(UserError, match="run has no option 'trails'; did you mean 'trials'"):
        Sweep.from_yaml("rd_params.yaml", trails=8)


def test_no_baselines_is_said_as_on_the_command_line() -> None:
    assert Sweep.from_yaml("rd_params.yaml", no_baselines=True).options == {"baselines": False}
