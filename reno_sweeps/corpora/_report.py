"""What `corpus check` says of a corpus: what it holds, what was left out, what sounds the same."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from reno_sweeps.corpora._listen import Progress, Sound, cores, listen
from reno_sweeps.corpora._near import QUIET, near_duplicates
from reno_sweeps.records import Clip, Corpus, Skipped

SHORT, LONG = 0.3, 10.0  # seconds: clips beyond are counted, for encoders hear little of the one and much of the other
SHOWN = 3  # paths beside a count


@dataclass(frozen=True, slots=True)
class Findings:
    """A corpus after every recording of it was heard once."""

    corpus: Corpus  # of the clips that can be decoded; the broken ones are among its skipped files
    sounds: Mapping[Clip, Sound]
    broken: tuple[Skipped, ...]
    copies: tuple[tuple[Clip, ...], ...]  # groups of clips with the same decoded samples
    near: tuple[
        tuple[Clip, Clip, float], ...
    ]  # near duplicates with their similarity; of copies the first stands for all
    took: Mapping[str, float]  # seconds of listening and comparing


def examine(corpus: Corpus, progress: Progress | None = None) -> Findings:
    """Listen to every recording once, and find those that sound the same."""
    began = time.monotonic()
    sounds, broken = listen(corpus, progress)
    heard = time.monotonic()
    same: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip, sound in sounds.items():
        same[sound.digest].append(clip)
    firsts = [group[0] for group in same.values()]
    pairs = near_duplicates([sounds[clip].sketch for clip in firsts], progress, cores())
    took = {"listening": round(heard - began, 3), "comparing": round(time.monotonic() - heard, 3)}
    return Findings(
        replace(corpus, clips=tuple(sounds), skipped=corpus.skipped + tuple(broken)),
        sounds,
        tuple(broken),
        tuple(tuple(group) for group in same.values() if len(group) > 1),
        tuple((firsts[one], firsts[two], alike) for one, two, alike in pairs),
        took,
    )


def corpus_report(found: Findings, expected: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The object of `corpus check --json` as far as the recordings tell; folds and leaks come from elsewhere.

    `expected`: clips, speakers and classes of the corpus as it was published. A recording that cannot be decoded is no
    clip: it is counted nowhere and listed under `skipped`.
    """
    sounds, skipped = found.sounds, found.corpus.skipped
    conflicts = [group for group in found.copies if len({clip.label for clip in group}) > 1]
    counts = _counts(found)
    return {
        **counts,
        "sample_rates": _numbers(sound.rate for sound in sounds.values()),
        "channels": _numbers(sound.channels for sound in sounds.values()),
        "short": {"below": SHORT, **_some(sounds, lambda sound: sound.seconds < SHORT)},
        "long": {"above": LONG, **_some(sounds, lambda sound: sound.seconds > LONG)},
        "silent": {"below_dbfs": -60, **_some(sounds, lambda sound: sound.peak < QUIET)},
        "clipped": _some(sounds, lambda sound: sound.clipped),
        "skipped": [{"path": left.path, "why": left.why} for left in skipped],
        "skipped_why": dict(Counter(_kind(left.why) for left in skipped).most_common()),
        "left_out": dict(found.corpus.left_out),
        "duplicates": [[clip.path for clip in group] for group in found.copies],
        "near_duplicates": [[one.path, two.path, alike] for one, two, alike in found.near],
        "conflicts": [{clip.path: clip.label for clip in group} for group in conflicts],
        "deviations": deviations(counts, expected or {}),
        "took": dict(found.took),
    }


def deviations(counts: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Where a copy of a corpus is not what was published, a sentence each."""
    said = [
        f"{counts[what]} {what}; the published corpus has {expected[what]}"
        for what in ("clips", "speakers")
        if expected.get(what, counts[what]) != counts[what]
    ]
    published = expected.get("classes", {})
    for label in sorted({*published, *(counts["classes"] if published else ())}):
        here, there = counts["classes"].get(label, 0), published.get(label, 0)
        if here != there:
            said.append(f"{here} clips of {label!r}; the published corpus has {there}")
    return said


def faults(found: Findings) -> list[str]:
    """What must be mended whatever the folds: recordings that cannot be decoded, sounds with two labels."""
    said = []
    if found.broken:
        whole = len(found.corpus.clips) + len(found.broken)
        first = _and_more([f"{left.path} ({left.why})" for left in found.broken])
        said.append(f"{len(found.broken)} of {whole} recordings cannot be decoded: {first}")
    conflicts = [g for g in found.copies if len({clip.label for clip in g}) > 1]
    if conflicts:
        first = _and_more([" = ".join(f"{clip.path} ({clip.label})" for clip in group) for group in conflicts])
        said.append(f"{_several(len(conflicts), 'sound')} with two labels: {first}")
    return said


def warnings(found: Findings) -> list[str]:
    """What a person should know, and may leave as it is."""
    several = [group for group in found.copies if len({clip.speaker for clip in group}) > 1]
    near = [(one, two) for one, two, _ in found.near if one.label != two.label]
    silent = [clip.path for clip, sound in found.sounds.items() if sound.peak < QUIET]
    said = {
        f"{_several(len(several), 'sound')} under two speakers' names": [_same(group) for group in several],
        f"{_several(len(near), 'pair')} of near duplicates with two labels": [
            f"{one.path} ({one.label}) ~ {two.path} ({two.label})" for one, two in near
        ],
        f"{_several(len(silent), 'silent clip')} (peak below −60 dBFS)": silent,
    }
    return [f"{what}: {_and_more(examples)}" for what, examples in said.items() if examples]


def _counts(found: Findings) -> dict[str, Any]:
    clips, sounds = found.corpus.clips, found.sounds
    speakers = Counter(clip.speaker for clip in clips if clip.speaker is not None)
    by_class: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_class[clip.label].append(clip)
    seconds = {label: [sounds[clip].seconds for clip in by_class[label]] for label in sorted(by_class)}
    whole = [sound.seconds for sound in sounds.values()]
    return {
        "corpus": found.corpus.id,
        "synthetic": found.corpus.synthetic,
        "clips": len(clips),
        "hours": round(sum(whole) / 3600, 4),
        "speakers": len(speakers),
        "classes": {label: len(lasts) for label, lasts in seconds.items()},
        "per_speaker": dict(sorted(speakers.items())),
        "per_class": {
            label: {
                "clips": len(lasts),
                "speakers": len({clip.speaker for clip in by_class[label] if clip.speaker is not None}),
                "minutes": round(sum(lasts) / 60, 3),
                **_spread(lasts),
            }
            for label, lasts in seconds.items()
        },
        "seconds": _spread(whole),
    }


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    found = {"shortest": min(seconds), "median": median(seconds), "longest": max(seconds)}
    return {name: round(value, 4) for name, value in found.items()}


def _numbers(values: Iterable[int]) -> dict[str, int]:
    """How many clips have each value; keys are text, as JSON's are."""
    return {str(value): number for value, number in sorted(Counter(values).items())}


def _some(sounds: Mapping[Clip, Sound], is_one: Callable[[Sound], bool]) -> dict[str, Any]:
    """How many clips are such, and the first of them."""
    paths = [clip.path for clip, sound in sounds.items() if is_one(sound)]
    return {"clips": len(paths), "first": paths[:SHOWN]}


def _kind(why: str) -> str:
    """A reason without its figures: 'truncated, … of … samples'."""
    return re.sub(r"(?<![A-Za-z])\d[\d.,e+]*", "…", why)  # the 3 of mp3 is no figure


def _same(group: Iterable[Clip]) -> str:
    return " = ".join(f"{clip.path} ({clip.speaker})" for clip in group)


def _several(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _and_more(examples: Sequence[str]) -> str:
    return ", ".join(examples[:SHOWN]) + ", …" * (len(examples) > SHOWN)
