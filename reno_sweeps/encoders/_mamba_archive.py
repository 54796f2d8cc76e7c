"""The tensors of a torch file or a safetensors file: their shapes at once, their bytes one by one, as float32.

Neither torch nor numpy is needed. No more is read than the known shapes call for, so that a file cannot ask for more
memory than its size's weights take.
"""

from __future__ import annotations

import contextlib
import math
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from reno_sweeps.encoders._mamba_pickle import AXES, LARGEST, Placed, Refused, tables
from reno_sweeps.files import parsed

LIST = 1 << 22  # bytes of a file's list of tensors; the largest official one has a twelfth of it
STORAGE = 1 << 29  # bytes of one tensor's storage; a whole base model has 277 MB
DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, LookupError)
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}  # of a number
SAFE = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
DRIVE = "this is a web page saved in place of the file (Google Drive shows one before a large download)"


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor in a file; `place` is the file's own way to find it."""

    shape: tuple[int, ...]
    dtype: str
    place: Any


class Source(ABC):
    """An open weights file: `entries` by key, without the prefix of parallel training."""

    entries: dict[str, Entry]

    def read(self, key: str) -> bytes:
        """The numbers of a tensor: float32, little-endian, row-major."""
        entry = self.entries[key]
        if entry.dtype not in BYTES:
            raise Refused(f"{key} is stored as {entry.dtype}; on offer: {', '.join(BYTES)}")
        return _widened(self.stored(entry), entry.dtype)

    @abstractmethod
    def stored(self, entry: Entry) -> bytes:
        """The numbers as the file has them, row-major."""


@contextlib.contextmanager
def opened(file: Path) -> Iterator[Source]:
    """The file's tensors; Refused says what it is instead."""
    with file.open("rb") as stream:
        start = stream.read(512)
        stream.seek(0)
        yield _source(stream, start, file.stat().st_size)


def _source(stream: BinaryIO, start: bytes, size: int) -> Source:
    if start.startswith(b"PK\x03\x04"):
        with _unzipping():
            archive = zipfile.ZipFile(stream)
        return _Torch(archive)
    if start[8:9] == b"{":  # eight bytes of length, then JSON
        return _Safetensors(stream, size)
    if start.lstrip()[:1] == b"<":
        raise Refused(DRIVE)
    if start.startswith(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"):
        raise Refused("it is in torch's format of before 2020; load and save it again with a newer torch")
    raise Refused("it is empty" if not size else "it is neither a torch file (.pth) nor a safetensors file")


@contextlib.contextmanager
def _unzipping() -> Iterator[None]:
    """What zipfile makes of a damaged archive, as one refusal."""
    try:
        yield
    except (*DAMAGES, OSError) as fault:  # OSError: a place before the file's beginning
        raise Refused(f"it is damaged or was cut short in downloading ({fault})") from fault


class _Torch(Source):
    """torch.save's zip: a list of tensors, and a member for each storage."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
        if len(self._members) != len(archive.infolist()):
            raise Refused("it holds two members of one name")
        if "byteorder" in self._members and self._member("byteorder", 16).strip() != b"little":
            raise Refused("it was written on a big-endian machine")
        found = _state(tables(self._member("data.pkl", LIST)))
        self.entries = {key: Entry(tensor.shape, tensor.storage.dtype, tensor) for key, tensor in found.items()}

    def stored(self, entry: Entry) -> bytes:
        tensor: Placed = entry.place
        width, storage = BYTES[entry.dtype], tensor.storage
        size = storage.numel * width
        if size > STORAGE:
            raise Refused(f"data/{storage.key} promises {size} bytes; no known size needs so many")
        content = self._member(f"data/{storage.key}", size)
        if len(content) != size:
            raise Refused(f"data/{storage.key} holds {len(content)} bytes of {size}")
        return _rows(content, tensor, width)

    def _member(self, name: str, most: int) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise Refused(f"it has no {name}: no torch file, or a damaged one")
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or member.flag_bits & 1:
            raise Refused(f"{name} is encrypted, or packed in a way that torch does not use")
        if member.file_size > most:
            raise Refused(f"{name} unpacks to {member.file_size} bytes; at most {most} belong there")
        with _unzipping():
            return self._archive.read(
                member
            )  # stops at file_size and checks the sum, whatever the stream goes on to say


class _Safetensors(Source):
    """A JSON list of tensors, then their bytes."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        length = int.from_bytes(stream.read(8), "little")
        if length > min(LIST, size - 8):
            raise Refused("its list of tensors is longer than the file: damaged, or cut short in downloading")
        self._start, self._room = 8 + length, size - 8 - length
        try:
            listed = parsed(stream.read(length))
            listed.pop("__metadata__", None)
            self.entries = {_plain(key): self._entry(facts) for key, facts in listed.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise Refused("its list of tensors is damaged") from fault

    def _entry(self, facts: dict[str, Any]) -> Entry:
        begin, end = facts["data_offsets"]
        shape, dtype = tuple(facts["shape"]), SAFE.get(facts["dtype"], str(facts["dtype"])[:20])
        if len(shape) > AXES or not all(isinstance(n, int) and 0 <= n < LARGEST for n in (begin, end, *shape)):
            raise ValueError  # the product of many long numbers takes for ever
        if end > self._room:
            raise Refused("it was cut short in downloading: tensors lie beyond its end")
        if dtype in BYTES and end - begin != math.prod(shape) * BYTES[dtype]:
            raise ValueError
        return Entry(shape, dtype, (begin, end))

    def stored(self, entry: Entry) -> bytes:
        begin, end = entry.place
        self._stream.seek(self._start + begin)
        return self._stream.read(end - begin)


def _state(content: Any) -> dict[str, Placed]:
    """The tensors of a checkpoint's `model`, or of a bare state dict."""
    table = content.get("model", content) if isinstance(content, dict) else {}
    found = {_plain(key): value for key, value in table.items() if isinstance(value, Placed)}
    if not found:
        raise Refused("it holds no state dict, neither as 'model' nor bare")
    return found


def _plain(key: object) -> str:
    """A key without the prefix that DataParallel puts before each."""
    return str(key).removeprefix("module.")


def _rows(content: bytes, tensor: Placed, width: int) -> bytes:
    """The part of a storage that a tensor is, in row-major order."""
    numbers = math.prod(tensor.shape)
    reach = tensor.offset + 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if reach > tensor.storage.numel or not numbers:
        raise Refused(f"a tensor reaches beyond data/{tensor.storage.key}")
    if _contiguous(tensor):
        return content[tensor.offset * width : (tensor.offset + numbers) * width]
    import numpy as np  # only for views such as a transposed matrix, which are rare

    flat = np.frombuffer(content, f"V{width}")[tensor.offset :]
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, [s * width for s in tensor.strides]).tobytes()


def _contiguous(tensor: Placed) -> bool:
    expected = 1
    for size, stride in zip(reversed(tensor.shape), reversed(tensor.strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _widened(content: bytes, dtype: str) -> bytes:
    """Half precision as float32: every half is one exactly."""
    if dtype == "bfloat16":  # the upper half of a float32
        wide = bytearray(2 * len(content))
        wide[2::4], wide[3::4] = content[::2], content[1::2]
        return bytes(wide)
    if dtype == "float16":
        import numpy as np

        return np.frombuffer(content, "<f2").astype("<f4").tobytes()
    return content
