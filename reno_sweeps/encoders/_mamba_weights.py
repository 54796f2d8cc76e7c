"""Audio-Mamba's weights on disk: found, examined for the size asked, hashed, read, turned into safetensors."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.encoders._hashes import once, sha256
from reno_sweeps.encoders._mamba_archive import Source, opened
from reno_sweeps.encoders._mamba_pickle import Refused
from reno_sweeps.encoders._mamba_sizes import DEPTH, WIDTHS, needed, size_of, unused
from reno_sweeps.files import replacing
from reno_sweeps.records import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAFE_NAME = "model.safetensors"
GIVE = "give an official run's folder, its checkpoint-99.pth, or a .safetensors file"


@dataclass(frozen=True, slots=True)
class Weights:
    """What a file holds for one size: arrays by key, and the digest that names them."""

    arrays: dict[str, NDArray[np.float32]]
    digest: str


def locate(name: str, path: Path) -> Path:
    """The weights file that `path` is or holds; a UserError says what it holds instead."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"encoder {name}: there is no {path}\n{GIVE}")
    return _safetensors(name, path) or _checkpoint(name, path) or _nothing(name, path)


def digest(name: str, path: Path) -> str:
    """SHA-256 (64 hex digits) of the tensors used: the same for .pth, state dict and safetensors of equal values.

    Each file is read once in a process, as long as its size and time of change stay as they were.
    """
    file = locate(name, path)
    return once(file, name, lambda: _digest(name, file))


def whole(name: str, path: Path) -> bool:
    """Whether all weights are there, of the size asked; only the first is read."""
    try:
        next(_tensors(name, locate(name, path)))
    except UserError:
        return False
    return True


def load(name: str, path: Path) -> Weights:
    """The tensors used, as float32; a UserError where one is missing, misshapen or holds what is no number."""
    file = locate(name, path)
    return read(name, file, DEPTH)


def read(name: str, file: Path, depth: int | None) -> Weights:
    """As `load`, of one file and with as many blocks as said; None: as many as the file has."""
    import numpy as np

    total, arrays = hashlib.sha256(), {}
    for key, shape, content in _tensors(name, file, depth):
        _take_in(total, key, shape, content)
        arrays[key] = np.frombuffer(bytearray(content), "<f4").reshape(shape)
        if not np.isfinite(arrays[key]).all():
            raise UserError(f"encoder {name}: {file}: {key} holds NaN or infinity; these weights are damaged")
    return Weights(arrays, total.hexdigest())


def convert(name: str, source: Path, target: Path) -> dict[str, Any]:
    """Write `target`/model.safetensors from an official checkpoint; plain facts of it, hashes included.

    What pretraining needed on top is dropped. The same source gives the same bytes on every machine. A file of other
    weights is never overwritten.
    """
    file = locate(name, source)
    weights = load(name, file)
    said = {"encoder": name, "weights": weights.digest, "source": file.name, "source_sha256": sha256(file)}
    safe = target / SAFE_NAME
    if not safe.exists():
        with replacing(safe) as temporary:
            _write(temporary, weights.arrays, {"format": "pt", **said})
    elif digest(name, safe) != weights.digest:
        raise UserError(f"{safe} holds other weights\ngive another folder, or remove that file")
    return said | {
        "file": str(safe),
        "sha256": sha256(safe),
        "parameters": sum(array.size for array in weights.arrays.values()),
        "bytes": safe.stat().st_size,
    }


def _write(file: Path, arrays: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, str]) -> None:
    """Arrays as safetensors: by key, float32; its own writer puts the metadata in another order every time."""
    listed: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for key, array in sorted(arrays.items()):
        begin, end = end, end + array.nbytes
        listed[key] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [begin, end]}
    header = json.dumps(listed, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # so that the numbers are aligned
    with file.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        for _, array in sorted(arrays.items()):
            stream.write(array.tobytes())


def _tensors(name: str, file: Path, depth: int | None = DEPTH) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    """Key, shape and float32 bytes of every tensor used, by key."""
    try:
        with opened(file) as source:
            shapes = _examined(name, source, depth)
            for key in sorted(shapes):
                yield key, shapes[key], source.read(key)
    except Refused as reason:
        raise UserError(f"encoder {name}: {file}: {reason}\n{GIVE}") from reason
    except OSError as fault:
        raise UserError(f"encoder {name}: {file} cannot be read ({fault.strerror})") from fault


def _examined(name: str, source: Source, depth: int | None) -> dict[str, tuple[int, ...]]:
    """The shapes to read: all there, of the size asked, nothing unknown beside them."""
    found = {key: entry.shape for key, entry in source.entries.items()}
    token, width = found.get("cls_token", ()), WIDTHS[name]
    if len(token) == 3 and token[2] != width:
        raise Refused(f"these are the weights of {size_of(token[2])}")
    blocks = len({key.split(".")[1] for key in found if key.startswith("blocks.")})
    wanted = needed(width, blocks if depth is None else depth)
    missing = sorted(wanted.keys() - found.keys())
    if len(missing) == len(wanted):
        raise Refused("these are the weights of another model: none of Audio-Mamba's are among them")
    if missing:
        raise Refused(f"it lacks {len(missing)} of {len(wanted)} weights, the first: {missing[0]}")
    if wrong := [key for key in sorted(wanted) if found[key] != wanted[key]]:
        raise Refused(f"{wrong[0]} is {list(found[wrong[0]])}; {name} has {list(wanted[wrong[0]])}")
    if strange := sorted(found.keys() - wanted.keys() - unused(width).keys()):
        raise Refused(f"it holds {len(strange)} weights that {name} has not, the first: {strange[0]}")
    return wanted


def _digest(name: str, file: Path) -> str:
    total = hashlib.sha256()
    for key, shape, content in _tensors(name, file):
        _take_in(total, key, shape, content)
    return total.hexdigest()


def _take_in(total: Any, key: str, shape: tuple[int, ...], content: bytes) -> None:
    total.update(f"{key} {list(shape)}\n".encode())
    total.update(content)


def _safetensors(name: str, folder: Path) -> Path | None:
    files = sorted(folder.glob("*.safetensors"))
    if (folder / SAFE_NAME) in files:
        return folder / SAFE_NAME
    if len(files) > 1:
        raise UserError(f"encoder {name}: {folder} holds {len(files)} .safetensors files\ngive the one that is meant")
    return files[0] if files else None


def _checkpoint(name: str, folder: Path) -> Path | None:
    """The last epoch's file: the largest whole number behind the last '-' of its name."""
    for place in (folder, folder / "checkpoints"):
        files = sorted(place.glob("*.pth"))
        epochs = {int(found[1]): file for file in files if (found := re.search(r"-(\d+)$", file.stem))}
        if epochs:
            return epochs[max(epochs)]
        if len(files) > 1:
            raise UserError(f"encoder {name}: {place} holds {len(files)} .pth files, none numbered\ngive one of them")
        if files:
            return files[0]
    return None


def _nothing(name: str, folder: Path) -> Path:
    runs = sorted(run.parent.name for run in folder.glob("*/checkpoints"))
    hint = f"; it holds the runs {', '.join(runs[:3])}: give one of them" if runs else ""
    raise UserError(f"encoder {name}: no weights in {folder}{hint}\n{GIVE}")
