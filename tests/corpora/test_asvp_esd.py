"""ASVP-ESD: every line of its real file list, and its traps one by one."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from reno_sweeps.corpora import asvp_esd, content_digest, open_corpus
from reno_sweeps.records import Clip, Skipped, UserError
from tests.corpora.conftest import grow

TWO = ["Audio/actor_11/03-02-03-01-01-11-02-02-00-13.wav", "Audio/actor_12/03-02-04-01-01-12-02-02-00-13.wav"]
STRANGE = "Bonus/actor_200/03-01-17-01-02-200-05-02-01-12.wav"  # emotion 17


def test_the_real_list_gives_the_published_counts(asvp_tree):
    corpus = asvp_esd.read(asvp_tree)

    counts = Counter(clip.label for clip in corpus.clips)
    assert (len(corpus.clips), len({clip.speaker for clip in corpus.clips})) == (7545, 129)
    assert [counts[name] for name in asvp_esd.EMOTIONS.values()] == [
        *(447, 281, 1172, 964, 389, 1001, 709, 1094, 131, 330, 778, 77, 172)
    ]
    assert {"clips": 7545, "speakers": 129, "classes": dict(counts)} == asvp_esd.EXPECTED


def test_every_file_of_the_real_list_is_accounted_for(asvp_tree, asvp_listing):
    corpus = asvp_esd.read(asvp_tree)

    assert corpus.skipped == (Skipped(STRANGE, "emotion 17 is none of 01 to 13"),)
    assert corpus.left_out == {asvp_esd.SPEECH: 5139, asvp_esd.BONUS: 1279}
    assert len(corpus.clips) + len(corpus.skipped) + sum(corpus.left_out.values()) == len(asvp_listing)


def test_bonus_is_an_option(asvp_tree, tmp_path):
    corpus = open_corpus("asvp-esd@include_bonus=yes", str(asvp_tree), tmp_path)

    assert corpus.id == "asvp-esd-bonus"
    assert len(corpus.clips) == 8824
    assert corpus.left_out == {asvp_esd.SPEECH: 5139}
    assert set(asvp_esd.read(asvp_tree).clips) < set(corpus.clips)
    assert open_corpus("asvp-esd@include_bonus=no", str(asvp_tree), tmp_path) == asvp_esd.read(asvp_tree)


def test_the_real_list_is_read_in_a_moment(asvp_tree):
    began = time.perf_counter()
    asvp_esd.read(asvp_tree)

    assert time.perf_counter() - began < 5  # seconds; a tenth where nothing else runs


def test_the_speaker_is_the_sixth_field_whatever_the_folder(asvp_tree):
    lost = [clip for clip in asvp_esd.read(asvp_tree).clips if clip.path.startswith("Audio/actor_/")]

    assert len(lost) == 171
    assert {clip.label for clip in lost} == {"breath"}
    assert all(clip.speaker == clip.path.split("-")[5] for clip in lost)
    assert len({clip.speaker for clip in lost}) > 5


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("03-02-08-02-81-36-03-03-01-18", ("surprised", "36")),
        ("03-02-08-02-81-36-03-03", ("surprised", "36")),
        ("03-02-08-02-81-36-03-03-01-18-02-77", ("surprised", "36")),
        ("03-02-03-021-10-39-03-01-00-13", ("happy", "39")),
        ("03-02-01-18-01-106-02-02-17", ("boredom", "106")),
        ("03-02-04-01-01-7-0401-02-00", ("sad", "07")),
        ("03-02-04-01-52-150-106-01-00-14 -03", ("sad", "150")),
    ],
)
def test_odd_names_are_understood(tmp_path, name, clip):
    root = grow(tmp_path, [*TWO, f"Audio/actor_1/{name}.wav"])

    assert Clip(f"Audio/actor_1/{name}.wav", *clip) in asvp_esd.read(root).clips


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("03-02-08-02-81-36-03", "7 fields, not 8 to 12"),
        ("03-02-08-02-81-36-03-03-01-01-01-01-01", "13 fields, not 8 to 12"),
        ("laugh", "1 fields"),
        ("03-02-08-02-81-x6-03-03", "not numbers between hyphens"),
        ("03-02-08-02--36-03-03", "not numbers between hyphens"),
        ("03-03-08-02-81-36-03-03", "vocal channel 03"),
        ("03-02-14-02-81-36-03-03", "emotion 14 is none of 01 to 13"),
        ("03-02-00-02-81-36-03-03", "emotion 00"),
    ],
)
def test_a_name_that_cannot_be_understood_is_listed(tmp_path, name, why):
    root = grow(tmp_path, [*TWO, f"Audio/actor_1/{name}.wav"])

    [left] = asvp_esd.read(root).skipped
    assert left.path == f"Audio/actor_1/{name}.wav"
    assert why in left.why


def test_hidden_files_are_passed_over_and_texts_counted(tmp_path):
    beside = [
        "Audio/._x.wav",
        "Audio/actor_11/.DS_Store",
        "Audio/__MACOSX/y.wav",
        "Audio/.git/z.wav",
        "Audio/notes.txt",
    ]
    corpus = asvp_esd.read(grow(tmp_path, [*TWO, *beside]))

    assert [clip.path for clip in corpus.clips] == TWO
    assert (corpus.skipped, sum(corpus.left_out.values())) == ((), 1)


def test_a_suffix_in_capitals_is_a_recording(tmp_path):
    loud = "Audio/actor_13/03-02-03-01-01-13-02-02-00.WAV"

    assert loud in [clip.path for clip in asvp_esd.read(grow(tmp_path, [*TWO, loud])).clips]


def test_clips_are_the_same_whichever_level_is_given(tmp_path):
    own = asvp_esd.miniature(tmp_path / "above" / "copies" / "ASVP-ESD-Update")
    given = [own, own / "Audio", own / "Bonus", own.parent, own.parent.parent]
    read = [asvp_esd.read(root) for root in given]

    assert {corpus.clips for corpus in read} == {read[0].clips}
    assert len({content_digest(corpus, with_audio=True) for corpus in read}) == 1


def test_one_actor_alone_is_answered_with_the_folder_to_give(tmp_path):
    own = grow(tmp_path / "asvp", TWO)

    with pytest.raises(UserError, match=f"is only a part of it\ngive --root {own}$"):
        asvp_esd.read(own / "Audio" / "actor_11")


def test_speech_alone_is_no_corpus(tmp_path):
    root = grow(tmp_path, ["Audio/actor_11/03-01-03-01-01-11-02-02-00-13.wav"])

    with pytest.raises(UserError, match="corpus asvp-esd: no clips in"):
        asvp_esd.read(root)
