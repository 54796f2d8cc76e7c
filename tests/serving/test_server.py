"""`mlflow models serve` on a registered model: the answers of `predict`, and one sentence for whatever is hostile."""

from __future__ import annotations

import io
import re
import shutil
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from reno_sweeps import load_model
from reno_sweeps.corpora import demo
from tests.serving.served import Server, command, rows, serving, swept, text

CLASSES = ["amusement", "anger", "disgust", "fear", "sadness", "surprise"]
MODEL = "models:/reno-demo@candidate"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def registered(tmp_path_factory) -> SimpleNamespace:
    """The demo corpus, a model trained on it and registered, and a few of its recordings."""
    place = tmp_path_factory.mktemp("registered")
    home = swept(place, "demo", "mfcc,log-mel")
    made = command(place, "register", "tiny")
    demo.synthesise(place / "demo")
    files = sorted((place / "demo").rglob("*.wav"))[::40]
    table = load_model(MODEL, home=home).answer(files)
    return SimpleNamespace(home=home, uri=made["tracking_uri"], files=files, table=table, place=place)


@pytest.fixture(scope="module")
def server(registered) -> Iterator[Server]:
    with serving(MODEL, registered.uri, registered.place / "server.log") as found:
        yield found


@pytest.fixture(scope="module")
def offering(registered) -> Iterator[SimpleNamespace]:
    """A server that offers a folder, with small limits."""
    root = registered.place / "offered"
    (root / "inside").mkdir(parents=True)
    for file in registered.files:
        shutil.copy(file, root / "inside")
    (root / "away").symlink_to(registered.files[0].parent)
    (root / "broken.wav").write_bytes(b"no sound")
    said = {"RENO_SERVE_ROOT": str(root), "RENO_SERVE_CLIPS": "8", "RENO_SERVE_MB": "1", "RENO_SERVE_AT_ONCE": "1"}
    with serving(MODEL, registered.uri, registered.place / "offering.log", said) as found:
        yield SimpleNamespace(server=found, root=root)


def probabilities(answer: Any) -> np.ndarray:
    return np.array([[row[label] for label in CLASSES] for row in answer["predictions"]])


# --- the same answers ---------------------------------------------------------------------------------------


def records(contents: list[bytes]) -> Any:
    return rows(*contents)


def split(contents: list[bytes]) -> Any:
    return {"dataframe_split": {"columns": ["audio"], "data": [[text(content)] for content in contents]}}


def inputs(contents: list[bytes]) -> Any:
    return {"inputs": {"audio": [text(content) for content in contents]}}


def table(contents: list[bytes]) -> Any:
    return "\n".join(["audio", *map(text, contents), ""]).encode()


@pytest.mark.parametrize(
    ("form", "kind"),
    [(records, "application/json"), (split, "application/json"), (inputs, "application/json"), (table, "text/csv")],
)
def test_a_batch_over_http_gets_the_answers_of_predict(server, registered, form, kind):
    status, answer = server.ask(form([file.read_bytes() for file in registered.files]), kind)

    assert status == 200
    np.testing.assert_allclose(probabilities(answer), registered.table.probabilities, atol=1e-6)
    assert [row["emotion"] for row in answer["predictions"]] == list(registered.table.emotions)


def test_a_name_beside_bytes_is_given_back_and_never_opened(server, registered):
    content = text(registered.files[0].read_bytes())
    status, answer = server.ask({"dataframe_records": [{"path": "/etc/passwd", "audio": content}]})

    assert status == 200
    assert answer["predictions"][0]["path"] == "/etc/passwd"
    np.testing.assert_allclose(probabilities(answer), registered.table.probabilities[:1], atol=1e-6)


# --- files by path ------------------------------------------------------------------------------------------


def paths(*names: str) -> Any:
    return {"dataframe_records": [{"path": name} for name in names]}


@pytest.mark.parametrize("name", ["/etc/passwd", "{clip}", "../secret", "a\0b", "a" * 5_000])
def test_without_a_root_no_file_is_opened_whether_it_exists_or_not(server, registered, name):
    said = server.refused(paths(name.format(clip=registered.files[0])))

    assert said.startswith("row 0: this server opens no file by `path`; send the file's bytes as `audio`")


def test_files_below_the_root_are_answered(offering, registered):
    names = [f"inside/{file.name}" for file in registered.files]
    status, answer = offering.server.ask(paths(*names))
    _, absolute = offering.server.ask(paths(*[str(offering.root / name) for name in names]))

    assert status == 200
    np.testing.assert_allclose(probabilities(answer), registered.table.probabilities, atol=1e-6)
    np.testing.assert_array_equal(probabilities(absolute), probabilities(answer))


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "/nowhere", "../server.log", "inside/../../server.log", "away/{clip}", "{outside}", ".", "/"],
)
def test_a_path_that_leaves_the_root_is_refused(offering, registered, name):
    first = registered.files[0]
    said = offering.server.refused(paths(name.format(clip=first.name, outside=first)))

    assert said.startswith("row 0: `path` lies outside of the folder that this server offers")


def test_a_broken_file_below_the_root_is_named_by_its_row_alone(offering):
    said = offering.server.refused(paths("broken.wav", "inside/absent.wav", "inside"))

    assert "row 0: not readable as audio" in said
    assert "row 1: there is no such file" in said
    assert "row 2: is a folder" in said
    assert str(offering.root) not in said


# --- hostile recordings -------------------------------------------------------------------------------------


def wav(samples: bytes = b"\0\0" * 4_000, *, rate: int = 16_000, promised: int | None = None, kind: int = 1) -> bytes:
    """A WAV file of one channel with whatever its header says; kind 1: 16 bits, 3: floats."""
    width = 2 if kind == 1 else 4
    size = len(samples) if promised is None else promised
    form = struct.pack("<HHIIHH", kind, 1, rate % 2**32, rate * width % 2**32, width, 8 * width)
    head = b"RIFF" + struct.pack("<I", (36 + size) % 2**32) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", size) + samples


def silence(seconds: int, rate: int = 16_000) -> bytes:
    """FLAC: an hour of it takes some hundred kilobytes."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, "PCM_16", format="FLAC") as target:
        for _ in range(0, seconds, 100):
            target.write(np.zeros(100 * rate, np.int16))
    return file.getvalue()


def declaring(samples: int) -> bytes:
    """A FLAC file whose header promises so many samples (the last 36 bits before the checksum)."""
    content = bytearray(silence(100))
    content[21:26] = (int.from_bytes(content[21:26], "big") >> 36 << 36 | samples).to_bytes(5, "big")
    return bytes(content)


BROKEN = {
    "no audio": (lambda: b"hello", "not readable as audio"),
    "text": (lambda: Path(__file__).read_bytes(), "not readable as audio"),
    "truncated": (lambda: wav(promised=16_000)[:5_000], "truncated"),
    "header alone": (lambda: wav(b""), "empty"),
    "promises two gigabytes": (lambda: wav(promised=2_000_000_000), "truncated"),
    "declares 10^9 samples": (lambda: declaring(10**9), "truncated"),
    "declares 2^36 samples": (lambda: declaring(2**36 - 1), "truncated"),
    "rate 0": (lambda: wav(rate=0), "not readable|samples a second"),
    "rate -1": (lambda: wav(rate=-1), "not readable|samples a second"),
    "rate 2^31": (lambda: wav(rate=2**31 - 1), "samples a second"),
    "NaN": (lambda: wav(struct.pack("<f", np.nan) * 4_000, kind=3), "not finite"),
    "infinity": (lambda: wav(struct.pack("<f", np.inf) * 4_000, kind=3), "not finite"),
    "1e38": (lambda: wav(struct.pack("<f", 1e38) * 4_000, kind=3), "no sound"),
    "an hour": (lambda: silence(3_600), "longer than 600 s"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_hostile_recording_is_refused_by_its_row(server, registered, name):
    make, why = BROKEN[name]
    said = server.refused(rows(registered.files[0].read_bytes(), make()))

    assert said.startswith("1 of 2 recordings cannot be used; row 1: ")
    assert said.endswith("; send the others without them")
    assert re.search(why, said)


# --- hostile requests ---------------------------------------------------------------------------------------


def one(cell: bytes) -> bytes:
    return b'{"dataframe_records": [{"audio": ' + cell + b"}]}"


REQUESTS = {
    "no JSON": (lambda: b"{nope", "the body is no JSON"),
    "no UTF-8": (lambda: b"\xff\xfe", "the body is no UTF-8"),
    "nothing": (lambda: b"", "the body is no JSON"),
    "a list": (lambda: [1, 2], "the body is a JSON list"),
    "another format": (lambda: {"file": "a.wav"}, "exactly one of the input fields"),
    "brackets without end": (lambda: b"[" * 3_000, "nested too deep"),
    "a million brackets": (lambda: b"[" * 1_000_000, "lists and objects"),
    "objects in objects": (lambda: b'{"a":' * 900 + b"1" + b"}" * 900, "nested deeper"),
    "a cell of lists": (lambda: one(b"[" * 500 + b"]" * 500), "nested deeper"),
    "many empty lists": (lambda: b'{"dataframe_records": [' + b"[]," * 900_000 + b"[]]}", "lists and objects"),
    "many numbers": (lambda: b'{"inputs": [' + b"1," * 3_000_000 + b"1]}", "2,000,000 are the most"),
    "a number of 5000 digits": (lambda: one(b"9" * 5_000), "the body is no JSON"),
    "a number as audio": (lambda: one(b"5"), "audio"),
    "null as audio": (lambda: one(b"null"), "audio"),
    "samples as audio": (lambda: one(b"[0.1, NaN]"), "audio"),
    "no base64": (lambda: one(b'"no base64!"'), "not readable as audio"),
    "cut base64": (lambda: one(b'"aGVsbG8"'), "base64"),
    "a large base64 of nothing": (lambda: one(b'"' + b"A" * 40_000_000 + b'"'), "not readable as audio"),
    "an empty cell": (lambda: one(b'""'), "row 0 has neither `path` nor `audio`"),
    "half a surrogate": (lambda: b'{"dataframe_records": [{"path": "\\ud800"}]}', "surrogates"),
    "no rows": (lambda: {"dataframe_split": {"columns": ["audio"], "data": []}}, "no rows"),
    "no records": (lambda: {"dataframe_records": []}, "no rows"),
    "wrong columns": (lambda: {"dataframe_records": [{"file": "a.wav"}]}, "no column that the model knows"),
    "a column twice": (
        lambda: {"dataframe_split": {"columns": ["audio", "audio"], "data": [["aGk=", "aGk="]]}},
        "enforce schema",
    ),
    "ragged rows": (lambda: {"dataframe_split": {"columns": ["audio"], "data": [["a", "b"]]}}, "2 columns"),
    "too many clips": (lambda: rows(*[b"hello"] * 257), "257 rows; 256 are the most in a request"),
    "too long together": (lambda: rows(*[silence(500)] * 4), "longer than 1800 s together"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_hostile_request_is_refused_in_one_sentence(server, name):
    make, why = REQUESTS[name]
    said = server.refused(make())

    assert why in said


@pytest.mark.parametrize("kind", ["application/vnd.apache.parquet", "text/plain", "application/x-python-pickle", ""])
def test_other_kinds_of_body_are_not_read(server, kind):
    assert server.ask(b"PAR1", kind)[0] == 415
    assert "application/json and text/csv are read" in server.refused(b"PAR1", kind)


def test_a_torn_table_is_refused_without_the_servers_insides(server):
    assert "Failed to parse input" in server.refused(b'a,b\n1,2,3\n"', "text/csv")


def test_a_large_body_is_refused_before_it_is_in_memory(server):
    before = server.megabytes()
    said = server.ask(one(b'"' + b"A" * 300_000_000 + b'"'))
    pieces = (b" " * 1_000_000 for _ in range(300))
    chunked = server.ask(pieces)

    assert said[0] == chunked[0] == 413
    assert "more than 64 MB, the most that is read (RENO_SERVE_MB)" in said[1]["message"]
    assert server.megabytes() < before + 150


def test_the_operators_limits_hold(offering):
    assert "9 rows; 8 are the most" in offering.server.refused(rows(*[b"hello"] * 9))
    assert offering.server.ask(rows(bytes(1_000_000)))[0] == 413


def test_more_requests_than_fit_are_told_to_come_again(offering):
    begun, going, came = threading.Event(), threading.Event(), []

    def slowly() -> Iterator[bytes]:
        yield b'{"dataframe_records": '
        begun.set()
        going.wait(30)
        yield b"[]}"

    first = threading.Thread(target=lambda: came.append(offering.server.ask(slowly())))
    first.start()
    begun.wait(30)
    try:
        time.sleep(0.5)  # what was sent arrives
        answers = {offering.server.ask({"dataframe_records": []})[0] for _ in range(20)}
    finally:
        going.set()
        first.join(30)

    assert 429 in answers
    assert came[0][0] == 400


def test_a_setting_that_is_none_keeps_the_server_from_starting(registered, tmp_path):
    with (
        pytest.raises(AssertionError, match="RENO_SERVE_CLIPS=many: a number from 1 on is needed"),
        serving(MODEL, registered.uri, tmp_path / "log", {"RENO_SERVE_CLIPS": "many"}),
    ):
        pass


def test_the_server_lives_answers_and_holds_no_more_memory_after_all_of_it(server, registered):
    bodies = [make() for make, _ in REQUESTS.values()] + [rows(make()) for make, _ in BROKEN.values()]
    held = []
    for _ in range(4):
        for body in bodies:
            assert 400 <= server.ask(body)[0] < 500
        held.append(server.megabytes())
    status, answer = server.ask(rows(*[file.read_bytes() for file in registered.files]))

    assert status == 200
    np.testing.assert_allclose(probabilities(answer), registered.table.probabilities, atol=1e-6)
    assert held[-1] < held[0] + 200, held
    assert held[-1] < 2_500, held
