"""An archive that people hand to each other: a zip of plain files and a manifest, believed only once it is proven."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from reno_sweeps.files import replacing
from reno_sweeps.records import UserError

MANIFEST = "manifest.json"
KIND, FORMAT = "reno-sweeps sweep", 1
CHUNK = 1 << 20  # bytes
_PART = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}"
_NAME = re.compile(rf"(?:{_PART}/){{0,5}}{_PART}")
_HASH = re.compile(r"[0-9a-f]{64}")
_DAMAGE = (  # all that reading a damaged archive ends with
    zipfile.BadZipFile, UnicodeDecodeError, EOFError, OSError, NotImplementedError, RuntimeError, zlib.error,
    lzma.LZMAError, ValueError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a sweep ends and a bomb begins."""

    members: int = 200_000
    table: int = 64 << 20  # bytes of the list of members, and of the manifest, which are read into memory
    text: int = 512 << 20  # bytes of one JSON file, which is read into memory
    total: int = 64 << 30  # bytes, unpacked
    ratio: int = 100  # unpacked to packed; a study as JSON packs to a fifteenth
    harmless: int = 64 << 20  # bytes, unpacked, below which the ratio is not asked


def pack(file: Path, heading: Mapping[str, Any], members: Iterable[tuple[str, bytes | Path]]) -> dict[str, int]:
    """Write the archive `file`, whole or not at all; name → size in bytes. An existing file is refused.

    `members` are names with their content, or with the file that has it; `heading` is what the manifest says beside
    the size and SHA-256 of each.
    """
    if file.exists():
        raise UserError(f"{file} exists\nremove it, or give another name with -o")
    files: dict[str, dict[str, Any]] = {}
    with replacing(file) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members:
            files[name] = _added(out, name, content)
        manifest = {**heading, "kind": KIND, "format": FORMAT, "files": files}
        _added(out, MANIFEST, json.dumps(manifest, indent=1).encode())
    return {name: known["size"] for name, known in files.items()}


def _added(out: zipfile.ZipFile, name: str, content: bytes | Path) -> dict[str, Any]:
    """Size and hash of what was written; the same files give the same archive, whenever it is made."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.external_attr, info.compress_type = (stat.S_IFREG | 0o644) << 16, zipfile.ZIP_DEFLATED
    sha256, size = hashlib.sha256(), 0
    with out.open(info, "w", force_zip64=True) as target, _source(content) as source:
        while chunk := source.read(CHUNK):
            target.write(chunk)
            sha256.update(chunk)
            size += len(chunk)
    return {"size": size, "sha256": sha256.hexdigest()}


def _source(content: bytes | Path) -> Any:
    return content.open("rb") if isinstance(content, Path) else io.BytesIO(content)


class _Table(io.FileIO):
    """A file that is read in pieces: who asks for much at once asks for a list of millions of members."""

    def __init__(self, file: Path, most: int) -> None:
        super().__init__(file)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes."""
        if size is not None and size > self._most:
            raise zipfile.BadZipFile(f"{size} bytes of member names")
        return super().read(size) or b""


class Archive:
    """An archive whose members are those that its manifest declares, all plain files below the folder.

    A UserError names the archive, the member and the fault; nothing is written before `verify` has come to its end.
    """

    def __init__(self, file: Path, limits: Limits | None = None) -> None:
        self._file, self._limits = file, limits or Limits()
        if not file.is_file():
            raise UserError(f"{file}: there is no such file\ngive an archive that reno-sweep export wrote")
        self._stream = _Table(file, self._limits.table)
        try:
            self._infos = self._members()
            self.heading = self._manifest()
            self._compare()
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stream.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Every member but the manifest."""
        return tuple(self._files)

    def sha256(self, name: str) -> str | None:
        """The hash that the manifest declares; None where there is no such member."""
        known = self._files.get(name)
        return None if known is None else known[1]

    def verify(self) -> None:
        """Read every member to its end and compare size and hash with the manifest."""
        for name in self._files:
            for _ in self._proven(name):
                pass

    def json(self, name: str) -> Any:
        """A member's content, which is JSON."""
        if name not in self._files:
            raise self._fault(f"it has no {name}: it holds no sweep")
        if self._files[name][0] > self._limits.text:
            raise self._fault(f"its member {name!r} has {self._files[name][0]} bytes, more than any sweep's")
        return self._parsed(name, b"".join(self._proven(name)))

    def unpack(self, name: str, target: Path) -> None:
        """Write a member as the new file `target`."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            for chunk in self._proven(name):
                out.write(chunk)

    # --- examining ---

    def _members(self) -> dict[str, zipfile.ZipInfo]:
        try:
            self._zip = zipfile.ZipFile(self._stream)
        except _DAMAGE as fault:
            raise UserError(
                f"{self._file}: no archive of a sweep, or a damaged one ({_brief(fault)})\nask for it again"
            ) from fault
        infos = self._zip.infolist()
        if len(infos) > self._limits.members:
            raise self._fault(f"{len(infos)} members, more than the {self._limits.members} of any sweep")
        found: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            if why := _strange(info):
                raise self._fault(f"its member {_brief(info.orig_filename)!r} {why}")
            if info.filename in found:
                raise self._fault(f"two members are named {_brief(info.filename)!r}")
            found[info.filename] = info
        total, packed = sum(info.file_size for info in infos), self._file.stat().st_size
        bomb = total > self._limits.harmless and total > self._limits.ratio * packed
        if bomb or total > self._limits.total:
            raise self._fault(f"{total} bytes in {packed} packed ones is no sweep")
        return found

    def _manifest(self) -> dict[str, Any]:
        info = self._infos.pop(MANIFEST, None)
        if info is None or info.file_size > self._limits.table:
            raise self._fault(f"it has no {MANIFEST} that could be read")
        plain = self._parsed(MANIFEST, b"".join(self._chunks(info)))
        if not isinstance(plain, dict) or plain.get("kind") != KIND or not isinstance(plain.get("files"), dict):
            raise self._fault("it is no archive that reno-sweep export wrote")
        if plain.get("format") != FORMAT:
            raise self._fault(
                f"its format is {_brief(plain.get('format'))}, this version of reno-sweeps reads {FORMAT}"
            )
        return plain

    def _compare(self) -> None:
        """Members and manifest name the same files with the same sizes."""
        declared = self.heading.pop("files")
        odd = sorted(set(declared) ^ set(self._infos))
        if odd:
            there = "is not in its manifest" if odd[0] in self._infos else "is missing"
            raise self._fault(f"its member {_brief(odd[0])!r} {there}")
        self._files: dict[str, tuple[int, str]] = {}
        for name, known in declared.items():
            size, sha256 = (known.get("size"), known.get("sha256")) if isinstance(known, dict) else (None, None)
            if size != self._infos[name].file_size or not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
                raise self._fault(f"its member {_brief(name)!r} is not what its manifest says")
            self._files[name] = (self._infos[name].file_size, sha256)

    # --- reading ---

    def _proven(self, name: str) -> Iterator[bytes]:
        """A member's bytes; a UserError at the end where their hash is another."""
        sha256, size = hashlib.sha256(), 0
        for chunk in self._chunks(self._infos[name]):
            sha256.update(chunk)
            size += len(chunk)
            yield chunk
        if (size, sha256.hexdigest()) != self._files[name]:
            raise self._fault(f"its member {name!r} was changed: its hash is not its manifest's")

    def _chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        try:
            with self._zip.open(info) as packed:
                while chunk := packed.read(CHUNK):
                    yield chunk
        except _DAMAGE as fault:
            raise self._fault(f"its member {_brief(info.filename)!r} is damaged ({_brief(fault)})") from fault

    def _parsed(self, name: str, content: bytes) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as fault:
            raise self._fault(f"its member {name!r} is no JSON ({_brief(fault)})") from fault

    def _fault(self, what: str) -> UserError:
        return UserError(f"{self._file}: {what}\nnothing was imported; ask for the archive again")


def _strange(info: zipfile.ZipInfo) -> str | None:
    """Why a member may not be unpacked, in one clause."""
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name):
        return "leaves the folder"
    if kind not in {0, stat.S_IFREG}:
        return "is a link, a folder or a device, not a file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "is packed in a way that export does not use"
    return None if name == info.filename and _NAME.fullmatch(name) else "has a name that no export writes"


def _brief(said: object) -> str:
    """A name or a fault that others wrote, at most 100 letters of it, printable."""
    text = (str(said) or type(said).__name__).splitlines()[0][:100]
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)
