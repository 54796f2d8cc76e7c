"""Vectors on disk: .npz files of other tools, cache entries and the files of finished folds."""

from __future__ import annotations

import functools
import hashlib
import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.kind import Kind, written
from tests.fuzz.mutations import EDGES, as_json, bent, spoilt

IDS = [f"audio/{n}.wav" for n in range(6)]
WIDTH = 8
DESCRIPTIONS = (
    "'<f4'", "'<f8'", "'>f4'", "'<f2'", "'<i8'", "'<c8'", "'|O'", "'|V4'", "'<U4'", "'|S4'", "'<M8[s]'", "'|b1'", "'<U12'",
    "'<U99999999'", "'|V2147483647'", "[('a','<f4')]", "[('a','<f4',(9,)*9)]", "('<f4',(2,2))", "'<f4,<f4'", "1", "None", "()",
    "'(1000000000,)f4'", "'<f16'", "object", "__import__('os')", "'" + "a" * 900 + "'", "-" * 3_000 + "1", "[" * 300 + "]" * 300,
)  # fmt: skip
SHAPES = (
    "(6, 8)", "(6,)", "()", "(48,)", "(6, 0)", "(0, 8)", "(-6, -8)", "(6, -1)", "(True, 8)", "(6.0, 8)", "(1 << 60,)",
    "(1099511627776, 8)", "(4294967296, 4294967296)", "(9223372036854775807, 2)", "(6, 250000000)", "(6, 8, 1)", "[6, 8]",
    "6", "None", "(6, 8" + ", 1" * 40 + ")", "(6, 8, 'x')", "('6', 8)",
)  # fmt: skip


@functools.cache
def _arrays() -> dict[str, Any]:
    import numpy as np

    return {"ids": np.array(IDS), "X": np.random.default_rng(0).normal(size=(len(IDS), WIDTH)).astype(np.float32)}


def _npy(array: Any) -> bytes:
    import numpy as np

    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=True)
    return out.getvalue()


def _described(descr: str, shape: str, content: bytes, order: str = "False") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text) + 1) + text + b"\n" + content


def _archive(members: list[tuple[str, bytes]], packing: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = packing
            archive.writestr(info, content)
    return out.getvalue()


def _npz(dice: Random | None, folder: Path) -> Path:
    members = {name: _npy(array) for name, array in _arrays().items()}
    if dice is None:
        return written(folder, "x.npz", _archive([(f"{name}.npy", content) for name, content in members.items()]))
    name = dice.choice(("ids", "X"))
    members[name] = _member(dice, name, members[name])
    listed = [
        (f"{key}{dice.choice(('.npy',) * 9 + ('', '.NPY', '.npy/'))}", content) for key, content in members.items()
    ]
    if dice.random() < 0.1:
        listed.append(dice.choice(listed))
    content = _archive(listed, dice.choice((0, 0, 8, 8, 12, 14)))
    return written(folder, "x.npz", spoilt(dice, content) if dice.random() < 0.4 else content)


def _member(dice: Random, name: str, whole: bytes) -> bytes:
    import numpy as np

    roll = dice.random()
    if roll < 0.3:
        return spoilt(dice, whole)
    if roll < 0.7:
        body = dice.choice((whole[128:], b"", bytes(4_000), dice.randbytes(2_000)))
        own = "'<U11'" if name == "ids" else "'<f4'"
        shape = "(6,)" if name == "ids" else "(6, 8)"
        kind = dice.choice((own, dice.choice(DESCRIPTIONS)))
        return _described(
            kind, dice.choice((shape, dice.choice(SHAPES))), body, dice.choice(("False", "True", "2", "''"))
        )
    if roll < 0.8:
        codes = np.array([dice.choice((0x110000, 0xD800, 0, 0x1B, 0xFFFFFFFF, 0x41)) for _ in range(66)], "<u4")
        return _described("'<U11'", "(6,)", codes.tobytes())
    if roll < 0.83:  # a bomb: a hundred kilobytes that are a hundred megabytes
        return _described("'<f4'", "(6, 4000000)", bytes(6 * 4_000_000 * 4))
    return _npy(dice.choice((
        np.array(IDS, dtype=object), np.array([IDS]), np.array(IDS[:5]), np.array([b"\xff"] * 6), np.array(IDS * 2),
        np.full((6, 8), np.nan), np.full((6, 8), 1e300), np.zeros((6, 8), "M8[s]"), np.zeros((6, 8), complex), np.zeros((6, 0)),
        np.array(["a\n\x1b[2J"] * 6), np.zeros((6, 8), "<f4,<f4"), np.array(["x" * 100_000] * 6), np.zeros((1,) * 30), np.array(5),
    )))  # fmt: skip


def _read_npz(file: Path) -> object:
    from reno_sweeps.encoders import file as precomputed

    precomputed.facts(f"file:{file}")
    found = precomputed.vectors(file, IDS)
    if found.shape[0] != len(IDS) or found.dtype != "float32":
        raise AssertionError(f"{found.dtype} {found.shape}")
    return found.sum()


# --- the cache -----------------------------------------------------------------------------------------------

ADDRESS = "ab" + "0" * 62


def safetensors(header: bytes, body: bytes, length: int | None = None) -> bytes:
    """The format's bytes; `length` is what the first eight say of the header, where it is not the truth."""
    return struct.pack("<Q", (len(header) if length is None else length) % 2**64) + header + body


def in_order(content: bytes) -> bytes:
    """The same file with its header's keys in order: safetensors writes metadata in another order every time."""
    import json

    size = int.from_bytes(content[:8], "little")
    return safetensors(json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True).encode(), content[8 + size :])


def unsafe(dice: Random, content: bytes) -> bytes:
    """A safetensors file whose header is bent as a tree, or that is spoilt as bytes."""
    import json

    if dice.random() < 0.35:
        return spoilt(dice, content)
    size = int.from_bytes(content[:8], "little")
    listed, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    header = as_json(dice, bent(dice, listed, ("dtype", "shape", "data_offsets", "__metadata__")))
    for kind in ("F32", "F16", "I32"):
        if dice.random() < 0.2:
            header = header.replace(
                kind.encode(), dice.choice((b"BF16", b"F64", b"I64", b"U8", b"BOOL", b"F8_E4M3", b"F4", b"C64", b"I32"))
            )
    length = dice.choice((None,) * 9 + (dice.choice(EDGES),))
    return safetensors(header, body, length)


def _entry(dice: Random | None, folder: Path) -> Path:
    import numpy as np

    from reno_sweeps.embeddings.store import _packed

    content = in_order(_packed(ADDRESS, np.arange(WIDTH, dtype=np.float32), {"encoder": "mfcc"}))
    (folder / ADDRESS[:2]).mkdir()
    written(folder / ADDRESS[:2], f"{ADDRESS}.safetensors", unsafe(dice, content) if dice else content)
    return folder


def _get(folder: Path) -> object:
    from reno_sweeps.embeddings.store import Store
    from reno_sweeps.records import UserError

    vector = Store(folder).get(ADDRESS)
    if vector is None:
        raise UserError("damaged: it is computed again")
    if vector.dtype != "float32" or vector.ndim != 1:
        raise AssertionError(f"{vector.dtype} {vector.shape}")
    return vector.sum()


def _index(dice: Random | None, folder: Path) -> Path:
    from reno_sweeps import audio

    whole = {f"{n:064x}": f"{n:064x}" for n in range(5)}
    place = folder / f"audio-{audio.VERSION}"
    place.mkdir()
    written(place, "0.json", as_json(dice, bent(dice, whole)) if dice else as_json(Random(2), whole))
    return folder


def _look_up(folder: Path) -> object:
    from reno_sweeps.embeddings.heard import Heard

    index = Heard(folder)
    for n in range(5):
        found = index.get(f"{n:064x}")
        if found is not None and not isinstance(found, str):
            raise AssertionError(f"{found!r} is no digest")
    index.add("a", "b")
    return index.flush()


# --- folds ---------------------------------------------------------------------------------------------------


def _score(folder: Path) -> Any:
    import numpy as np

    from reno_sweeps.records import FoldResult, Key, Split
    from reno_sweeps.search.fold_files import FoldFiles

    tables: dict[str, Any] = {
        "sizes": {},
        "validation": {},
        "test": {},
        "curves": {},
        "test_f1": (),
        "test_confusion": (),
    }
    result = FoldResult(
        best_epoch=1, epochs=1, seed=0, parameters=1, seconds=1.0, finished=1.0, weights={"w": np.zeros(3, np.float32)},
        validation_probabilities=np.full((2, 3), 1 / 3), test_probabilities=np.full((4, 3), 1 / 3), **tables,
    )  # fmt: skip
    return FoldFiles(folder).write(Key("trial 0"), result, Split((6,), (4, 5), (0, 1, 2, 3)))


def _fold(dice: Random | None, folder: Path) -> Path:
    score = _score(folder)
    if dice:
        for file in (folder / score.file, folder / "weights" / "trial-0000" / Path(score.file).name):
            file.write_bytes(unsafe(dice, file.read_bytes()))
    return folder / score.file


def _read_fold(file: Path) -> object:
    """What a report and `predictions` do, with a ledger that knows the spoilt file's own hash."""
    from reno_sweeps.records import Clip, UserError
    from reno_sweeps.reports.evidence import gather
    from reno_sweeps.search.fold_files import FoldFiles

    folder, content = file.parent.parent, file.read_bytes()
    files, clips = FoldFiles(folder), [Clip(f"{n}.wav", "abc"[n % 3]) for n in range(7)]
    score = _known(file, hashlib.sha256(content).hexdigest())
    if not files.intact(score):
        raise UserError("damaged: the fold is trained again")
    files.read_weights("trial 0", score)
    return gather([score], files.read, clips, ["a", "b", "c"])


def _known(file: Path, sha256: str) -> Any:
    from reno_sweeps.records import FoldScore

    tables: dict[str, Any] = {
        "sizes": {},
        "validation": {},
        "test": {},
        "curves": {},
        "test_f1": (),
        "test_confusion": (),
    }
    numbers: dict[str, Any] = {"repeat": 0, "fold": 0, "best_epoch": 1, "epochs": 1, "seed": 0, "parameters": 1}
    score = FoldScore(**numbers, **tables, seconds=1.0, finished=1.0, file=f"folds/{file.name}", sha256="")
    return replace(score, sha256=sha256)


KINDS = (
    Kind("embeddings (npz)", _npz, _read_npz),
    Kind("cache entry", _entry, _get),
    Kind("cache index", _index, _look_up),
    Kind("fold file", _fold, _read_fold),
)
