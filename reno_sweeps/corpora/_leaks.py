"""Leaks: what is trained on and tested alike, clips or speakers. Pure: splits and digests come from outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reno_sweeps.records import Corpus, Split

SHOWN = 3  # examples in a sentence


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that stands on both sides of train and test; validation counts as training, for refits train on it."""

    kind: str  # duplicate, near duplicate, speaker
    what: tuple[str, ...]  # paths of clips, or the speaker alone
    folds: tuple[int, ...]  # numbers of the splits in which it does

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: kind, paths or speaker, folds."""
        what = {"speaker": self.what[0]} if self.kind == "speaker" else {"paths": list(self.what)}
        return {"kind": self.kind, **what, "folds": list(self.folds)}


def exact_leaks(corpus: Corpus, splits: Sequence[Split], digests: Mapping[str, str]) -> list[Leak]:
    """Clips with the same decoded samples, trained on and tested: one leak for each sound.

    `digests`: a clip's path → the digest of its samples; a clip that is not in it is like no other.
    """
    same: defaultdict[str, list[str]] = defaultdict(list)
    for clip in corpus.clips:
        if clip.path in digests:
            same[digests[clip.path]].append(clip.path)
    groups = [paths for paths in same.values() if len(paths) > 1]
    return _leaks("duplicate", _Sides(corpus, splits), ((tuple(paths), [paths]) for paths in groups))


def near_leaks(
    corpus: Corpus, splits: Sequence[Split], pairs: Iterable[tuple[str, str]], groups: Iterable[Sequence[str]] = ()
) -> list[Leak]:
    """Pairs of near duplicates, by path, one trained on where the other is tested.

    `groups`: paths with the same samples; what is near to one of them is near to all.
    """
    copies = {path: list(group) for group in groups for path in group}
    near = (((one, two), [copies.get(one, [one]), copies.get(two, [two])]) for one, two in pairs)
    return _leaks("near duplicate", _Sides(corpus, splits), near)


def speaker_leaks(corpus: Corpus, splits: Sequence[Split]) -> list[Leak]:
    """Speakers who are trained on and tested; clips of an unknown speaker are nobody's."""
    spoken: defaultdict[str, list[str]] = defaultdict(list)
    for clip in corpus.clips:
        if clip.speaker is not None:
            spoken[clip.speaker].append(clip.path)
    return _leaks("speaker", _Sides(corpus, splits), (((who,), [paths]) for who, paths in sorted(spoken.items())))


def sentence(leaks: Sequence[Leak]) -> str:
    """The leaks of one kind in a sentence for people; nothing where there are none."""
    if not leaks:
        return ""
    folds = sorted({fold for leak in leaks for fold in leak.folds})
    where = f"fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))}"
    between = " ~ " if leaks[0].kind == "near duplicate" else " = "
    examples = ", ".join(between.join(leak.what) for leak in leaks[:SHOWN]) + ", …" * (len(leaks) > SHOWN)
    return f"leak: {_subject(leaks)} in training and in test ({where}): {examples}"


def _subject(leaks: Sequence[Leak]) -> str:
    number, several = len(leaks), len(leaks) > 1
    return {
        "duplicate": f"{number} sound{'s' * several} with copies {'are' if several else 'is'}",
        "near duplicate": f"{number} pair{'s' * several} of near duplicates {'are' if several else 'is'}",
        "speaker": f"{number} speaker{'s' * several} {'are' if several else 'is'}",
    }[leaks[0].kind]


class _Sides:
    """In which splits a clip is tested."""

    def __init__(self, corpus: Corpus, splits: Sequence[Split]) -> None:
        self.splits = frozenset(range(len(splits)))
        tested: defaultdict[str, set[int]] = defaultdict(set)
        for number, split in enumerate(splits):
            for row in split.test:
                tested[corpus.clips[row].path].add(number)
        self._tested = tested

    def tested(self, paths: Iterable[str]) -> set[int]:
        """Splits in which one of the clips is tested."""
        return {split for path in paths for split in self._tested[path]}

    def trained(self, paths: Iterable[str]) -> set[int]:
        """Splits in which one of the clips is not tested."""
        return {split for path in paths for split in self.splits - self._tested[path]}


def _leaks(kind: str, sides: _Sides, found: Iterable[tuple[tuple[str, ...], Sequence[Sequence[str]]]]) -> list[Leak]:
    """A leak for all that has one group of clips tested where a group that must not meet it is trained on."""
    leaks = []
    for what, groups in found:
        first, last = groups[0], groups[-1]
        folds = (sides.tested(first) & sides.trained(last)) | (sides.tested(last) & sides.trained(first))
        if folds:
            leaks.append(Leak(kind, what, tuple(sorted(folds))))
    return leaks
