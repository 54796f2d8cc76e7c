"""Inner folds of the nested protocol: of the same kind, in the outer training part, and nowhere near its test clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from reno_sweeps.folds import inner_splits, make_splits
from reno_sweeps.records import Clip, Corpus, Protocol, UserError


def corpus(given: bool = False, speakers: int = 8) -> Corpus:
    rows = [(label, take) for take in range(40) for label in "abc"]
    clips = (
        Clip(f"{label}/{take:02d}.wav", label, f"s{take % speakers}", take % speakers % 4 if given else None)
        for label, take in rows
    )
    return Corpus("c", Path(), tuple(clips))


@pytest.mark.parametrize("kind", ["stratified", "speaker", "given"])
def test_an_outer_folds_test_clips_are_in_no_inner_fold_and_all_others_are_validated_once(kind: str) -> None:
    there = corpus(given=kind == "given")
    protocol = Protocol(folds=kind, n_folds=4, selection="nested")
    for fold, outer in enumerate(make_splits(there, protocol).splits):
        inner = inner_splits(there, protocol, 0, fold)
        rest = sorted({*outer.train, *outer.validation})

        assert len(inner) == 3
        assert sorted(row for split in inner for row in split.validation) == rest
        for split in inner:
            assert split.test == ()
            assert sorted((*split.train, *split.validation)) == rest
            assert not set(split.train) & set(split.validation)


@pytest.mark.parametrize("kind", ["speaker", "given"])
def test_speakers_stay_apart_inside_where_they_are_outside(kind: str) -> None:
    there = corpus(given=kind == "given")
    protocol = Protocol(folds=kind, n_folds=4, selection="nested")
    for fold in range(4):
        for split in inner_splits(there, protocol, 0, fold):
            train, held = ({there.clips[row].speaker for row in rows} for rows in (split.train, split.validation))
            assert not train & held


def test_given_inner_folds_are_the_corpus_own_others() -> None:
    there = corpus(given=True)
    inner = inner_splits(there, Protocol(n_folds=4, selection="nested"), 0, 1)

    assert [{there.clips[row].fold for row in split.validation} for split in inner] == [{0}, {2}, {3}]


def test_other_repeats_and_folds_are_dealt_otherwise_and_the_same_ones_alike() -> None:
    there, protocol = corpus(), Protocol(n_folds=4, selection="nested", repeats=2)
    again = inner_splits(there, protocol, 0, 0)

    assert again == inner_splits(there, protocol, 0, 0)
    assert again != inner_splits(there, protocol, 1, 0)


def test_the_order_of_the_clips_changes_nothing() -> None:
    there, protocol = corpus(), Protocol(n_folds=4, selection="nested")
    turned = Corpus("c", Path(), there.clips[::-1])
    one, other = (
        [sorted(c.clips[row].path for row in split.validation) for split in inner_splits(c, protocol, 0, 2)]
        for c in (there, turned)
    )
    assert one == other


def test_two_folds_leave_nothing_to_validate_on() -> None:
    with pytest.raises(UserError, match="three folds at least"):
        inner_splits(corpus(), Protocol(n_folds=2, selection="nested"), 0, 0)
