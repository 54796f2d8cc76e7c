"""A file in a room is an entry, and an unknown name is answered with what is on offer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reno_sweeps import catalogue


def test_the_files_of_a_room_are_its_entries() -> None:
    assert catalogue.names("heads") == ("cnn", "concat", "fcn", "linear", "reno")
    assert "cross-entropy" in catalogue.names("losses")


def test_an_entry_is_loaded_by_its_name() -> None:
    assert catalogue.load("losses", "cross-entropy").__name__ == "reno_sweeps.losses.cross_entropy"


def test_an_unknown_entry_is_answered_with_what_is_on_offer() -> None:
    with pytest.raises(LookupError, match=r"heads has no 'rneo'; it offers cnn, .*, reno \(did you mean reno\?\)"):
        catalogue.load("heads", "rneo")


def test_a_helper_is_no_entry() -> None:
    with pytest.raises(LookupError):
        catalogue.load("heads", "-layers")


def test_names_are_listed_without_importing_any() -> None:
    program = (
        "import sys; from reno_sweeps import catalogue; catalogue.names('encoders')\n"
        "print([name for name in sys.modules if name.startswith('reno_sweeps.encoders.')])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"
