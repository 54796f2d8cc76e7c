"""A checkout knows its commit, and whether files differ from it; a package without one says nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

from reno_sweeps.app.commit import commit


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_checkout_has_a_commit_and_says_where_files_differ(tmp_path: Path) -> None:
    clean, changed = tmp_path / "clean", tmp_path / "changed"
    for root in (clean, changed):
        root.mkdir()
        (root / "pyproject.toml").write_text("[project]\n")
        git(root, "init")
        git(root, "add", "pyproject.toml")
        git(root, "commit", "-m", "one")
    (clean / "notes.txt").write_text("nobody tracks this")
    (changed / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    assert commit(clean) == git(clean, "rev-parse", "HEAD")
    assert commit(changed) == git(changed, "rev-parse", "HEAD") + "+"


def test_a_package_without_a_checkout_has_none(tmp_path: Path) -> None:
    assert commit(tmp_path) is None
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    assert commit(tmp_path) is None
