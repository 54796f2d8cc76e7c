"""Precomputed embeddings: the right vector for every clip, or a clear no."""

from __future__ import annotations

import tracemalloc
import zipfile

import numpy as np
import pytest

from reno_sweeps.encoders import encoder_facts, file, load_encoder
from reno_sweeps.records import UserError

IDS = ["a.wav", "b.wav", "c.wav"]
X = np.arange(6, dtype=np.float32).reshape(3, 2)


def save(folder, ids=IDS, matrix=X, **more):
    np.savez(folder / "x.npz", ids=np.array(ids), X=np.array(matrix), **more)
    return folder / "x.npz"


def test_every_clip_gets_its_own_vector_whatever_the_order(tmp_path):
    npz = save(tmp_path, ids=["c.wav", "./a.wav", "b.wav"], matrix=X[[2, 0, 1]], labels=np.array(["x", "y", "z"]))

    np.testing.assert_array_equal(file.vectors(npz, IDS), X)
    np.testing.assert_array_equal(file.vectors(npz, IDS[::-1]), X[::-1])


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int64])
def test_numbers_of_any_kind_become_float32(tmp_path, kind):
    vectors = file.vectors(save(tmp_path, matrix=X.astype(kind)), IDS)

    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, X)


def test_ids_may_be_bytes(tmp_path):
    np.testing.assert_array_equal(file.vectors(save(tmp_path, ids=[name.encode() for name in IDS]), IDS), X)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"ids": ["a.wav", "b.wav", "d.wav"]}, r"no vector for 1 clip \(c.wav\); vectors of no clip: 1 clip \(d.wav\)"),
        ({"ids": IDS[:2], "matrix": X[:2]}, r"no vector for 1 clip \(c.wav\)"),
        ({"ids": [*IDS, "d.wav"], "matrix": np.ones((4, 2))}, r"vectors of no clip: 1 clip \(d.wav\)"),
        ({"ids": [*IDS, "a.wav"], "matrix": np.ones((4, 2))}, r"1 clip \(a.wav\) stand in ids more than once"),
        ({"matrix": [[0, 1], [np.nan, 1], [0, 1]]}, r"1 clip \(b.wav\) hold NaN or infinity"),
        ({"matrix": [[0, 1], [2, 1], [0, 1e300]]}, r"1 clip \(c.wav\) hold NaN or infinity"),
        ({"matrix": X[:2]}, r"X is float32 \[2, 2\]; for 3 ids"),
        ({"matrix": X.ravel()[:3]}, r"X is float32 \[3\]; for 3 ids"),
        ({"matrix": X.astype(str)}, "it is numbers"),
        ({"ids": [1, 2, 3]}, r"ids is int64 \[3\]; it is one line of text"),
    ],
)
def test_what_does_not_fit_the_corpus_is_refused_with_examples(tmp_path, change, fault):
    with pytest.raises(UserError, match=fault) as refusal:
        file.vectors(save(tmp_path, **change), IDS)

    assert len(str(refusal.value).splitlines()) <= 3


def test_many_missing_ids_are_counted_and_three_are_named(tmp_path):
    with pytest.raises(UserError, match=r"no vector for 5 clips \(d0, d1, d2, …\)"):
        file.vectors(save(tmp_path), [*IDS, *(f"d{n}" for n in range(5))])


def test_an_object_array_is_refused_with_the_way_to_write_it(tmp_path):
    np.savez(tmp_path / "x.npz", ids=np.array(IDS, dtype=object), X=X)

    with pytest.raises(UserError, match=r"ids\.astype"):
        file.vectors(tmp_path / "x.npz", IDS)


def test_a_file_without_the_keys_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", names=np.array(IDS), X=X)

    with pytest.raises(UserError, match="no key ids; found names, X"):
        file.vectors(tmp_path / "x.npz", IDS)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)

    with pytest.raises(UserError, match=r"not an \.npz file"):
        file.vectors(tmp_path / "x.npz", IDS)


def test_damage_anywhere_in_an_archive_is_refused_or_harmless(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", ids=np.array(IDS), X=np.random.default_rng(0).normal(size=(3, 200)))
    whole = (tmp_path / "x.npz").read_bytes()
    said = set()
    for place in range(0, len(whole), 5):
        (tmp_path / "x.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            file.vectors(tmp_path / "x.npz", IDS)
        except UserError as refusal:
            said.add(str(refusal).splitlines()[-1])

    assert "write it with numpy.savez(file, ids=ids.astype(str), X=X.astype('float32'))" in said


def test_ids_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"not an \.npz file of plain arrays"):
        file.vectors(save(tmp_path, ids=[b"\xff", b"b.wav", b"c.wav"]), IDS)


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", X)

    with pytest.raises(UserError, match=r"not an \.npz file"):
        file.vectors(tmp_path / "x.npy", IDS)


def test_its_bytes_are_its_weights(tmp_path):
    first = encoder_facts(f"file:{save(tmp_path)}")
    again = encoder_facts(f"file:{save(tmp_path)}")
    other = encoder_facts(f"file:{save(tmp_path, matrix=X + 1)}")

    assert first == again
    assert first["weights"] != other["weights"]


def test_it_cannot_hear_a_recording(tmp_path):
    with pytest.raises(UserError, match="cannot encode recordings"):
        load_encoder(f"file:{save(tmp_path)}")


def test_a_missing_file_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        encoder_facts(f"file:{tmp_path}/none.npz")


def test_the_real_files_fit_the_real_table(shared_data):
    from reno_sweeps.corpora import manifest

    corpus = manifest.read(shared_data / "emogator6" / "manifest.csv")
    npz = shared_data / "emogator6" / "embeddings_gpvad_crnn.npz"

    assert file.vectors(npz, [clip.path for clip in corpus.clips]).shape == (1_530, 256)


def test_letters_that_unicode_has_not_are_refused(tmp_path):
    ids = np.frombuffer(b"\xff\xff\xff\x7f" * 3, "<U1")

    with pytest.raises(UserError, match=r"not an \.npz file of plain arrays"):
        file.vectors(save(tmp_path, ids=ids), IDS)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_other_packings_is_refused(tmp_path, packing):
    with zipfile.ZipFile(save(tmp_path)) as whole, zipfile.ZipFile(tmp_path / "y.npz", "w", packing) as other:
        for name in whole.namelist():
            other.writestr(name, whole.read(name))
    content = bytearray((tmp_path / "y.npz").read_bytes())
    content[60:70] = b"\xff" * 10
    (tmp_path / "y.npz").write_bytes(content)

    with pytest.raises(UserError, match=r"not an \.npz file"):
        file.vectors(tmp_path / "y.npz", IDS)


def test_a_bomb_is_not_unpacked(tmp_path):
    """300 kB that are 300 MB."""
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("X.npy", "w") as out:
        for _ in range(300):
            out.write(bytes(1_000_000))

    tracemalloc.start()
    with pytest.raises(UserError, match=r"300000000 bytes in \d+ packed ones are no embeddings"):
        file.vectors(tmp_path / "x.npz", IDS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 20e6


@pytest.mark.parametrize("key", ["ids", "X"])
def test_a_member_that_is_no_array_is_refused(tmp_path, key):
    """numpy gives the bytes of a member that does not begin as an array does."""
    with zipfile.ZipFile(save(tmp_path)) as whole, zipfile.ZipFile(tmp_path / "y.npz", "w") as other:
        for name in whole.namelist():
            other.writestr(name, b"no array" if name == f"{key}.npy" else whole.read(name))

    with pytest.raises(UserError, match="a member that is no array"):
        file.vectors(tmp_path / "y.npz", IDS)
