"""VIVAE: every line of its real file list, the core set beside it left out."""

from __future__ import annotations

from collections import Counter

import pytest

from reno_sweeps.corpora import content_digest, vivae
from reno_sweeps.records import UserError
from tests.corpora.conftest import grow


def test_the_real_list_gives_the_published_counts(vivae_tree):
    clips = vivae.read(vivae_tree).clips

    counts, speakers = Counter(clip.label for clip in clips), Counter(clip.speaker for clip in clips)
    assert len(clips) == 1085
    assert counts == {"pleasure": 202, "surprise": 187, "pain": 185, "fear": 176, "anger": 174, "achievement": 161}
    assert [speakers[f"S{n:02d}"] for n in range(1, 12)] == [93, 101, 101, 108, 111, 111, 103, 108, 108, 87, 54]
    assert {"clips": 1085, "speakers": 11, "classes": counts} == vivae.EXPECTED


def test_the_core_set_is_counted_and_left_out(vivae_tree):
    corpus = vivae.read(vivae_tree)

    assert (dict(corpus.left_out), corpus.skipped) == ({vivae.CORE: 480}, ())
    assert all(clip.path.startswith("full_set/") for clip in corpus.clips)


@pytest.mark.parametrize("item", ["1", "01", "104", "1000"])
def test_items_have_any_number_of_digits(tmp_path, item):
    root = grow(tmp_path, ["full_set/S01_anger_low_01.wav", f"full_set/S02_pain_peak_{item}.wav"])

    assert len(vivae.read(root).clips) == 2


@pytest.mark.parametrize(
    "name", ["S1_anger_low_01", "S01_joy_low_01", "S01_anger_loud_01", "S01_anger_low_01 (1)", "x"]
)
def test_a_name_that_cannot_be_understood_is_listed(tmp_path, name):
    names = ["full_set/S01_anger_low_01.wav", "full_set/S02_pain_peak_01.wav", f"full_set/{name}.wav"]

    corpus = vivae.read(grow(tmp_path, names))

    assert [left.path for left in corpus.skipped] == [f"full_set/{name}.wav"]
    assert "S01_achievement_low_01.wav" in corpus.skipped[0].why


def test_clips_are_the_same_whichever_level_is_given(tmp_path):
    top = vivae.miniature(tmp_path / "recordings" / "vivae")
    read = [vivae.read(root) for root in (top / "VIVAE", top / "VIVAE" / "full_set", top, top.parent)]

    assert {corpus.clips for corpus in read} == {read[0].clips}
    assert len({content_digest(corpus, with_audio=True) for corpus in read}) == 1


def test_the_core_set_alone_is_answered_with_the_folder_to_give(tmp_path):
    top = vivae.miniature(tmp_path / "vivae")

    with pytest.raises(UserError, match=f"is only a part of it\ngive --root {top / 'VIVAE'}$"):
        vivae.read(top / "VIVAE" / "core_set")
