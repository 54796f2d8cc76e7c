"""reno-sweeps' own wheel, packed from the package that runs: a registered model brings the code that it needs."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata, util
from pathlib import Path

from reno_sweeps.files import replacing
from reno_sweeps.records import UserError

NAME = "reno-sweeps"
PACKAGES = ("reno_sweeps", "tracking")  # what a wheel of ours holds; pyproject.toml, tool.hatch.build
DATA = "search_spaces"  # beside the packages in a checkout, inside reno_sweeps in a wheel
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same files give the same wheel, byte by byte
WHEEL = "Wheel-Version: 1.0\nGenerator: reno-sweeps\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def own_wheel(folder: Path) -> Path:
    """Pack what is imported here, installed or a checkout, as a wheel in `folder`. No network, no build tool."""
    installed = _distribution()
    stem = f"{NAME.replace('-', '_')}-{installed.version.replace('-', '_')}"
    files = {**_code(), **_facts(installed, f"{stem}.dist-info")}
    record = f"{stem}.dist-info/RECORD"
    files[record] = _record(files, record).encode()
    wheel = folder / f"{stem}-py3-none-any.whl"
    with replacing(wheel) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files, key=lambda name: (".dist-info/" in name, name)):  # facts last, as the format advises
            archive.writestr(_entry(name), files[name])
    return wheel


def _distribution() -> metadata.Distribution:
    try:
        return metadata.distribution(NAME)
    except metadata.PackageNotFoundError as fault:
        raise UserError(
            f"{NAME} runs here without being installed: its version and requirements are unknown\n"
            "install it (make install, or pip install .) and register again"
        ) from fault


def _code() -> dict[str, bytes]:
    """Every file of our packages by its path in the wheel, with the shipped search spaces."""
    files: dict[str, bytes] = {}
    for package in PACKAGES:
        home = _home(package)
        files |= {f"{package}/{name}": content for name, content in _below(home)}
    beside = _home("reno_sweeps").parent / DATA
    if not (_home("reno_sweeps") / DATA).is_dir() and beside.is_dir():
        files |= {f"reno_sweeps/{DATA}/{name}": content for name, content in _below(beside)}
    return files


def _home(package: str) -> Path:
    """Where a package lies, without importing it."""
    found = util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UserError(f"the package {package} of {NAME} is not installed here\ninstall it again (make install)")
    return Path(next(iter(found.submodule_search_locations)))


def _below(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        passing = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if file.is_file() and not passing:
            yield "/".join(parts), file.read_bytes()


def _facts(installed: metadata.Distribution, place: str) -> dict[str, bytes]:
    """The wheel's own description: as installed, with our name as its maker."""
    texts: Mapping[str, str | None] = {
        "METADATA": installed.read_text("METADATA"),
        "entry_points.txt": installed.read_text("entry_points.txt"),
        "WHEEL": WHEEL,
    }
    facts = {f"{place}/{name}": text.encode() for name, text in texts.items() if text}
    licences = [file for file in installed.files or () if ".dist-info/licenses/" in file.as_posix()]
    for file in licences:
        facts[f"{place}/licenses/{file.name}"] = Path(str(file.locate())).read_bytes()
    return facts


def _record(files: Mapping[str, bytes], record: str) -> str:
    """Every file with its hash and size, as installers check it."""
    lines = []
    for name, content in sorted(files.items()):
        sha = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={sha},{len(content)}\n")
    return "".join([*lines, f"{record},,\n"])


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    return entry
