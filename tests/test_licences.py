"""The list of licences is current, and none is one that may not be installed beside us."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.ci_scripts import script


@pytest.fixture(scope="module")
def licences() -> ModuleType:
    return script("licences")


def test_the_list_is_current_and_every_licence_is_allowed(licences: ModuleType) -> None:
    page = licences.PAGE.read_text()
    found = licences.listed(licences.rows(page))

    assert licences.faults(found) == []
    assert licences.page(found) == page


def test_every_pinned_package_of_linux_is_listed(licences: ModuleType) -> None:
    names = licences.pinned()

    assert {"torch", "optuna", "ray", "mlflow"} <= set(names)
    assert not {"pywin32", "tzdata"} & set(names)
    assert list(licences.rows(licences.PAGE.read_text())) == names


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("unknown", False),
    ],
)
def test_one_of_two_is_enough_where_one_may_choose(licences: ModuleType, expression: str, allowed: bool) -> None:
    assert licences.allowed(expression) is allowed


def test_what_is_not_allowed_is_named(licences: ModuleType) -> None:
    assert licences.faults({"a": "MIT", "b": "SSPL-1.0"}) == ["b: SSPL-1.0 is not allowed"]
