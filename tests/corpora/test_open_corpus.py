"""From a name or a path to a corpus, and its content's hash."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from reno_sweeps.corpora import content_digest, demo, folder, manifest, open_corpus
from reno_sweeps.records import UserError


def test_demo_lies_in_the_cache(tmp_path):
    assert open_corpus("demo", None, tmp_path).root == tmp_path / demo.FOLDER


def test_a_folder_and_a_table_open_by_their_path(tmp_path):
    root, table = folder.miniature(tmp_path / "voices"), manifest.miniature(tmp_path / "listed")

    assert open_corpus(str(root), None, tmp_path).id == "voices"
    assert open_corpus(str(table), None, tmp_path).id == "listed"


def test_a_folder_may_carry_the_expression_that_names_its_speakers(tmp_path):
    root = folder.miniature(tmp_path / "voices")

    corpus = open_corpus(f"{root}@speaker=(s\\d)_", None, tmp_path)

    assert {clip.speaker for clip in corpus.clips} == {"s1", "s2"}


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("demmo", r"it offers asvp-esd, demo, folder, jnv, manifest, vivae \(did you mean demo\?\)"),
        ("none/there", "there is no such folder or table"),
        ("folder", "say --root DIR"),
    ],
)
def test_an_unknown_corpus_is_answered_with_what_is_on_offer(tmp_path, asked, answer):
    with pytest.raises(UserError, match=answer) as refusal:
        open_corpus(asked, None, tmp_path)

    assert len(str(refusal.value).splitlines()) <= 3


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()

    with pytest.raises(UserError, match="is neither a folder nor a table"):
        open_corpus(str(tmp_path / "notes.txt"), None, tmp_path)


def test_the_hash_follows_labels_speakers_folds_and_bytes(tmp_path):
    corpus = manifest.read(manifest.miniature(tmp_path))
    first = corpus.clips[0]
    changed = [
        dataclasses.replace(corpus, clips=(dataclasses.replace(first, **change), *corpus.clips[1:]))
        for change in ({"label": "sadness"}, {"speaker": None}, {"fold": 4})
    ]
    before = [content_digest(c, with_audio=True) for c in (corpus, *changed)]
    shutil.copy(corpus.root / "audio/1.wav", corpus.root / "audio/0.wav")

    assert len({*before, content_digest(corpus, with_audio=True)}) == 5


def test_the_hash_without_audio_needs_no_recording(tmp_path):
    corpus = manifest.read(manifest.miniature(tmp_path))
    before = content_digest(corpus, with_audio=False)
    shutil.rmtree(corpus.root / "audio")

    assert content_digest(corpus, with_audio=False) == before


def test_missing_recordings_are_counted_and_named_unless_broken_ones_are_skipped(tmp_path):
    corpus = manifest.read(manifest.miniature(tmp_path))
    whole = content_digest(corpus, with_audio=True)
    (corpus.root / "audio/3.wav").unlink()

    with pytest.raises(UserError, match=r"1 of 8 recordings in .* audio/3\.wav \(No such file"):
        content_digest(corpus, with_audio=True)
    assert content_digest(corpus, with_audio=True, skip_broken=True) != whole
