"""The manifest corpus: every fault of a table is answered with its line."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from reno_sweeps.corpora import manifest
from reno_sweeps.records import Clip, UserError


def table(folder: Path, text: str, name: str = "clips.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_table_is_read_without_its_recordings(tmp_path):
    corpus = manifest.read(table(tmp_path, "path,label,speaker,fold\nb.wav,joy,s1,0\na.wav,sadness,,\n"))

    assert corpus.clips == (Clip("a.wav", "sadness"), Clip("b.wav", "joy", "s1", 0))
    assert corpus.root == tmp_path
    assert corpus.id == "clips"


def test_a_table_called_manifest_takes_the_name_of_its_folder(tmp_path):
    file = table(tmp_path / "voices", "path,label\na.wav,joy\nb.wav,sadness\n", "manifest.csv")

    assert manifest.read(file).id == "voices"


def test_other_columns_quotes_blank_lines_and_a_byte_order_mark_are_fine(tmp_path):
    text = '\ufefflabel,note,path\njoy,"a, b",a.wav\n\nsadness,"two\nlines",b.wav\n'

    assert [clip.path for clip in manifest.read(table(tmp_path, text)).clips] == ["a.wav", "b.wav"]


def test_parquet_is_read_as_csv_is(tmp_path):
    import pandas as pd

    rows = pd.DataFrame({"path": ["a.wav", "b.wav"], "label": ["joy", "sadness"], "fold": [0.0, None], "other": [1, 2]})
    rows.to_parquet(tmp_path / "clips.parquet")

    assert manifest.read(tmp_path / "clips.parquet").clips == (
        Clip("a.wav", "joy", fold=0),
        Clip("b.wav", "sadness"),
    )


@pytest.mark.parametrize(
    "spelled", ["{root}/audio/a.wav", "audio/../audio/a.wav", "../voices/audio/a.wav", "./audio/a.wav"]
)
def test_a_path_that_stays_inside_is_shortened_to_its_place(tmp_path, spelled):
    file = table(tmp_path / "voices", f"path,label\n{spelled.format(root=tmp_path / 'voices')},joy\nb.wav,sadness\n")

    assert manifest.read(file).clips[0].path == "audio/a.wav"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("path,emotion\na.wav,joy\n", "clips.csv, line 1: no column label; found path, emotion"),
        ("", "clips.csv, line 1: no column path and no column label; found nothing"),
        ("path,label,label\na.wav,joy,joy\n", "line 1: the column label stands there twice"),
        ("path,label\na.wav,joy\na.wav,joy\n", r"line 3: a\.wav is listed twice"),
        ("path,label\na.wav,joy\n./a.wav,joy\n", r"line 3: a\.wav is listed twice"),
        ("path,label\na.wav,joy\nb.wav,\n", "line 3: the label of b.wav is empty"),
        ("path,label\na.wav,joy\nb.wav\n", "line 3: the label of b.wav is empty"),
        ("path,label\n,joy\n", "line 2: the path is empty"),
        ("path,label,fold\na.wav,joy,one\n", "line 2: fold is 'one'; it is a whole number"),
        ("path,label,fold\na.wav,joy,1.5\n", "line 2: fold is '1.5'; it is a whole number"),
        ("path,label,fold\na.wav,joy,inf\n", "line 2: fold is 'inf'; it is a whole number"),
        ("path,label\na.wav,joy,more\n", "line 2: more cells than the 2 columns"),
        ("path,label\n../a.wav,joy\n", r"line 2: \.\./a\.wav lies outside the manifest's folder"),
        ("path,label\n/etc/a.wav,joy\n", "line 2: /etc/a.wav lies outside the manifest's folder"),
        ("path,label\na\0.wav,joy\n", "line 2: .* hold no control characters"),
        ('path,label\na.wav,"jo\ny"\n', "line 3: .* hold no control characters"),
        ('path,label\n"a.wav,joy\n', "not a CSV table"),
        ("path,label\n", "corpus clips: no clips"),
        ("path,label\na.wav,joy\nb.wav,joy\n", "all 2 clips are labelled 'joy'"),
    ],
)
def test_a_fault_of_the_table_is_answered_with_its_line(tmp_path, text, fault):
    with pytest.raises(UserError, match=fault) as refusal:
        manifest.read(table(tmp_path, text))

    assert len(str(refusal.value).splitlines()) <= 3


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "clips.csv").write_bytes(b"path,label\n\xff\xfe,joy\n")

    with pytest.raises(UserError, match="not a CSV table in UTF-8"):
        manifest.read(tmp_path / "clips.csv")


def test_bytes_that_are_no_parquet_are_refused(tmp_path):
    (tmp_path / "clips.parquet").write_bytes(b"path,label\n")

    with pytest.raises(UserError, match="not a Parquet table"):
        manifest.read(tmp_path / "clips.parquet")


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        manifest.read(tmp_path / "none.csv")


def test_the_real_table_has_five_speaker_independent_folds(shared_data):
    corpus = manifest.read(shared_data / "emogator6" / "manifest.csv")

    assert corpus.id == "emogator6"
    assert (len(corpus.clips), len(corpus.classes)) == (1_530, 6)
    assert {clip.fold for clip in corpus.clips} == {0, 1, 2, 3, 4}


def parquet(folder, **columns):
    import pyarrow as pa
    from pyarrow import parquet as writer

    writer.write_table(pa.table(columns), folder / "clips.parquet")
    return folder / "clips.parquet"


@pytest.mark.parametrize(
    ("label", "fault"),
    [
        (lambda pa: pa.array([b"a", b"b"], pa.binary()), "the column label is binary; it is text or numbers"),
        (lambda pa: pa.array([1, 0], pa.timestamp("s")), "the column label is timestamp"),
        (lambda pa: pa.array([2**62, 0], pa.duration("s")), "the column label is duration"),
        (lambda pa: pa.array([[1], [2]]), "the column label is list"),
        (lambda pa: pa.array(["a", "x" * 1_000_000]), "a label of 1000000 bytes; at most 4096 belong there"),
        (lambda pa: no_letters(pa.array([b"\xff\xfe", b"\xff"], pa.binary())), "not a Parquet table"),
    ],
)
def test_parquet_cells_that_are_no_words_are_refused(tmp_path, label, fault):
    import pyarrow as pa

    with pytest.raises(UserError, match=fault):
        manifest.read(parquet(tmp_path, path=pa.array(["a.wav", "b.wav"]), label=label(pa)))


def no_letters(words):
    """Bytes that no letter has, called text."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.string(), len(words), words.buffers())


def test_a_kilobyte_of_parquet_that_stands_for_millions_of_cells_takes_no_memory_for_them(tmp_path):
    import pyarrow as pa

    many = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int8()), pa.array(["a" * 1_000]))
    file = parquet(tmp_path, path=many, label=many)
    del many

    tracemalloc.start()
    with pytest.raises(UserError, match=r"row 2: a+ is listed twice"):
        manifest.read(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert file.stat().st_size < 300_000
    assert peak < 50e6


def test_numbers_are_labels_and_folds_in_parquet_too(tmp_path):
    file = parquet(tmp_path, path=["a.wav", "b.wav"], label=[1, 2], speaker=["s", None], fold=[0.0, None])

    assert manifest.read(file).clips == (Clip("a.wav", "1", "s", 0), Clip("b.wav", "2"))


@pytest.mark.parametrize("fold", ["1e300", "9999999999", "-1e18"])
def test_a_fold_beyond_all_counting_is_refused(tmp_path, fold):
    with pytest.raises(UserError, match="line 2: fold is"):
        manifest.read(table(tmp_path, f"path,label,fold\na.wav,joy,{fold}\nb.wav,fear,0\n"))


def test_a_line_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "long.csv"
    table.write_text("path,label,notes\na.wav,joy," + "x," * 600_000 + "\n")

    with pytest.raises(UserError, match="a line of more than 1000000 letters"):
        manifest.read(table)
