"""Whether a folder's safetensors files are whole, known from their headers before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from reno_sweeps.files import parsed

INDEX = "*.safetensors.index.json"  # of weights that are kept in several files
LONGEST = 100_000_000  # bytes of a header: the format's own limit
PREFIX = 8  # bytes: the header's length, little-endian


def fault(folder: Path) -> str | None:
    """What is wrong with the weights in `folder`, in half a sentence; None where they are whole."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return f"{folder} holds no .safetensors file"
    for index in folder.glob(INDEX):
        absent = sorted(set(_shards(index)) - {file.name for file in files})
        if absent:
            return f"{folder} lacks {len(absent)} of its weights' files, the first: {absent[0]}"
    return next((said for file in files if (said := _damage(file))), None)


def _shards(index: Path) -> list[str]:
    """The files that an index names; none where it cannot be read (transformers then says so)."""
    try:
        return [str(file) for file in parsed(index.read_bytes())["weight_map"].values()]
    except (ValueError, LookupError, AttributeError, TypeError):
        return []


def _damage(file: Path) -> str | None:
    size = file.stat().st_size
    with file.open("rb") as stream:
        header = int.from_bytes(stream.read(PREFIX), "little")
        if size < PREFIX or header > size - PREFIX:
            return f"{file} is cut short: {size:,} bytes, its header alone is longer"
        if header > LONGEST:
            return f"{file} is no safetensors file: its header has {header:,} bytes, more than the format allows"
        text = stream.read(header)
    try:
        ends = [entry["data_offsets"][1] for name, entry in parsed(text).items() if name != "__metadata__"]
        whole = PREFIX + header + max(ends, default=0)
    except (ValueError, LookupError, AttributeError, TypeError):
        return f"{file} is no safetensors file: its header cannot be read"
    return None if size == whole else f"{file} has {size:,} bytes, its header says {whole:,}: a broken download?"
