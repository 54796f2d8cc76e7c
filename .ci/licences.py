"""The licences of everything that pins.txt installs on Linux: `python .ci/licences.py` writes docs/licences.md.

With --check nothing is written: exit code 1 where the list is not current, or a licence is not allowed.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Collection
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"

ALLOWED = {  # what may be installed beside Apache-2.0 without a duty that reaches our users' code
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python",
    "ISC", "LGPL-2.1-or-later", "LGPL-3.0-only", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib",
}  # fmt: skip
EXCEPTIONS = {  # a licence that is no free one: the package's name begins so; why it may be here
    "nvidia-": ("LicenseRef-NVIDIA-Proprietary", "CUDA's libraries, which torch's own builds bring; unchanged"),
    "cuda-toolkit": ("LicenseRef-NVIDIA-Proprietary", "CUDA's libraries, which torch's own builds bring; unchanged"),
    "opensmile": (
        "LicenseRef-audEERING-Research",
        "no commercial use; optional (`egemaps`), never installed by itself",
    ),
}
KNOWN = {  # packages whose metadata say nothing, or say it in a text; read in their LICENSE files
    "huey": "MIT", "kiwisolver": "BSD-3-Clause", "matplotlib": "PSF-2.0", "mlflow": "Apache-2.0", "skops": "MIT",
    "mlflow-skinny": "Apache-2.0", "mlflow-tracing": "Apache-2.0", "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "cycler": "BSD-3-Clause", "scipy": "BSD-3-Clause", "contourpy": "BSD-3-Clause", "audinterface": "MIT",
    "audobject": "MIT", "jinja2": "BSD-3-Clause", "itsdangerous": "BSD-3-Clause", "gitdb": "BSD-3-Clause",
    "mpmath": "BSD-3-Clause", "sympy": "BSD-3-Clause", "sqlparse": "BSD-3-Clause", "torchaudio": "BSD-2-Clause",
    "pyasn1-modules": "BSD-2-Clause", "cloudpickle": "BSD-3-Clause",
    "flask-wtf": "BSD-3-Clause", "wtforms": "BSD-3-Clause", "numba": "BSD-2-Clause", "umap-learn": "BSD-3-Clause",
}  # fmt: skip
WORDS = {  # as others write them → SPDX
    "Apache 2.0": "Apache-2.0", "Apache 2.0 License": "Apache-2.0", "Apache Software License": "Apache-2.0",
    "MIT License": "MIT", "MIT license": "MIT", "3-Clause BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause", "BSD 2-Clause License": "BSD-2-Clause", "ISC License": "ISC",
    "ISC License (ISCL)": "ISC", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}  # fmt: skip


def pinned() -> list[str]:
    """The packages that pins.txt installs on Linux, sorted; those of other systems are left out."""
    from packaging.requirements import Requirement

    found = set()
    for line in (ROOT / "pins.txt").read_text().splitlines():
        if "==" in line and not line.startswith("#"):
            asked = Requirement(line)
            here = {"sys_platform": "linux", "platform_system": "Linux", "platform_python_implementation": "CPython"}
            plain = {**here, "implementation_name": "cpython", "platform_machine": "x86_64"}
            if asked.marker is None or asked.marker.evaluate(plain):
                found.add(asked.name)
    return sorted(found)


def licence(name: str) -> str | None:
    """The licence of an installed package as SPDX has it; None where it is not installed here."""
    for start, (own, _) in EXCEPTIONS.items():
        if name.startswith(start):
            return own
    try:
        facts = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    classes = [line.rsplit(" :: ", 1)[1] for line in facts.get_all("Classifier") or () if line.startswith("License")]
    said = [KNOWN.get(name), facts.get("License-Expression"), facts.get("License"), *classes]
    words = [WORDS.get(word.strip(), word.strip()) for word in said if word]
    return next((word for word in words if allowed(word)), words[0][:60] if words else "unknown")


def allowed(expression: str, also: Collection[str] = ()) -> bool:
    """Whether every licence of an SPDX expression is allowed; of 'A OR B' one is enough."""
    both = [part.strip("() ").split(" OR ") for part in re.split(r"\s+AND\s+", expression)]
    return all(any(one.strip() in ALLOWED or one.strip() in also for one in either) for either in both)


def rows(page: str) -> dict[str, str]:
    """Package → licence as a page has them."""
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", page, re.MULTILINE))


def listed(before: dict[str, str]) -> dict[str, str]:
    """Every pinned package with its licence; one that is not installed here keeps its line."""
    return {name: licence(name) or before.get(name, "unknown: install it and run this again") for name in pinned()}


def faults(found: dict[str, str]) -> list[str]:
    """A line for every licence that is neither allowed nor an exception."""
    excused = {own for own, _ in EXCEPTIONS.values()}
    return [f"{name}: {said} is not allowed" for name, said in found.items() if not allowed(said, excused)]


def page(found: dict[str, str]) -> str:
    """The whole document."""
    lines = "\n".join(f"| `{name}` | {said} |" for name, said in found.items())
    starred = {start: f"{start}*" if start.endswith("-") else start for start in EXCEPTIONS}
    odd = "\n".join(f"- `{starred[start]}`: {own}: {why}." for start, (own, why) in EXCEPTIONS.items())
    free = textwrap.fill(", ".join(sorted(ALLOWED)) + ".", 120)
    return f"""# Licences of what is installed

reno-sweeps itself is Apache-2.0. These packages are installed beside it on Linux, by pins.txt, for its users and its
developers; none is part of the wheel. The list is made by `python .ci/licences.py` from what the installed packages say
of themselves, and `make check` fails where it is not current or a licence is none of these:
{free}

MPL-2.0 and LGPL packages are used as they come, unchanged. Three kinds of package are no free software:

{odd}

Encoders' weights and corpora have licences of their own: `reno-sweep encoders list`, `reno-sweep corpus list`.

| package | licence |
|---|---|
{lines}
"""


def main() -> int:
    """Write the page, or check it."""
    before = PAGE.read_text() if PAGE.is_file() else ""
    found = listed(rows(before))
    wrong = faults(found)
    if "--check" not in sys.argv:
        PAGE.write_text(page(found))
    elif before != page(found):
        wrong.append("docs/licences.md is not current: run python .ci/licences.py")
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
