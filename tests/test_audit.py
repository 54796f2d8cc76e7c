"""`make audit` says what nothing is known of: a database that was not there found no weakness either."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.ci_scripts import script

SOUND = {"name": "numpy", "version": "2.4", "vulns": []}
WEAK = {"name": "ray", "version": "2.6", "vulns": [{"id": "CVE-1", "fix_versions": ["2.7"]}]}
UNKNOWN = {"name": "torch", "skip_reason": "not found"}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    return script("audit")


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([SOUND], 0, "1 of 1 packages examined, 0 with known weaknesses"),
        ([SOUND, WEAK], 1, "ray 2.6: CVE-1, mended in 2.7"),
        ([SOUND, UNKNOWN], 2, "the database knows nothing of 1: torch"),
        ([WEAK, UNKNOWN], 1, "the database knows nothing of 1: torch"),
    ],
)
def test_what_is_weak_and_what_is_unknown_is_said(audit, capsys, packages, code, says):
    assert audit.told(packages) == code
    assert says in "".join(capsys.readouterr())
