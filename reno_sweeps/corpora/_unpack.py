"""Unpacking a zip that nobody vouches for: no path leaves the folder, no bomb, every checksum checked."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reno_sweeps.corpora._named import visible
from reno_sweeps.records import UserError

CHUNK = 1 << 20  # bytes
MARGIN = 64 << 20  # bytes that stay free on the disk


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a corpus ends and a bomb begins."""

    members: int = 200_000
    total: int = 100 << 30  # bytes, unpacked
    ratio: int = 50  # unpacked to packed; recordings stay below 10
    harmless: int = 256 << 20  # bytes, unpacked, below which the ratio is not asked


_Member = tuple[zipfile.ZipInfo, tuple[str, ...]]  # with the folders and the name to unpack to


def unpack(
    archive: Path, folder: Path, tell: Callable[[int, int], None] = lambda *_: None, limits: Limits | None = None
) -> int:
    """Unpack `archive` into the new `folder`; how many files. A UserError names archive, member and fault.

    Everything is checked before anything is written: absolute paths, '..', drive letters, links, devices, encryption,
    double names, number, size and ratio. `tell` hears (bytes done, bytes in all). On failure `folder` is half full: it
    is the caller's to remove.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = _checked(archive, source.infolist(), limits or Limits())
            total = sum(member.file_size for member, _ in members)
            _refuse_full(archive, folder.parent, total)
            folder.mkdir()
            _write(archive, source, members, folder, lambda done: tell(done, total))
    except (zipfile.BadZipFile, UnicodeDecodeError, EOFError) as fault:
        raise UserError(f"{archive.name}: no zip archive, or a damaged one ({fault})\ndownload it again") from fault
    return len(members)


def _checked(archive: Path, infos: list[zipfile.ZipInfo], limits: Limits) -> list[_Member]:
    """The files to unpack; a Mac's packaging and hidden files stay in the archive."""
    if len(infos) > limits.members:
        raise UserError(f"{archive.name}: {len(infos)} members, more than the {limits.members} of any corpus")
    members: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    for info in infos:
        target = _target(archive, info)
        if info.is_dir() or not all(map(visible, target)):
            continue
        if target in members:
            raise UserError(f"{archive.name}: two members are named {info.filename!r}; nothing was unpacked")
        members[target] = info
    total, packed = sum(info.file_size for info in members.values()), archive.stat().st_size
    if total > limits.total or (total > limits.harmless and total > limits.ratio * packed):
        raise UserError(f"{archive.name}: {total} bytes in {packed} packed ones is no corpus; nothing was unpacked")
    return [(info, target) for target, info in members.items()]


def _target(archive: Path, info: zipfile.ZipInfo) -> tuple[str, ...]:
    """Folders and name of a member, all below the folder; a UserError for what may not be unpacked."""
    name = info.filename.replace("\\", "/")  # some Windows tools write backslashes
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in parts or not (parts or name.endswith("/")):
        why = "leaves the folder"
    elif any(ord(letter) < 32 or letter == "\x7f" for letter in info.orig_filename):
        why = "has control characters in its name"
    elif kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        why = "is a link or a device, not a file"
    elif info.flag_bits & 0x1:
        why = "is encrypted"
    else:
        return parts
    raise UserError(f"{archive.name}: its member {info.filename!r} {why}; nothing was unpacked")


def _write(
    archive: Path, source: zipfile.ZipFile, members: list[_Member], folder: Path, tell: Callable[[int], None]
) -> None:
    done = 0
    for info, parts in members:
        file = folder.joinpath(*parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with source.open(info) as packed, file.open("xb") as out:
                while chunk := packed.read(CHUNK):
                    out.write(chunk)
        except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as fault:
            raise UserError(f"{archive.name}: its member {info.filename!r} is damaged ({fault})") from fault
        done += info.file_size
        tell(done)


def _refuse_full(archive: Path, folder: Path, total: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < total + MARGIN:
        short = f"{total / 1e9:.2f} GB unpacked, {free / 1e9:.2f} GB free in {folder}"
        raise UserError(f"{archive.name}: {short}\nmake room, then run the command again")
