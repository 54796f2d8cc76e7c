"""All benchmarks in turn, each in a process of its own, small; every ratio is between two things in one run.

python benchmarks/run.py [heads bound floor sweeps study audio_mamba attention extraction] [--output results.json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import show

HERE = Path(__file__).parent
SMALL = {
    "heads": ["--rounds", "5"],
    "bound": ["--steps", "12", "--rounds", "3"],
    "floor": ["--small"],
    "sweeps": [],
    "study": ["--trials", "100", "--quiet"],
    "audio_mamba": ["--rounds", "5"],
    "attention": ["--clips", "16", "--rounds", "3"],
    "extraction": ["--clips", "96", "--rounds", "3"],
}


def measure(name: str) -> object:
    """What one benchmark found."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "found.json"
        command = [sys.executable, str(HERE / f"{name}.py"), *SMALL[name], "--output", str(output)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(output.read_text())


def main() -> None:
    """Print all figures; write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(SMALL))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in SMALL]:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(SMALL)}")
    found = {}
    for name in options.names or SMALL:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        found[name] = measure(name)
    show(found, options.output)


if __name__ == "__main__":
    main()
