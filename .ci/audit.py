"""Known weaknesses of what pins.txt installs, by pip-audit: `make audit`. Where there is no network it says so.

Exit codes: 0 none known; 1 some are, listed; 2 the database cannot be reached or the tool cannot be had: nothing known.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")  # make install put it there
PATIENCE = 600  # seconds
NETWORK = (
    "ConnectionError",
    "Max retries",
    "NameResolution",
    "timed out",
    "Failed to fetch",
    "dns error",
    "ServiceError",
)


def main() -> int:
    """Run the tool in an environment of its own: it is no part of ours."""
    asked = ["pip-audit", "--requirement", str(ROOT / "pins.txt"), "--no-deps", "--disable-pip", *sys.argv[1:]]
    try:
        done = subprocess.run(
            [str(UV), "tool", "run", *asked], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except FileNotFoundError:
        return _unknown("uv is not installed: make install")
    except subprocess.TimeoutExpired:
        return _unknown(f"no answer within {PATIENCE} s")
    if any(word in done.stderr for word in NETWORK):
        return _unknown(done.stderr.strip().splitlines()[-1])
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    return min(done.returncode, 1)


def _unknown(why: str) -> int:
    print(
        f"the database of known weaknesses was not asked: {why[:300]}\nnothing is known; try again with a network",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
