"""A table of recordings: CSV or Parquet with path, label and, where known, speaker and fold."""

from __future__ import annotations

import csv
import posixpath
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from reno_sweeps.corpora._checks import checked
from reno_sweeps.corpora._facts import CorpusFacts
from reno_sweeps.corpora._tones import write_tones
from reno_sweeps.records import Clip, Corpus, UserError

ID = "manifest"
FACTS = CorpusFacts(
    title="your own recordings, listed in a table",
    licence="yours",
    source="CSV or Parquet: path, label, and where known speaker, fold; paths relative to the table's folder",
    synthetic=False,
    how="--corpus FILE.csv or FILE.parquet",
)
LINE = 1_000_000  # letters of a line of CSV, columns that nobody reads included
LONGEST = 4_096  # bytes of a cell: the longest path of any file system
LARGEST = 1_000_000  # number of a fold
BATCH = 1_000  # rows of a Parquet table in memory at once
DAMAGES = (OSError, ValueError, LookupError, ArithmeticError, MemoryError, NotImplementedError)  # beside Arrow's own
NEEDED, KNOWN = ("path", "label"), ("path", "label", "speaker", "fold")
Row = tuple[str, Mapping[str, Any]]  # where it stands ('clips.csv, line 7') and its cells by column


def read(root: Path) -> Corpus:
    """The clips that the table `root` lists; nothing is looked for on disk yet.

    A path names its clip: one that holds '..' or starts at the file system's root is shortened to its place below the
    table's folder, and refused where it lies outside.
    """
    if not root.is_file():
        raise UserError(f"manifest {root}: there is no such file")
    clips: dict[str, Clip] = {}
    for where, cells in _parquet_rows(root) if root.suffix == ".parquet" else _csv_rows(root):
        clip = _clip(where, cells, root.parent)
        if clip.path in clips:
            raise UserError(f"{where}: {clip.path} is listed twice; a path names one clip")
        clips[clip.path] = clip
    name = root.resolve().parent.name if root.stem in {"manifest", "metadata", "index"} else root.stem
    return checked(Corpus(name or ID, root.parent, tuple(clips.values())))


def miniature(root: Path) -> Path:
    """Eight tones and their table with speakers and folds; the table is what `read` takes."""
    rows = [(f"audio/{n}.wav", ("joy", "sadness")[n % 2], f"s{n // 4}", n // 4) for n in range(8)]
    write_tones(root, [path for path, *_ in rows])
    table = root / "manifest.csv"
    with table.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([KNOWN, *rows])
    return table


def _csv_rows(file: Path) -> Iterator[Row]:
    with file.open(newline="", encoding="utf-8-sig") as text:  # -sig: spreadsheets write a byte-order mark
        rows = csv.DictReader(_lines(file, text), strict=True)
        try:
            _check_columns(file, rows.fieldnames or ())
            for cells in rows:
                where = f"{file.name}, line {rows.line_num}"
                if None in cells:
                    raise UserError(f"{where}: more cells than the {len(rows.fieldnames or ())} columns; quote commas")
                yield where, cells
        except (csv.Error, UnicodeDecodeError) as fault:
            raise UserError(f"{file.name}, after line {rows.line_num}: not a CSV table in UTF-8 ({fault})") from fault


def _lines(file: Path, text: TextIO) -> Iterator[str]:
    """A file's lines; a UserError for one that would fill the memory."""
    while line := text.readline(LINE + 1):
        if len(line) > LINE:
            raise UserError(f"{file.name}: a line of more than {LINE} letters; a row of a table has no such")
        yield line


def _parquet_rows(file: Path) -> Iterator[Row]:
    """The rows, a few at a time: a kilobyte of Parquet may stand for millions of long cells."""
    import pyarrow as pa
    from pyarrow import parquet

    number = 0
    try:
        schema = parquet.read_schema(file)
        _check_columns(file, schema.names)
        kinds = {name: schema.field(name).type for name in KNOWN if name in schema.names}
        texts = _texts(file, kinds)
        with parquet.ParquetFile(file, read_dictionary=texts) as table:  # a word that stands there often, once
            for batch in table.iter_batches(BATCH, columns=list(kinds), use_threads=False):
                _check_lengths(file, batch)
                for cells in batch.to_pylist():
                    number += 1
                    yield f"{file.name}, row {number}", cells
    except (pa.ArrowException, *DAMAGES) as fault:
        raise UserError(f"{file.name}: not a Parquet table ({fault})") from fault


def _texts(file: Path, kinds: Mapping[str, Any]) -> list[str]:
    """The columns of text; a UserError for one that is neither text nor numbers: dates, lists, bytes."""
    from pyarrow import types

    texts = []
    for name, kind in kinds.items():
        plain = kind.value_type if types.is_dictionary(kind) else kind
        if types.is_string(plain) or types.is_large_string(plain):
            texts.append(name)
        elif not any(holds(plain) for holds in (types.is_integer, types.is_floating, types.is_boolean, types.is_null)):
            raise UserError(f"{file.name}: the column {name} is {str(plain)[:100]}; it is text or numbers")
    return texts


def _check_lengths(file: Path, batch: Any) -> None:
    """Refuse cells that are longer than any path before they become text of Python's."""
    from pyarrow import compute, types

    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        words = column.dictionary if types.is_dictionary(column.type) else column
        if types.is_string(words.type) or types.is_large_string(words.type):
            longest = compute.max(compute.binary_length(words)).as_py() or 0
            if longest > LONGEST:
                raise UserError(f"{file.name}: a {name} of {longest} bytes; at most {LONGEST} belong there")


def _check_columns(file: Path, columns: Any) -> None:
    missing = [name for name in NEEDED if name not in columns]
    twice = [name for name in KNOWN if list(columns).count(name) > 1]
    found = ", ".join(str(column)[:100] for column in columns) or "nothing"
    if missing:
        raise UserError(
            f"{file.name}, line 1: no column {' and no column '.join(missing)}; found {found}\n"
            "a manifest has the columns path, label and may have speaker, fold"
        )
    if twice:
        raise UserError(f"{file.name}, line 1: the column {twice[0]} stands there twice; found {found}")


def _clip(where: str, cells: Mapping[str, Any], folder: Path) -> Clip:
    path, label, speaker, fold = (_text(cells.get(name)) for name in KNOWN)
    if not path:
        raise UserError(f"{where}: the path is empty")
    if not label:
        raise UserError(f"{where}: the label of {path} is empty")
    if any(letter < " " for letter in path + label):
        raise UserError(f"{where}: {path!r}, {label!r}: path and label hold no control characters")
    if max(map(len, (path, label, speaker))) > LONGEST:
        raise UserError(f"{where}: a cell of more than {LONGEST} letters is no path, label or speaker")
    return Clip(
        _inside(where, path, folder),
        sys.intern(label),  # a few words, a million times
        sys.intern(speaker) if speaker else None,
        _fold(where, fold) if fold else None,
    )


def _text(cell: Any) -> str:
    """A cell as text; nothing for an empty one, a missing one and the 'not a number' of tables."""
    return "" if cell is None or cell != cell else str(cell).strip()  # noqa: PLR0124  # only NaN differs from itself


def _inside(where: str, path: str, folder: Path) -> str:
    for root in (folder.absolute(), folder.resolve()):  # an absolute path may be spelled through a link
        below = posixpath.relpath(posixpath.join(root, path), root)
        if below.split("/", 1)[0] != "..":
            return below
    raise UserError(
        f"{where}: {path} lies outside the manifest's folder {folder}\n"
        "paths are relative to that folder and stay inside it; move the manifest above its recordings"
    )


def _fold(where: str, text: str) -> int:
    try:
        fold = float(text)  # tables with gaps write 3 as 3.0
        if fold == int(fold) and abs(fold) <= LARGEST:
            return int(fold)
    except (ValueError, OverflowError):
        pass
    raise UserError(f"{where}: fold is {text!r}; it is a whole number, the test fold of the clip, or empty")
