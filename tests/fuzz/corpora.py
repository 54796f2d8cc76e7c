"""Corpora: tables (CSV, Parquet), folders with all that a file system holds, and zip archives."""

from __future__ import annotations

import csv
import functools
import io
import os
import zipfile
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.kind import Kind, written
from tests.fuzz.mutations import NUMBERS, ODD_TEXT, PATHS, spoilt

ROWS = [(f"audio/{n}.wav", ("joy", "sadness", "fear")[n % 3], f"s{n % 4}", n % 5) for n in range(30)]
HEAD = ("path", "label", "speaker", "fold")
NAMES = (
    "x.wav", "X.WAV", "x.flac", ".hidden.wav", "..wav", "-rf.wav", "a b.wav", "\n.wav", "\x1b[31m.wav", "é.wav",
    "e\u0301.wav", "\u202egpj.wav", "\udcff.wav", "x" * 251 + ".wav", "x.wav.txt", "😀.ogg", "'.mp3", "$(id).wav", "%s.wav",
)  # fmt: skip
LABELS = ("joy", "fear", "sad ness", "é", "\udcfe", ".hidden", "-x", "\n", "a" * 200, "__MACOSX", "=1+1")
EXPRESSIONS = (
    None, "", "s(\\d)", "(?P<speaker>s.)", "(", "[", "(?P<speaker>", "(a+)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", ".*.*.*.*.*=",
    "(?:a|aa)+$", "()", "(x)?", "\\", "(?i)S", "a{1,65535}{1,65535}", "(?s:.)" * 2_000, "(" * 200 + ")" * 200, "[^/]+",
)  # fmt: skip


# --- tables --------------------------------------------------------------------------------------------------


def _csv(dice: Random | None, folder: Path) -> Path:
    return written(folder, "clips.csv", _csv_content(dice) if dice else _csv_text(None, [list(HEAD), *ROWS]).encode())


def _csv_text(dice: Random | None, rows: list[Any]) -> str:
    out = io.StringIO()
    style = {"delimiter": dice.choice(",,,,;\t|"), "quoting": dice.choice((0, 1, 2))} if dice else {}
    csv.writer(out, escapechar="\\", **style).writerows(rows)
    return out.getvalue()


def _csv_content(dice: Random) -> bytes:
    rows = _table(dice)
    if dice.random() < 0.1:
        cells = [dice.choice(ODD_TEXT) * dice.choice((1, 3_000)) for _ in range(3)]
        rows = [[cell] * min(dice.choice((1, 500)), 1 + 10_000_000 // (1 + len(cell))) for cell in cells]
    text = _csv_text(dice, rows)
    content = text.encode(dice.choice(("utf-8",) * 6 + ("utf-16", "utf-8-sig", "utf-32")), "surrogatepass")
    return spoilt(dice, content) if dice.random() < 0.4 else content


def _table(dice: Random) -> list[list[Any]]:
    """The rows with odd cells, doubled, cut, with other columns."""
    rows: list[list[Any]] = [list(HEAD), *map(list, ROWS)]
    for _ in range(dice.choice((0, 1, 2, 5))):
        row = dice.choice(rows)
        row[dice.randrange(len(row))] = dice.choice((dice.choice(ODD_TEXT), dice.choice(PATHS), dice.choice(NUMBERS)))
    roll = dice.random()
    if roll < 0.1:
        rows.append(list(dice.choice(rows)))
    elif roll < 0.2:
        rows[dice.randrange(len(rows))] = dice.choice(([], ["x"], list("abcdefgh")))
    elif roll < 0.3:
        column = dice.randrange(4)
        for row in rows[1:]:
            row[column] = dice.choice((row[column], dice.choice(NUMBERS), dice.choice(PATHS)))
    return rows


def _parquet(dice: Random | None, folder: Path) -> Path:
    content = _parquet_content(dice)
    return written(folder, "clips.parquet", spoilt(dice, content) if dice and dice.random() < 0.6 else content)


def _parquet_content(dice: Random | None) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: pa.array([row[place] for row in ROWS]) for place, name in enumerate(HEAD)}
    settings: dict[str, Any] = {}
    if dice:
        for _ in range(dice.choice((0, 1, 1, 2))):
            columns[dice.choice(HEAD)] = _column(dice)
        most = min(map(len, columns.values()))
        columns = {name: column[:most] for name, column in columns.items() if dice.random() < 0.97}
        settings = {
            "compression": dice.choice(("snappy", "zstd", "gzip", "none")),
            "use_dictionary": dice.random() < 0.6,
            "data_page_version": dice.choice(("1.0", "2.0")),
        }
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out, **settings)
    return out.getvalue()


def _column(dice: Random) -> Any:
    """Thirty cells of a kind that no table of clips has; or millions of one."""
    import pyarrow as pa

    def invalid_text() -> Any:
        words = [b"\xff\xfe" + dice.randbytes(3) for _ in ROWS]
        return pa.Array.from_buffers(pa.string(), len(words), pa.array(words, pa.binary()).buffers())

    return dice.choice((
        lambda: pa.array([dice.randbytes(4) for _ in ROWS], pa.binary()),
        invalid_text,
        lambda: pa.array([dice.choice(ODD_TEXT) for _ in ROWS]),
        lambda: pa.array([dice.choice(PATHS) for _ in ROWS]),
        lambda: pa.array([float(n) if isinstance(n, float) else 0.5 for n in dice.choices(NUMBERS, k=30)]),
        lambda: pa.array([dice.choice((2**62, -(2**62), 0)) for _ in ROWS], pa.timestamp("ms")),
        lambda: pa.array([dice.choice((2**62, -(2**62), 0)) for _ in ROWS], pa.timestamp("ns", tz="nowhere/at_all")),
        lambda: pa.array([2**31 - 1 - n for n in range(30)], pa.date32()),
        lambda: pa.array([2**62] * 30, pa.duration("s")),
        lambda: pa.array([[n] for n in range(30)]),
        lambda: pa.array([{"a": n} for n in range(30)]),
        lambda: pa.array([None] * 30),
        lambda: pa.array([True] * 30),
        lambda: pa.array(["joy", "fear"] * 15).dictionary_encode(),
        lambda: pa.array(["x" * 10_000_000] * 30),
        lambda: pa.DictionaryArray.from_arrays(pa.array([0] * 20_000_000, pa.int8()), pa.array(["a" * 1_000])),
        lambda: pa.nulls(20_000_000, pa.string()),
    ))()  # fmt: skip


def _manifest(file: Path) -> object:
    from reno_sweeps.corpora import manifest

    return _sound(manifest.read(file))


def _sound(corpus: Any) -> object:
    """What comes after reading: names that are hashed and stored, places below the root, folds."""
    from reno_sweeps.corpora._digest import content_digest
    from reno_sweeps.folds import make_splits
    from reno_sweeps.records import Protocol

    root = Path(os.path.abspath(corpus.root))
    for clip in corpus.clips:
        if (
            Path(os.path.abspath(root / clip.path)) != root
            and root not in Path(os.path.abspath(root / clip.path)).parents
        ):
            raise AssertionError(f"{clip.path!r} lies outside {root}")
    content_digest(corpus, with_audio=False)
    return make_splits(corpus, Protocol())


# --- folders -------------------------------------------------------------------------------------------------


def _folder(dice: Random | None, folder: Path) -> Path:
    root = folder / "corpus"
    for path, label, speaker, _ in ROWS:
        place = root / label / speaker
        place.mkdir(parents=True, exist_ok=True)
        (place / Path(path).name).write_bytes(path.encode())
    for _ in range(dice.choice((1, 2, 4, 8)) if dice else 0):
        _oddity(dice, root)
    expression = dice.choice(EXPRESSIONS) if dice else None
    (folder / "speaker").write_text("" if expression is None else expression)
    return root


def _oddity(dice: Random, root: Path) -> None:
    place = root / dice.choice(LABELS)
    file = place / dice.choice(NAMES)
    if os.path.lexists(file):
        return
    place.mkdir(exist_ok=True)
    dice.choice((
        lambda: file.write_bytes(b""),
        lambda: file.write_bytes(dice.randbytes(50)),
        file.mkdir,
        lambda: os.mkfifo(file),
        lambda: file.symlink_to("/dev/zero"),
        lambda: file.symlink_to("/etc/passwd"),
        lambda: file.symlink_to(file),
        lambda: file.symlink_to(root),
        lambda: file.symlink_to("nowhere"),
        lambda: (place / ("a" * 60)).mkdir(exist_ok=True) or (place / ("a" * 60) / ("a" * 60 + "!.wav")).touch(),
        lambda: Path(place, *["d"] * 200).mkdir(parents=True, exist_ok=True),
    ))()  # fmt: skip


def _read_folder(root: Path) -> object:
    from reno_sweeps.corpora import folder
    from reno_sweeps.corpora._digest import content_digest

    corpus = folder.read(root, (root.parent / "speaker").read_text() or None)
    content_digest(corpus, with_audio=True, skip_broken=True)
    return _sound(corpus)


# --- archives ------------------------------------------------------------------------------------------------


@functools.cache
def _zip() -> bytes:
    return _zipped([(row[0], row[0].encode() * 50) for row in ROWS], zipfile.ZIP_DEFLATED)


def _zipped(members: list[tuple[Any, bytes]], packing: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for name, content in members:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            info.compress_type = packing
            archive.writestr(info, content)
    return out.getvalue()


def _archive(dice: Random | None, folder: Path) -> Path:
    content = _zip() if dice is None or dice.random() < 0.5 else _zipped(_members(dice), dice.choice((0, 8, 8, 12, 14)))
    return written(folder, "a.zip", spoilt(dice, content) if dice and dice.random() < 0.6 else content)


def _members(dice: Random) -> list[tuple[Any, bytes]]:
    members: list[tuple[Any, bytes]] = [(row[0], row[0].encode()) for row in ROWS[:5]]
    for _ in range(dice.choice((1, 2, 3))):
        info = zipfile.ZipInfo(dice.choice((*PATHS, *ODD_TEXT, *NAMES[:6]))[:60_000] or "x")
        info.external_attr = dice.choice((0, 0o120777, 0o010644, 0o060644, 0o100644, 0o104755)) << 16
        members.append((info, bytes(dice.choice((0, 10, 3_000_000)))))
    return members


def _unpacked(file: Path) -> object:
    from reno_sweeps.corpora._unpack import Limits, unpack

    out = file.parent / "out"
    before = {path.name for path in file.parent.iterdir()}
    count = unpack(file, out, limits=Limits(harmless=1 << 20))
    for path in out.rglob("*"):
        if path.is_symlink() or not path.resolve().is_relative_to(out.resolve()):
            raise AssertionError(f"{path} left the folder")
    if {path.name for path in file.parent.iterdir()} - before != {"out"}:
        raise AssertionError("something was written beside the folder")
    return count


KINDS = (
    Kind("table (CSV)", _csv, _manifest),
    Kind("table (Parquet)", _parquet, _manifest),
    Kind("corpus folder", _folder, _read_folder),
    Kind("corpus archive (zip)", _archive, _unpacked),
)
