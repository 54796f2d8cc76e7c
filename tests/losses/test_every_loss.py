"""Whatever lies among the losses: its parameters are sound and importing it stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reno_sweeps import catalogue, space

LOSSES = catalogue.names("losses")


@pytest.mark.parametrize("name", LOSSES)
def test_defaults_are_values_that_the_parameters_allow(name):
    known = space.parameters(catalogue.load("losses", name).Params)

    assert [p.name for p in known.values() if p.refuse(p.default)] == []


@pytest.mark.parametrize("name", LOSSES)
def test_every_parameter_says_what_it_does(name):
    known = space.parameters(catalogue.load("losses", name).Params)

    assert all(p.help.endswith(".") and "." in p.name for p in known.values())


def test_listing_losses_and_their_parameters_imports_no_torch():
    program = (
        "import sys; from reno_sweeps import catalogue; "
        "[catalogue.load('losses', n) for n in catalogue.names('losses')]; sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
