"""Leaks: whatever stands on both sides of train and test is found, and nothing else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reno_sweeps.corpora._leaks import exact_leaks, near_leaks, sentence, speaker_leaks
from reno_sweeps.folds import make_splits
from reno_sweeps.records import Clip, Corpus, Protocol, Split


def corpus(clips: int = 8, speakers: int = 4) -> Corpus:
    """Clip number n: joy or sadness by turns, speaker n mod `speakers`."""
    return Corpus(
        "toy",
        Path("nowhere"),
        tuple(Clip(f"{n}.wav", ("joy", "sadness")[n % 2], f"s{n % speakers}") for n in range(clips)),
    )


SPLITS = (  # clips 0 to 3 are tested first, with 7 held out; then 4 to 7
    Split((4, 5, 6), (7,), (0, 1, 2, 3)),
    Split((0, 1, 2), (3,), (4, 5, 6, 7)),
)


def test_copies_on_both_sides_are_a_leak_in_both_folds():
    (leak,) = exact_leaks(corpus(), SPLITS, {"0.wav": "a", "1.wav": "b", "4.wav": "a"})

    assert leak.to_dict() == {"kind": "duplicate", "paths": ["0.wav", "4.wav"], "folds": [0, 1]}


def test_copies_in_one_test_part_are_none_even_where_validation_has_one_of_them():
    assert exact_leaks(corpus(), SPLITS, {"0.wav": "a", "3.wav": "a", "5.wav": "b", "6.wav": "b"}) == []


def test_validation_counts_as_training_because_a_refit_trains_on_it():
    (leak,) = exact_leaks(corpus(), SPLITS[:1], {"0.wav": "a", "7.wav": "a"})

    assert leak.folds == (0,)


def test_under_the_papers_selection_the_test_part_is_not_its_own_leak():
    splits = (Split((4, 5, 6, 7), (0, 1, 2, 3), (0, 1, 2, 3)),)

    assert exact_leaks(corpus(), splits, {"0.wav": "a", "1.wav": "a"}) == []


def test_clips_without_a_digest_are_like_no_other():
    assert exact_leaks(corpus(), SPLITS, {}) == []


def test_near_duplicates_leak_as_copies_do():
    leaks = near_leaks(corpus(), SPLITS, [("0.wav", "4.wav"), ("1.wav", "2.wav")])

    assert [leak.to_dict() for leak in leaks] == [
        {"kind": "near duplicate", "paths": ["0.wav", "4.wav"], "folds": [0, 1]}
    ]


def test_what_is_near_to_one_copy_is_near_to_all():
    """0 and 1 are tested together; 5, a copy of 1, is not."""
    pairs, copies = [("0.wav", "1.wav")], [["1.wav", "5.wav"]]

    assert near_leaks(corpus(), SPLITS, pairs) == []
    assert [leak.folds for leak in near_leaks(corpus(), SPLITS, pairs, copies)] == [(0, 1)]


def test_speakers_on_both_sides_are_named():
    leaks = speaker_leaks(corpus(speakers=4), SPLITS)

    assert next(leak.to_dict() for leak in leaks) == {"kind": "speaker", "speaker": "s0", "folds": [0, 1]}
    assert [leak.what for leak in leaks] == [("s0",), ("s1",), ("s2",), ("s3",)]


def test_clips_of_nobody_are_no_speaker():
    nameless = Corpus("toy", Path("nowhere"), tuple(Clip(c.path, c.label) for c in corpus().clips))

    assert speaker_leaks(nameless, SPLITS) == []


@given(
    sounds=st.lists(st.integers(0, 12), min_size=40, max_size=40),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["stratified", "speaker"]),
    selection=st.sampled_from(["validation", "paper"]),
)
@settings(max_examples=15, deadline=None)
def test_they_are_exactly_what_looking_at_every_pair_finds(sounds, seed, kind, selection):
    toy = corpus(40, speakers=10)
    splits = make_splits(toy, Protocol(kind, 4, selection, seed)).splits
    digests = {clip.path: str(sound) for clip, sound in zip(toy.clips, sounds, strict=True)}

    leaks = exact_leaks(toy, splits, digests)

    crossing = {
        (sounds[a], number)
        for number, split in enumerate(splits)
        for a in split.test
        for b in set(split.train) | (set(split.validation) - set(split.test))
        if sounds[a] == sounds[b]
    }
    assert {(int(digests[leak.what[0]]), fold) for leak in leaks for fold in leak.folds} == crossing
    assert (speaker_leaks(toy, splits) == []) == (kind == "speaker")


def test_a_sentence_counts_and_shows_the_first():
    one = exact_leaks(corpus(), SPLITS, {"0.wav": "a", "4.wav": "a"})
    near = near_leaks(corpus(), SPLITS, [(f"{n}.wav", f"{n + 4}.wav") for n in range(4)])

    assert sentence([]) == ""
    assert sentence(one) == "leak: 1 sound with copies is in training and in test (folds 0, 1): 0.wav = 4.wav"
    assert sentence(near) == (
        "leak: 4 pairs of near duplicates are in training and in test (folds 0, 1): "
        "0.wav ~ 4.wav, 1.wav ~ 5.wav, 2.wav ~ 6.wav, …"
    )
    assert sentence(speaker_leaks(corpus(), SPLITS)).startswith("leak: 4 speakers are in training and in test")
