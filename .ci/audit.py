"""Known weaknesses of what pins.txt installs, by pip-audit: `make audit`. Where there is no network it says so.

Exit codes: 0 none known; 1 some are, listed; 2 the database or the tool cannot be reached, or it did not know some of
the packages: nothing is known of those.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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
            [str(UV), "tool", "run", *asked, "--format", "json"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        return _unknown("uv is not installed: make install")
    except subprocess.TimeoutExpired:
        return _unknown(f"no answer within {PATIENCE} s")
    if any(word in done.stderr for word in NETWORK):
        return _unknown(done.stderr.strip().splitlines()[-1])
    try:
        return told(json.loads(done.stdout)["dependencies"])
    except (ValueError, LookupError):
        return _unknown((done.stderr.strip().splitlines() or ["no answer"])[-1])


def told(packages: list[dict[str, Any]]) -> int:
    """Say what is known of each package that has a weakness, and of how many nothing is known; the exit code."""
    weak = [package for package in packages if package.get("vulns")]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    for package in weak:
        for one in package["vulns"]:
            mended = ", ".join(one["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {one['id']}, mended in {mended}")
    print(f"{len(packages) - len(unknown)} of {len(packages)} packages examined, {len(weak)} with known weaknesses")
    if unknown:
        print(f"the database knows nothing of {len(unknown)}: {', '.join(unknown)[:300]}", file=sys.stderr)
    return 1 if weak else 2 if unknown else 0


def _unknown(why: str) -> int:
    print(
        f"the database of known weaknesses was not asked: {why[:300]}\nnothing is known; try again with a network",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
