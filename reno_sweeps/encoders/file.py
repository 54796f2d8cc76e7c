"""Embeddings from any other tool: an .npz file with one vector per clip, keys `ids` and `X`."""

from __future__ import annotations

import hashlib
import posixpath
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from reno_sweeps.encoders._facts import EncoderFacts
from reno_sweeps.records import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PREFIX = "file:"
ROWS: tuple[EncoderFacts, ...] = ()  # every id is a path of the user's
PATTERN = EncoderFacts("file:<x.npz>", "file", "precomputed; keys ids and X", None, "yours")
VERSION = "1"
HARMLESS, RATIO = 64 << 20, 20  # bytes unpacked that are always taken; else at most so many times the packed ones


def facts(name: str, weights: str | None = None, download: bool = False) -> dict[str, Any]:  # noqa: ARG001
    """The address facts of `file:<x.npz>`: its bytes are its weights."""
    if weights is not None:
        raise UserError(f"--weights {name}={weights}: {name} is precomputed, it takes no weights")
    return {
        "encoder": "file",
        "weights": _digest(path_of(name)),
        "layer": None,
        "pooling": "as given",
        "precision": "float32",
        "normalize": False,
        "code": VERSION,
    }


def load(name: str, *_: object) -> NoReturn:
    """Never an encoder: precomputed vectors cannot hear a recording."""
    raise UserError(
        f"encoder {name}: precomputed embeddings cannot encode recordings\n"
        "use an encoder that hears audio (mfcc, log-mel, hf:…), or a model that takes the vectors"
    )


def path_of(name: str) -> Path:
    """The file that `file:<x.npz>` names."""
    return Path(name.removeprefix(PREFIX)).expanduser()


def vectors(npz: Path, ids: Sequence[str]) -> NDArray[np.float32]:
    """The vectors [n, dim] of `ids`, in their order, whatever the order in the file.

    A UserError names the clips without a vector, the vectors without a clip, and ids or numbers that cannot be used.
    """
    import numpy as np

    names, matrix = _read(npz)
    _refuse_other_ids(npz, names, ids)
    row = {name: number for number, name in enumerate(names)}
    picked = np.ascontiguousarray(matrix[[row[name] for name in ids]])
    strange = [ids[int(number)] for number in np.flatnonzero(~np.isfinite(picked).all(axis=1))]
    if strange:
        raise UserError(f"{npz}: {_some(strange)} hold NaN or infinity\nmake those vectors again, or drop those clips")
    return picked


def _read(npz: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Names and vectors [n, dim] as they stand in the file."""
    import lzma
    import struct
    import tokenize
    import zipfile
    import zlib

    import numpy as np

    _refuse_missing(npz)
    plain = (ValueError, OSError, EOFError, TypeError, AttributeError, RuntimeError, MemoryError, ArithmeticError)
    parsed = (SyntaxError, tokenize.TokenError, LookupError)  # what a damaged header comes to
    packed = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)  # and a damaged archive
    try:
        with np.load(npz, allow_pickle=False) as arrays:
            _refuse_bomb(npz, arrays.zip.infolist())
            absent = [key for key in ("ids", "X") if key not in arrays]
            if absent:
                raise UserError(f"{npz}: no key {' and no key '.join(absent)}; found {', '.join(arrays) or 'nothing'}")
            names, matrix = arrays["ids"], arrays["X"]
        if not isinstance(names, np.ndarray) or not isinstance(matrix, np.ndarray):
            raise TypeError("a member that is no array")  # numpy hands out its bytes
        if names.dtype.kind == "S":
            names = np.char.decode(names, "utf-8")
        texts = _texts(names) if names.dtype.kind == "U" else []
    except (*plain, *parsed, *packed) as fault:
        raise UserError(
            f"{npz}: not an .npz file of plain arrays ({fault})\n"
            "write it with numpy.savez(file, ids=ids.astype(str), X=X.astype('float32'))"
        ) from fault
    _refuse_shapes(npz, names, matrix)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        return [posixpath.normpath(name) for name in texts], matrix.astype(np.float32, copy=False)


def _texts(names: NDArray[Any]) -> list[str]:
    """An array of text as Python's; a ValueError for numbers that no letter has, on which Python itself breaks."""
    import numpy as np

    native = np.ascontiguousarray(names, names.dtype.newbyteorder("="))
    if native.size and native.view(np.uint32).max() > sys.maxunicode:
        raise ValueError("ids hold letters that Unicode has not")
    texts: list[str] = native.tolist()
    return texts


def _refuse_bomb(npz: Path, members: Sequence[Any]) -> None:
    """Refuse an archive that is far more than it seems; vectors of an encoder hardly shrink at all."""
    total, packed = sum(member.file_size for member in members), npz.stat().st_size
    if total > HARMLESS and total > RATIO * packed:
        raise UserError(f"{npz}: {total} bytes in {packed} packed ones are no embeddings")


def _refuse_shapes(npz: Path, names: NDArray[Any], matrix: NDArray[Any]) -> None:
    if names.ndim != 1 or names.dtype.kind != "U":
        raise UserError(f"{npz}: ids is {names.dtype} {list(names.shape)}; it is one line of text, a path a clip")
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or len(matrix) != len(names) or not matrix.size:
        raise UserError(
            f"{npz}: X is {matrix.dtype} {list(matrix.shape)}; for {len(names)} ids it is numbers [{len(names)}, dim]"
        )


def _refuse_other_ids(npz: Path, names: Sequence[str], ids: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{npz}: {_some(twice)} stand in ids more than once")
    missing, extra = sorted(set(ids) - set(names)), sorted(set(names) - set(ids))
    if missing or extra:
        lacking = f"no vector for {_some(missing)}" if missing else ""
        beside = f"vectors of no clip: {_some(extra)}" if extra else ""
        raise UserError(
            f"{npz}: {'; '.join(filter(None, (lacking, beside)))}\n"
            f"its ids are the {len(ids)} paths of the corpus, each once, in any order"
        )


def _some(names: Sequence[str]) -> str:
    """'3 clips (a, b, c)': how many, and the first few."""
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} clip{'s' if len(names) > 1 else ''} ({shown})"


def _digest(npz: Path) -> str:
    _refuse_missing(npz)
    with npz.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _refuse_missing(npz: Path) -> None:
    if not npz.is_file():
        raise UserError(f"encoder file:{npz}: there is no such file")
