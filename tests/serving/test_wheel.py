"""The wheel that a registered model brings installs what runs here."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import reno_sweeps
from reno_sweeps.records import UserError
from reno_sweeps.serving import own_wheel


def test_it_holds_our_code_spaces_and_licence_and_nothing_else(tmp_path):
    names = zipfile.ZipFile(own_wheel(tmp_path)).namelist()

    assert {"reno_sweeps/serving/pyfunc.py", "reno_sweeps/py.typed", "tracking/registry.py"} <= set(names)
    assert "reno_sweeps/search_spaces/rd_params.yaml" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"reno_sweeps", "tracking"}
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in names)


def test_the_same_code_gives_the_same_wheel_byte_by_byte(tmp_path):
    one, other = own_wheel(tmp_path / "one"), own_wheel(tmp_path / "other")

    assert one.name == f"reno_sweeps-{metadata.version('reno-sweeps')}-py3-none-any.whl"
    assert one.read_bytes() == other.read_bytes()


def test_pip_installs_it_and_python_imports_it(tmp_path):
    wheel, target = own_wheel(tmp_path), tmp_path / "target"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, str(wheel)], check=True)
    code = "import reno_sweeps.serving.model, reno_sweeps; print(reno_sweeps.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(target)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert Path(said.stdout.strip()).is_relative_to(target)
    assert (target / "reno_sweeps" / "search_spaces" / "rd_params.yaml").is_file()
    (installed,) = metadata.distributions(name="reno-sweeps", path=[str(target)])
    assert installed.version == metadata.version("reno-sweeps")
    assert installed.requires == metadata.distribution("reno-sweeps").requires
    assert Path(reno_sweeps.__file__).read_bytes() == (target / "reno_sweeps" / "__init__.py").read_bytes()


def test_a_wheel_of_an_installed_wheel_is_the_same(tmp_path):
    wheel, target = own_wheel(tmp_path), tmp_path / "target"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, str(wheel)], check=True)
    code = "import sys, pathlib; from reno_sweeps.serving import own_wheel; own_wheel(pathlib.Path(sys.argv[1]))"
    again = tmp_path / "again"
    subprocess.run([sys.executable, "-c", code, str(again)], env={"PYTHONPATH": str(target)}, cwd=tmp_path, check=True)

    one, other = zipfile.ZipFile(wheel), zipfile.ZipFile(again / wheel.name)
    assert one.namelist() == other.namelist()
    assert all(one.read(name) == other.read(name) for name in one.namelist())


def test_code_that_was_never_installed_is_told_to_be(tmp_path, monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("reno_sweeps.serving.wheel.metadata.distribution", absent)

    with pytest.raises(UserError, match="without being installed"):
        own_wheel(tmp_path)
    assert not list(tmp_path.iterdir())
