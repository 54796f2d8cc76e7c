"""JNV: 420 clips of four speakers in the corpus's own layout."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from reno_sweeps.corpora import jnv
from reno_sweeps.folds import make_splits
from reno_sweeps.records import Clip, Protocol, UserError
from tests.corpora.conftest import grow

# 4 speakers × 6 emotions × 17 or 18 takes: 420 as published; the takes of each kind are our guess
TAKES = [f"{take:02d}_R" for take in range(9)] + [f"{take:02d}_F" for take in range(9)]
LAYOUT = [
    f"{s}/{s}_{e}_{take}.wav" for s, (e, take) in product(("F1", "F2", "M1", "M2"), product(jnv.EMOTIONS, TAKES))
][:420]


def test_the_published_layout_gives_420_clips_of_four_speakers(tmp_path):
    corpus = jnv.read(grow(tmp_path / "jnv_corpus_ver3", LAYOUT))

    assert (len(corpus.clips), corpus.classes) == (420, jnv.EMOTIONS)
    assert {clip.speaker for clip in corpus.clips} == {"F1", "F2", "M1", "M2"}
    assert corpus.clips[0] == Clip("F1/F1_angry_00_F.wav", "angry", "F1")
    assert (corpus.skipped, corpus.left_out) == ((), {})


def test_clips_are_the_same_from_above(tmp_path):
    own = grow(tmp_path / "jnv_corpus_ver3" / "JNV", LAYOUT)

    assert jnv.read(own).clips == jnv.read(own.parent).clips == jnv.read(own.parent.parent).clips


def test_one_speaker_alone_is_answered_with_the_folder_to_give(tmp_path):
    own = grow(tmp_path / "JNV", LAYOUT)

    with pytest.raises(UserError, match=f"is only a part of it\ngive --root {own}$"):
        jnv.read(own / "F1")


def test_transcripts_are_counted_and_strange_recordings_listed(tmp_path):
    strange = ["F1/F2_angry_00_F.wav", "F1/F1_calm_00_F.wav", "F1/F1_angry_00_X.wav", "extra/F1_angry_99_F.wav"]
    strange.append("F1/F1_angry_00_F (1).wav")
    root = grow(tmp_path, [*LAYOUT[:200], *strange, "README.txt", "F1/transcript.csv", "F1/._F1_angry_00_F.wav"])

    corpus = jnv.read(root)

    assert sorted(left.path for left in corpus.skipped) == sorted(strange)
    assert Counter(corpus.left_out) == {"no recording (texts, tables, pictures)": 2}
    assert "says speaker F2, its folder is F1" in " ".join(left.why for left in corpus.skipped)


def test_five_speaker_independent_folds_are_impossible_and_four_are_offered(tmp_path):
    corpus = jnv.read(grow(tmp_path, LAYOUT))

    with pytest.raises(UserError, match="4 speakers"):
        make_splits(corpus, Protocol(folds="speaker"))
    assert len(make_splits(corpus, Protocol(folds="speaker", n_folds=4)).splits) == 4
