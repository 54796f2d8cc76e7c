"""Folds: everyone is tested once, nobody is in two parts, speakers stay apart; the same question, the same folds."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reno_sweeps import dealing
from reno_sweeps.folds import Folds, make_splits, refit_split
from reno_sweeps.records import Clip, Corpus, Protocol, UserError

LABELS = ("anger", "fear", "joy")


def corpus_of(*clips: Clip) -> Corpus:
    return Corpus("toy", Path("nowhere"), tuple(sorted(clips, key=lambda clip: clip.path)))


def toy(speakers: int = 10, takes: int = 3, labels: tuple[str, ...] = LABELS, folds: int | None = None) -> Corpus:
    """Every speaker utters every emotion `takes` times; speaker s has fold s mod `folds` where asked."""
    return corpus_of(
        *(
            Clip(f"{label}/s{s:02}_{take}.wav", label, f"s{s:02}", None if folds is None else s % folds)
            for label in labels
            for s in range(speakers)
            for take in range(takes)
        )
    )


def without_speakers(corpus: Corpus) -> Corpus:
    return dataclasses.replace(corpus, clips=tuple(dataclasses.replace(c, speaker=None) for c in corpus.clips))


def check_laws(corpus: Corpus, made: Folds, protocol: Protocol) -> None:
    """What holds of all folds: tests partition the corpus; the parts of a split are disjoint, sorted and cover it."""
    everyone = set(range(len(corpus.clips)))
    assert len(made.splits) == protocol.n_folds * protocol.repeats
    for repeat in range(protocol.repeats):
        tests = [s.test for s in made.splits[repeat * protocol.n_folds : (repeat + 1) * protocol.n_folds]]
        assert sorted(row for rows in tests for row in rows) == sorted(everyone)
    for split in made.splits:
        parts = (
            (split.train, split.test) if protocol.selection == "paper" else (split.train, split.validation, split.test)
        )
        rows = [row for part in parts for row in part]
        assert len(rows) == len(set(rows))
        assert set(rows) == everyone
        assert all(part == tuple(sorted(part)) and part for part in parts)
        assert {corpus.clips[row].label for row in split.train} == set(corpus.classes)


def speakers(corpus: Corpus, rows: tuple[int, ...]) -> set[str | None]:
    return {corpus.clips[row].speaker for row in rows}


def are_apart(corpus: Corpus, made: Folds) -> bool:
    parts = [(speakers(corpus, s.train), speakers(corpus, s.validation), speakers(corpus, s.test)) for s in made.splits]
    return all(not (train & held or train & test or held & test) for train, held, test in parts)


@given(
    takes=st.integers(2, 6),
    people=st.integers(4, 12),
    n_folds=st.integers(2, 4),
    seed=st.integers(0, 2**31),
    repeats=st.integers(1, 2),
    kind=st.sampled_from(["stratified", "speaker"]),
    selection=st.sampled_from(["validation", "paper"]),
)
@settings(max_examples=40, deadline=None)
def test_the_laws_hold_of_any_folds(takes, people, n_folds, seed, repeats, kind, selection):
    corpus = toy(people, takes)
    protocol = Protocol(kind, n_folds, selection, seed, repeats)

    made = make_splits(corpus, protocol)

    check_laws(corpus, made, protocol)
    assert made.kind == kind
    if kind == "speaker" and selection == "validation":
        assert are_apart(corpus, made)


@pytest.mark.parametrize("kind", ["stratified", "speaker", "given"])
def test_the_order_of_the_clips_changes_nothing(kind):
    corpus = toy(folds=5)
    shuffled = dataclasses.replace(corpus, clips=tuple(random.Random(1).sample(corpus.clips, len(corpus.clips))))
    protocol = Protocol(kind)

    one, two = make_splits(corpus, protocol), make_splits(shuffled, protocol)

    assert one.digest == two.digest
    for ours, theirs in zip(one.splits, two.splits, strict=True):
        for part in ("train", "validation", "test"):
            assert {corpus.clips[r] for r in getattr(ours, part)} == {shuffled.clips[r] for r in getattr(theirs, part)}


def test_the_same_question_has_the_same_folds_and_another_seed_has_others():
    corpus = toy()
    one, again, other = (make_splits(corpus, Protocol(seed=seed)) for seed in (0, 0, 1))

    assert one == again
    assert one.digest != other.digest


def test_repeats_are_different_folds():
    splits = make_splits(toy(), Protocol(repeats=2)).splits

    assert {s.test for s in splits[:5]}.isdisjoint({s.test for s in splits[5:]})


@pytest.mark.parametrize("kind", ["stratified", "speaker"])
def test_every_part_has_about_its_share_of_every_class(kind):
    corpus = toy(speakers=20, takes=5)

    for split in make_splits(corpus, Protocol(kind)).splits:
        for rows, share in ((split.train, 64), (split.validation, 16), (split.test, 20)):
            counts = Counter(corpus.clips[row].label for row in rows)
            assert all(abs(counts[label] - share) <= 5 for label in LABELS)


def test_auto_takes_the_corpus_s_own_folds_and_says_so():
    made = make_splits(toy(folds=5), Protocol("auto"))

    assert made.kind == "given"
    assert made.messages == (
        "folds: the corpus's own 5 (whole speakers); protocol.folds: stratified or speaker makes others",
    )


def test_auto_without_a_fold_column_stratifies_and_says_that_speakers_mix():
    made = make_splits(toy(), Protocol("auto"))

    assert made.kind == "stratified"
    assert made.messages == (
        "folds: stratified, so speakers are in training and test alike; protocol.folds: speaker parts them",
    )
    assert make_splits(without_speakers(toy()), Protocol("auto")).messages == ()


def test_a_kind_that_is_named_overrides_the_column():
    assert make_splits(toy(folds=5), Protocol("stratified")).kind == "stratified"


def test_given_folds_test_what_the_column_says_and_hold_out_whole_speakers():
    corpus = toy(folds=5)
    protocol = Protocol("given")

    made = make_splits(corpus, protocol)

    check_laws(corpus, made, protocol)
    assert [{corpus.clips[row].fold for row in split.test} for split in made.splits] == [{k} for k in range(5)]
    assert are_apart(corpus, made)


def test_given_folds_may_be_numbered_as_they_like():
    corpus = toy(folds=5)
    odd = dataclasses.replace(corpus, clips=tuple(dataclasses.replace(c, fold=c.fold * 10 - 7) for c in corpus.clips))

    assert make_splits(odd, Protocol("given")).splits == make_splits(corpus, Protocol("given")).splits


def test_given_folds_that_mix_speakers_hold_out_clips():
    corpus = toy(speakers=2, takes=10)
    mixed = [dataclasses.replace(clip, fold=row % 5) for row, clip in enumerate(corpus.clips)]

    made = make_splits(corpus_of(*mixed), Protocol("given"))

    assert speakers(corpus, made.splits[0].validation) == {"s00", "s01"}
    assert "speakers may be in several" in made.messages[0]


def test_paper_stops_and_selects_on_the_test_fold_and_says_so():
    corpus, protocol = toy(), Protocol(selection="paper")

    made = make_splits(corpus, protocol)

    check_laws(corpus, made, protocol)
    assert all(split.validation == split.test for split in made.splits)
    assert "optimistic" in made.messages[-1]


def test_both_selections_test_the_same_clips():
    validation, paper = (make_splits(toy(), Protocol(selection=name)) for name in ("validation", "paper"))

    assert [split.test for split in validation.splits] == [split.test for split in paper.splits]


@pytest.mark.parametrize("selection", ["validation", "paper"])
def test_a_refit_trains_on_all_but_the_test_part(selection):
    corpus = toy()

    for split in make_splits(corpus, Protocol(selection=selection)).splits:
        refit = refit_split(split)

        assert refit.validation == ()
        assert refit.test == split.test
        assert sorted(refit.train + refit.test) == list(range(len(corpus.clips)))


def test_a_class_that_a_part_lacks_is_said():
    corpus = toy(speakers=5, folds=5)
    rare = tuple(clip for clip in corpus.clips if clip.label != "joy" or clip.speaker != "s03")

    messages = make_splits(dataclasses.replace(corpus, clips=rare), Protocol("given")).messages

    assert "class 'joy' is absent from the test part of fold 3" in messages


def jnv_shaped() -> Corpus:
    """Four speakers, six emotions, 18 takes of each: 432 clips."""
    emotions = ("angry", "disgust", "fear", "happy", "sad", "surprise")
    return toy(4, 18, emotions)


def asvp_shaped(seed: int = 0, people: int = 129, classes: int = 13) -> Corpus:
    """Speakers of 1 to about 300 clips, classes of 77 to about 1,200, most speakers without most of the rare ones."""
    dice = random.Random(seed)
    weights = [1.25**-c for c in range(classes)]
    clips = [
        Clip(f"{s:03}_{take:03}.wav", f"c{label:02}", f"s{s:03}")
        for s in range(people)
        for take, label in enumerate(
            dice.choices(range(classes), weights, k=1 + int(58 * dice.paretovariate(1.6)) % 300)
        )
    ]
    rare = [Clip(f"rare_{n}.wav", f"c{classes:02}", f"s{dice.randrange(people):03}") for n in range(77)]
    return corpus_of(*clips, *rare)


def uttering(corpus: Corpus) -> dict[str, set[str | None]]:
    """Who utters each class."""
    return {label: {c.speaker for c in corpus.clips if c.label == label} for label in corpus.classes}


def test_four_speakers_have_four_folds_of_one_speaker_each():
    corpus, protocol = jnv_shaped(), Protocol("speaker", n_folds=4)

    made = make_splits(corpus, protocol)

    check_laws(corpus, made, protocol)
    assert are_apart(corpus, made)
    for split in made.splits:
        assert [len(speakers(corpus, part)) for part in (split.train, split.validation, split.test)] == [2, 1, 1]
    assert made.messages == ()


def test_repeats_of_four_folds_of_four_speakers_are_said_to_be_the_same():
    messages = make_splits(jnv_shaped(), Protocol("speaker", n_folds=4, repeats=3)).messages

    assert "repeats: 3, but only 1 of them differ in their test folds" in messages


@pytest.mark.parametrize("seed", range(3))
def test_unequal_speakers_still_give_even_folds_with_every_class(seed):
    corpus, protocol = asvp_shaped(seed), Protocol("speaker", seed=seed)

    made = make_splits(corpus, protocol)

    check_laws(corpus, made, protocol)
    assert are_apart(corpus, made)
    assert made.messages == ()  # no class is absent from any part
    for split in made.splits:
        assert len(split.test) == pytest.approx(len(corpus.clips) / 5, rel=0.05)
        counts = Counter(corpus.clips[row].label for row in split.test)
        for label, whole in Counter(clip.label for clip in corpus.clips).items():
            assert 0.1 <= counts[label] / whole <= 0.35


def test_a_validation_part_of_whole_speakers_is_about_a_fifth():
    """VIVAE's shape: eleven speakers; of the eight or nine left to train on, a part has one, two or three."""
    clips = (93, 101, 101, 108, 111, 111, 103, 108, 108, 87, 54)
    corpus = corpus_of(
        *(Clip(f"{s}_{n}.wav", LABELS[n % 3], f"s{s}") for s, most in enumerate(clips) for n in range(most))
    )

    for seed in range(5):
        for split in make_splits(corpus, Protocol("speaker", seed=seed)).splits:
            share = len(split.validation) / (len(split.validation) + len(split.train))
            assert 0.17 < share < 0.26


def test_of_all_deals_the_one_that_lacks_least_is_taken():
    """Not the most even one: in some of these it lacks a class that another deal has in every part."""
    for seed in range(64):
        dice = random.Random(seed)
        spoken = [(f"s{s}", label) for s in range(8) for label in LABELS for _ in range(dice.choice([0, 0, 1, 9]))]
        labels, who = [label for _, label in spoken], [speaker for speaker, _ in spoken]
        counts = np.array(
            [[spoken.count((s, label)) for label in sorted(set(labels))] for s in sorted(set(who))], float
        )
        generator = np.random.default_rng(seed)
        least = min(dealing._deal(counts, 3, generator)[0] for _ in range(20))

        parts = dealing.by_speakers(labels, who, 3, seed)

        assert sum(len(set(labels)) - len({labels[row] for row in part}) for part in parts) == least


def test_another_seed_deals_unequal_speakers_otherwise():
    """scikit-learn's StratifiedGroupKFold deals them the same way whatever its seed."""
    corpus = asvp_shaped()
    tests = [{s.test for s in make_splits(corpus, Protocol("speaker", seed=seed)).splits} for seed in (0, 1)]
    repeats = make_splits(corpus, Protocol("speaker", repeats=2))

    assert tests[0].isdisjoint(tests[1])
    assert {s.test for s in repeats.splits[:5]}.isdisjoint({s.test for s in repeats.splits[5:]})
    assert repeats.messages == ()


@given(data=st.data(), people=st.integers(6, 30), n_folds=st.integers(2, 5), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_class_is_absent_from_a_test_fold_only_where_it_is_said(data, people, n_folds, seed):
    """Speakers of any size, any of whom may lack any class."""
    counts = data.draw(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), min_size=people, max_size=people))
    clips = [
        Clip(f"{s:02}_{label}_{take}.wav", label, f"s{s:02}")
        for s, row in enumerate(counts)
        for label, number in zip(LABELS, row, strict=True)
        for take in range(number)
    ]
    assume(clips)
    corpus, protocol = corpus_of(*clips), Protocol("speaker", n_folds, seed=seed)
    try:
        made = make_splits(corpus, protocol)
    except UserError:
        assume(False)

    check_laws(corpus, made, protocol)
    assert are_apart(corpus, made)
    for fold, split in enumerate(made.splits):
        for label in set(corpus.classes) - {corpus.clips[row].label for row in split.test}:
            (line,) = [m for m in made.messages if m.startswith(f"class {label!r} is absent from the test part")]
            assert str(fold) in line.rpartition("fold ")[2].split(", ")
            assert len(uttering(corpus)[label]) < 2 * n_folds  # with speakers enough none is absent


@pytest.mark.parametrize("n_folds", [3, 5])
def test_a_class_that_just_enough_speakers_utter_is_in_every_fold(n_folds):
    corpus = toy(speakers=20)
    clips = [c for c in corpus.clips if c.label != "joy" or int(c.speaker[1:]) < n_folds]

    made = make_splits(corpus_of(*clips), Protocol("speaker", n_folds))

    assert not any("absent from the test part" in message for message in made.messages)


def test_three_speakers_are_enough_for_three_speaker_independent_folds():
    corpus = toy(speakers=3)

    made = make_splits(corpus, Protocol("speaker", n_folds=3))

    assert are_apart(corpus, made)


def one_fold_less(corpus: Corpus) -> Corpus:
    return dataclasses.replace(corpus, clips=(dataclasses.replace(corpus.clips[0], fold=None), *corpus.clips[1:]))


def joy_in_fold_0_alone(corpus: Corpus) -> Corpus:
    return dataclasses.replace(corpus, clips=tuple(c for c in corpus.clips if c.label != "joy" or c.fold == 0))


@pytest.mark.parametrize(
    ("corpus", "protocol", "answer"),
    [
        (toy(speakers=1), Protocol("stratified"), r"3 clips of 'anger' for 5 folds\n--folds 3"),
        (toy(speakers=1, takes=1), Protocol("stratified"), r"1 clip of 'anger' for 5 folds\ntwo clips"),
        (toy(speakers=4), Protocol("speaker"), r"4 speakers for 5 speaker-independent folds\n--folds 4"),
        (toy(speakers=1, takes=9), Protocol("speaker"), r"1 speaker for 5 speaker-independent folds\nprotocol.folds"),
        (toy(speakers=2), Protocol("speaker", 2), "one speaker is left to train on"),
        (without_speakers(toy()), Protocol("speaker"), "the speaker of 90 of 90 clips is not known"),
        (toy(), Protocol("given"), "90 of 90 clips have no fold of their own"),
        (one_fold_less(toy(folds=5)), Protocol("auto"), "1 of 90 clips have no fold of their own"),
        (toy(folds=5), Protocol("auto", 4), r"gives 5 folds \(0, 1, 2, 3, 4\), asked 4\n--folds 5"),
        (toy(folds=5), Protocol("given", repeats=2), r"the same in each of 2 repeats\nprotocol.repeats: 1"),
        (joy_in_fold_0_alone(toy(folds=5)), Protocol("given"), "fold 0 has no clip of joy to train on"),
        (toy(), Protocol("leave-one-out"), "on offer: auto, given, stratified, speaker"),
        (toy(), Protocol(n_folds=1), "at least 2 folds"),
        (toy(speakers=1, takes=2), Protocol("stratified", 2), "too few clips of a class are left"),
    ],
)
def test_folds_that_cannot_be_are_answered_with_those_that_can(corpus, protocol, answer):
    with pytest.raises(UserError, match=answer) as refusal:
        make_splits(corpus, protocol)

    assert len(str(refusal.value).splitlines()) <= 3


def test_the_real_table_s_folds_keep_its_85_speakers_apart(shared_data):
    from reno_sweeps.corpora import manifest

    corpus = manifest.read(shared_data / "emogator6" / "manifest.csv")

    made = make_splits(corpus, Protocol())

    assert made.kind == "given"
    assert are_apart(corpus, made)
    assert {(len(s.train), len(s.validation), len(s.test)) for s in made.splits} <= {
        (1224 - held, held, 306)
        for held in (234, 252)  # 13 or 14 of 68 speakers
    }
