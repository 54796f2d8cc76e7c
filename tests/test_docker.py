"""What the stack's files promise: nothing published beyond loopback, no default password, no root, exact versions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
EXAMPLE = (ROOT / "docker" / ".env.example").read_text()
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
PINS = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "pins.txt").read_text(), re.MULTILINE))


@pytest.mark.parametrize("service", SERVICES)
def test_every_published_port_is_on_loopback_unless_asked(service):
    for port in SERVICES[service].get("ports", ()):
        assert port.startswith(("127.0.0.1:", "${BIND:-127.0.0.1}:"))


def test_what_has_no_login_is_never_published_elsewhere():
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["optuna-dashboard"]["ports"])
    assert "ports" not in SERVICES["ray-head"]
    assert "ports" not in SERVICES["s3"]


def test_every_secret_is_named_in_the_example_and_has_no_default():
    named = dict(re.findall(r"^([A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    secret = {name for name in named if name.endswith(("_PASSWORD", "_KEY", "_TOKEN"))}
    asked = dict(re.findall(r"\$\{(\w+)(:[?-])?", COMPOSE))

    assert set(asked) <= set(named)
    assert secret <= set(asked)
    assert not [name for name in secret if named[name]]
    assert not [name for name in secret if f"${{{name}:-" in COMPOSE]


def test_the_file_of_secrets_is_not_in_git():
    assert "docker/.env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"s3-folder"}))
def test_containers_gain_no_privileges(service):
    assert SERVICES[service]["cap_drop"] == ["ALL"]
    assert SERVICES[service]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("target", ["runtime", "dashboard"])
def test_images_run_as_an_ordinary_user_and_say_whether_they_are_well(target):
    stage = re.split(r"^FROM ", DOCKERFILE.partition(f" AS {target}\n")[2], flags=re.MULTILINE)[0]

    assert re.findall(r"^USER (\S+)", stage, re.MULTILINE) == ["1000:1000"]
    assert "HEALTHCHECK" in stage


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_targets_are_built_upon_the_runtime(target):
    assert f"\nFROM runtime AS {target}\n" in DOCKERFILE


def test_images_are_pinned_and_packages_have_the_versions_that_were_tested():
    images = [service["image"] for service in SERVICES.values() if not service["image"].startswith("reno-sweeps:")]
    named = re.findall(r'"?(optuna|psycopg)(?:\[binary\])?==([\d.]+)', DOCKERFILE)

    assert all(re.search(r":\d+\.\d+", image) for image in images)
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-", DOCKERFILE, re.MULTILINE)
    assert named == [(name, PINS[name]) for name, _ in named]
    assert f"UV={re.search(r'UV := (.*)', (ROOT / 'Makefile').read_text())[1]}" in DOCKERFILE
