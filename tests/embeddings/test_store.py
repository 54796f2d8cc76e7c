"""The embedding cache: what was put is got, damage is noticed, writers do not meet."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from safetensors import safe_open

from reno_sweeps.embeddings.heard import BATCH, Heard
from reno_sweeps.embeddings.store import Store

PLACE = "ab" * 32
VECTOR = np.arange(5, dtype=np.float32)


def only_file(folder):
    (file,) = [file for file in folder.rglob("*") if file.is_file()]
    return file


def test_what_was_put_is_got(tmp_path):
    store = Store(tmp_path)
    assert store.get(PLACE) is None

    store.put(PLACE, VECTOR, {"encoder": "mfcc"})

    np.testing.assert_array_equal(Store(tmp_path).get(PLACE), VECTOR)


def test_an_entry_explains_itself(tmp_path):
    Store(tmp_path).put(PLACE, VECTOR, {"encoder": "mfcc", "layer": None})

    with safe_open(only_file(tmp_path), framework="numpy") as file:
        known = file.metadata()
    assert known["address"] == PLACE
    assert json.loads(known["facts"]) == {"encoder": "mfcc", "layer": None}


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:20], lambda b: b[:-1] + b"\xff", lambda b: b"x" * 99])
def test_a_damaged_entry_counts_as_missing_and_is_said(tmp_path, caplog, damage):
    store = Store(tmp_path)
    store.put(PLACE, VECTOR, {})
    file = only_file(tmp_path)
    file.write_bytes(damage(file.read_bytes()))

    with caplog.at_level(logging.WARNING):
        assert store.get(PLACE) is None
    assert "it is computed again" in caplog.text


def test_an_entry_at_another_s_place_counts_as_missing(tmp_path):
    store = Store(tmp_path)
    store.put(PLACE, VECTOR, {})
    store.put("cd" * 32, VECTOR + 1, {})
    (tmp_path / "ab" / f"{PLACE}.safetensors").replace(tmp_path / "cd" / f"{'cd' * 32}.safetensors")

    assert store.get("cd" * 32) is None


def test_writers_of_one_address_leave_one_whole_entry(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Store(tmp_path).put(PLACE, VECTOR, {}), range(40)))

    np.testing.assert_array_equal(Store(tmp_path).get(PLACE), VECTOR)
    assert only_file(tmp_path)


def test_many_are_put_at_once(tmp_path):
    entries = [(f"{n:064x}", VECTOR + n, {}) for n in range(50)]

    Store(tmp_path).put_all(entries)

    assert all((Store(tmp_path).get(place) == vector).all() for place, vector, _ in entries)


def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path):
    (tmp_path / "ab").write_text("a file where a folder belongs")

    with pytest.raises(OSError, match="exists"):
        Store(tmp_path).put(PLACE, VECTOR, {})


def test_the_index_of_decoded_files_is_remembered(tmp_path):
    index = Heard(tmp_path)
    for n in range(BATCH + 3):
        index.add(f"bytes {n}", f"sound {n}")
    index.flush()

    again = Heard(tmp_path)
    assert [again.get(f"bytes {n}") for n in (0, BATCH + 2)] == ["sound 0", f"sound {BATCH + 2}"]
    assert again.get("other bytes") is None


def test_two_writers_of_the_index_add_up(tmp_path):
    one, two = Heard(tmp_path), Heard(tmp_path)
    one.add("a", "1")
    two.add("b", "2")
    one.flush()
    two.flush()

    assert (Heard(tmp_path).get("a"), Heard(tmp_path).get("b")) == ("1", "2")


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_index_is_passed_over(tmp_path, content):
    index = Heard(tmp_path)
    index.add("a", "1")
    index.flush()
    only_file(tmp_path).write_text(content)

    assert Heard(tmp_path).get("a") is None


def test_an_index_of_another_decoder_is_not_read(tmp_path, monkeypatch):
    index = Heard(tmp_path)
    index.add("a", "1")
    index.flush()
    monkeypatch.setattr("reno_sweeps.audio.VERSION", "another")

    assert Heard(tmp_path).get("a") is None


def test_a_vector_of_another_kind_counts_as_missing(tmp_path):
    """Its hash is that of its bytes, which are the same."""
    store = Store(tmp_path)
    store.put(PLACE, VECTOR, {})
    file = only_file(tmp_path)
    whole = file.read_bytes()

    for other in (b'"I32"', b'"U32"', b'"F99"'):
        file.write_bytes(whole.replace(b'"F32"', other))
        assert store.get(PLACE) is None


@pytest.mark.parametrize("metadata", ["null", '{"sha256":"x"}'])
def test_an_entry_that_does_not_explain_itself_counts_as_missing(tmp_path, metadata):
    header = f'{{"__metadata__":{metadata},"embedding":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}'.encode()
    (tmp_path / PLACE[:2]).mkdir()
    file = tmp_path / PLACE[:2] / f"{PLACE}.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))

    assert Store(tmp_path).get(PLACE) is None


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": 1}', '{"a": null}'])
def test_an_index_of_something_else_is_passed_over(tmp_path, content):
    index = Heard(tmp_path)
    index.add("a", "1")
    index.flush()
    only_file(tmp_path).write_text(content)

    assert Heard(tmp_path).get("a") is None
