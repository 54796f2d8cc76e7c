"""Unpacking a zip that nobody vouches for: no path leaves the folder, no bomb, every checksum checked."""

from __future__ import annotations

import io
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from reno_sweeps.corpora._named import visible
from reno_sweeps.records import UserError

CHUNK = 1 << 20  # bytes
MARGIN = 64 << 20  # bytes that stay free on the disk
PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}  # LZMA's tables may take 4 GB
SHOWN = 100  # letters of a name in a message


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a corpus ends and a bomb begins."""

    members: int = 200_000  # files, and as many folders
    table: int = 32 << 20  # bytes of the archive's list of members, which is read into memory whole
    total: int = 100 << 30  # bytes, unpacked
    ratio: int = 50  # unpacked to packed; recordings stay below 10
    harmless: int = 256 << 20  # bytes, unpacked, below which the ratio is not asked
    depth: int = 16  # folders within folders
    name: int = 255  # bytes of a file's or a folder's name: what file systems take
    path: int = 1_000  # bytes of both together


_Member = tuple[zipfile.ZipInfo, tuple[str, ...]]  # with the folders and the name to unpack to
_DAMAGE = (  # all that reading a damaged archive ends with
    zipfile.BadZipFile,
    EOFError,
    OSError,
    NotImplementedError,
    zlib.error,
    struct.error,
    ValueError,
    LookupError,
)


class _Archive(io.FileIO):
    """A file that is read in pieces: who asks for much at once asks for a list of millions of members."""

    def __init__(self, file: Path, limits: Limits) -> None:
        super().__init__(file)
        self._file, self._most = file, limits.table

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes."""
        if size is not None and size > self._most:
            raise UserError(f"{self._file.name}: {size} bytes of member names, more than any corpus has")
        return super().read(size) or b""


def unpack(
    archive: Path, folder: Path, tell: Callable[[int, int], None] = lambda *_: None, limits: Limits | None = None
) -> int:
    """Unpack `archive` into the new `folder`; how many files. A UserError names archive, member and fault.

    Everything is checked before anything is written: absolute paths, '..', drive letters, links, devices, encryption,
    double names, number, size and ratio. `tell` hears (bytes done, bytes in all). On failure `folder` is half full: it
    is the caller's to remove.
    """
    limits = limits or Limits()
    with _Archive(archive, limits) as file, _opened(archive, file) as source:
        members = _checked(archive, source.infolist(), limits)
        total = sum(member.file_size for member, _ in members)
        _refuse_full(archive, folder.parent, total)
        folder.mkdir()
        _write(archive, source, members, folder, lambda done: tell(done, total))
    return len(members)


def _opened(archive: Path, file: _Archive) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except _DAMAGE as fault:
        raise UserError(
            f"{archive.name}: no zip archive, or a damaged one ({_brief(fault)})\ndownload it again"
        ) from fault


def _checked(archive: Path, infos: list[zipfile.ZipInfo], limits: Limits) -> list[_Member]:
    """The files to unpack; a Mac's packaging and hidden files stay in the archive."""
    if len(infos) > limits.members:
        raise UserError(f"{archive.name}: {len(infos)} members, more than the {limits.members} of any corpus")
    members: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    for info in infos:
        target = _target(archive, info, limits)
        if info.is_dir() or not all(map(visible, target)):
            continue
        if target in members:
            raise UserError(f"{archive.name}: two members are named {_brief(info.filename)!r}; nothing was unpacked")
        members[target] = info
    _refuse_folders(archive, members, limits)
    total, packed = sum(info.file_size for info in members.values()), archive.stat().st_size
    if total > limits.total or (total > limits.harmless and total > limits.ratio * packed):
        raise UserError(f"{archive.name}: {total} bytes in {packed} packed ones is no corpus; nothing was unpacked")
    return [(info, target) for target, info in members.items()]


def _refuse_folders(archive: Path, members: Collection[tuple[str, ...]], limits: Limits) -> None:
    """Refuse more folders than a corpus has, and a file that is another's folder."""
    folders = {target[:depth] for target in members for depth in range(1, len(target))}
    if len(folders) > limits.members:
        raise UserError(f"{archive.name}: {len(folders)} folders, more than the {limits.members} of any corpus")
    both = sorted(folders.intersection(members))
    if both:
        name = _brief("/".join(both[0]))
        raise UserError(f"{archive.name}: its member {name!r} is a file and a folder; nothing was unpacked")


def _target(archive: Path, info: zipfile.ZipInfo, limits: Limits) -> tuple[str, ...]:
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
    elif info.compress_type not in PACKINGS:
        why = "is packed in a way that corpora do not use"
    elif _is_long(parts, limits):
        why = "has too long a name"
    else:
        return parts
    raise UserError(f"{archive.name}: its member {_brief(info.filename)!r} {why}; nothing was unpacked")


def _is_long(parts: tuple[str, ...], limits: Limits) -> bool:
    sizes = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
    return len(sizes) > limits.depth + 1 or max(sizes, default=0) > limits.name or sum(sizes) > limits.path


def _write(
    archive: Path, source: zipfile.ZipFile, members: list[_Member], folder: Path, tell: Callable[[int], None]
) -> None:
    done = 0
    for info, parts in members:
        file = folder.joinpath(*parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as out:
            for chunk in _chunks(archive, source, info):
                out.write(chunk)
        done += info.file_size
        tell(done)


def _chunks(archive: Path, source: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """A member's bytes; its faults are the archive's, those of writing them are not."""
    try:
        with source.open(info) as packed:
            while chunk := packed.read(CHUNK):
                yield chunk
    except _DAMAGE as fault:
        name = _brief(info.filename)
        raise UserError(f"{archive.name}: its member {name!r} is damaged ({_brief(fault)})") from fault


def _brief(said: object) -> str:
    """A name or a fault that others wrote, at most 100 letters of it."""
    text = str(said) or type(said).__name__
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _refuse_full(archive: Path, folder: Path, total: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < total + MARGIN:
        short = f"{total / 1e9:.2f} GB unpacked, {free / 1e9:.2f} GB free in {folder}"
        raise UserError(f"{archive.name}: {short}\nmake room, then run the command again")
