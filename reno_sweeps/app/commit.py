"""Which commit of reno-sweeps this is, where it runs from a checkout."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

PATIENCE = 5  # seconds
ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def commit(root: Path = ROOT) -> str | None:
    """The commit's hash, with '+' where files differ from it; None for an installed package, or without git."""
    if not (root / ".git").exists() or not (root / "pyproject.toml").is_file():
        return None
    head, changed = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{head}{'+' * bool(changed)}" if head else None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            ["git", "-C", str(root), *arguments],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
