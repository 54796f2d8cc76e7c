"""Finding a published corpus on disk: every wrong level answered with what was looked for, found, and what to do."""

from __future__ import annotations

import os

import pytest

from reno_sweeps import catalogue
from reno_sweeps.corpora import open_corpus, vivae
from reno_sweeps.records import Corpus, Skipped, UserError
from tests.corpora.conftest import grow

PUBLISHED = [name for name in catalogue.names("corpora") if hasattr(catalogue.load("corpora", name), "ORIGIN")]
SMALL = ["full_set/S01_anger_low_01.wav", "full_set/S02_pain_peak_01.wav"]


@pytest.fixture(params=PUBLISHED)
def module(request):
    return catalogue.load("corpora", request.param)


def refusal(module, root) -> str:
    with pytest.raises(UserError) as refused:
        module.read(root)
    assert len(str(refused.value).splitlines()) <= 3
    return str(refused.value)


def test_the_three_corpora_of_the_paper_are_there():
    assert PUBLISHED == ["asvp-esd", "jnv", "vivae"]


def test_a_missing_folder_is_answered_with_the_command_that_gets_it(module, tmp_path):
    said = refusal(module, tmp_path / "none")

    assert f"there is no folder {tmp_path / 'none'}" in said
    assert f"reno-sweep corpus fetch {module.ID} --root {tmp_path / 'none'} --accept-licence" in said


def test_no_root_at_all_is_answered_likewise(module, tmp_path):
    with pytest.raises(UserError, match=f"say --root DIR.*\n.*corpus fetch {module.ID} --root DIR"):
        open_corpus(module.ID, None, tmp_path)


def test_another_folder_is_answered_with_what_was_found_there(module, tmp_path):
    said = refusal(module, grow(tmp_path / "here", [f"{name}/x.wav" for name in ("b", "a", "d", "c", "f", "e")]))

    assert "looked for" in said
    assert "found a, b, c, d and 2 more" in said
    assert f"corpus fetch {module.ID}" in said


def test_an_empty_folder_holds_nothing(module, tmp_path):
    assert "found nothing" in refusal(module, tmp_path)


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_the_folder_may_be_given_two_levels_too_high_and_no_more(module, tmp_path, levels):
    own = module.read(module.miniature(tmp_path / "mini")).root
    high = tmp_path / "high"
    place = high.joinpath(*"abc"[:levels])
    place.parent.mkdir(parents=True, exist_ok=True)
    own.rename(place)

    if levels > 2:
        assert "looked for" in refusal(module, high)
    else:
        assert module.read(high).root == place


def test_two_copies_below_are_ambiguous(module, tmp_path):
    module.miniature(tmp_path / "one")
    module.miniature(tmp_path / "two")

    assert "holds it 2 times" in refusal(module, tmp_path)


def test_two_ways_to_one_copy_are_not(module, tmp_path):
    module.miniature(tmp_path / "one")
    (tmp_path / "two").symlink_to(tmp_path / "one")

    assert module.read(tmp_path).clips == module.read(tmp_path / "one").clips


def test_a_relative_root_and_a_link_name_the_same_clips(module, tmp_path, monkeypatch):
    root = module.miniature(tmp_path / "mini")
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(root)

    assert module.read(tmp_path.joinpath("link")).clips == module.read(root).clips
    assert open_corpus(module.ID, ".", tmp_path).clips == module.read(root).clips


def test_packaging_of_a_mac_is_no_second_copy(tmp_path):
    root = grow(tmp_path, [f"VIVAE/{path}" for path in SMALL] + [f"__MACOSX/{path}" for path in SMALL])

    assert len(vivae.read(root).clips) == 2


def test_links_to_folders_and_names_that_are_no_text_are_listed(tmp_path):
    root = grow(tmp_path, SMALL)
    (root / "full_set" / "again").symlink_to(root / "full_set")
    (root / "full_set" / os.fsdecode(b"\xff.wav")).touch()

    assert vivae.read(root).skipped == (
        Skipped("full_set/again", "a link to a folder, not followed"),
        Skipped("full_set/\\udcff.wav", "its name is no UTF-8 text"),
    )


def test_a_folder_that_cannot_be_entered_is_listed(tmp_path, monkeypatch):
    root = grow(tmp_path, [*SMALL, "full_set/closed/S03_fear_low_01.wav"])
    scandir = os.scandir

    def guarded(folder):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)  # root, who runs tests too, may enter everywhere

    assert vivae.read(root).skipped == (Skipped("full_set/closed", "cannot be read (Permission denied)"),)


@pytest.mark.parametrize(
    ("asked", "offer"),
    [
        ("asvp-esd@bonus=yes", "'@bonus=yes' is none of its options\non offer: @include_bonus=yes|no"),
        ("asvp-esd@include_bonus=maybe", "on offer: @include_bonus=yes|no"),
        ("asvp-esd@include_bonus", "on offer: @include_bonus=yes|no"),
        ("asvp-esd@include_bonus=yes@include_bonus=no", "'@include_bonus=no' is none"),
        ("vivae@include_bonus=yes", "on offer: none"),
        ("demo@speaker=x", "corpus demo: '@speaker=x' is none of its options"),
        ("folder@label=x", "on offer: @speaker=REGEX"),
        ("asvp@include_bonus=yes", "did you mean asvp-esd"),
    ],
)
def test_an_unknown_option_is_answered_with_what_is_on_offer(tmp_path, asked, offer):
    with pytest.raises(UserError) as refused:
        open_corpus(asked, str(tmp_path), tmp_path)

    assert offer in str(refused.value)


def test_what_is_left_out_disturbs_neither_hash_nor_equality(tmp_path):
    plain, counted = Corpus("c", tmp_path, ()), Corpus("c", tmp_path, (), left_out={"speech": 3})

    assert hash(plain) == hash(counted)
    assert plain != counted
