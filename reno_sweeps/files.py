"""Writing a file whole or not at all; reading JSON that others wrote."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(file: Path, *, private: bool = False) -> Iterator[Path]:
    """A temporary file beside `file` to write into: on success it is synced and renamed, on any error it is gone.

    Its name is unique, so that two writers of one file never meet; the folder is made. A reader sees the old file or
    the new one, never half of either. Only the user may read a `private` one, at no moment anybody else.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name[:40]}.", suffix=".tmp", dir=file.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        if not private:
            temporary.chmod(_MODE)  # mkstemp's is 0600; a shared cache must stay readable
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(file: Path, content: bytes, *, private: bool = False) -> None:
    """Write `content` as `file`, atomically; `private` files are the user's alone (mode 0600)."""
    with replacing(file, private=private) as temporary:
        temporary.write_bytes(content)


def parsed(text: str | bytes) -> Any:
    """The value of JSON that others wrote; a ValueError for all that is none, and for brackets without end."""
    try:
        return json.loads(text)
    except RecursionError as fault:
        raise ValueError("nested too deep") from fault


def _sync(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_MODE = 0o666 & ~_umask()  # asked once: asking sets it for a moment, for every thread
