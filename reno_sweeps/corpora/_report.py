"""What `corpus check` says: what a corpus holds, what was left out, what sounds the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any

from reno_sweeps import audio
from reno_sweeps.records import Clip, Corpus

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def corpus_report(corpus: Corpus, decode: Callable[[Path], NDArray[np.float32]] = audio.decode) -> dict[str, Any]:
    """Every recording decoded once: the object of `corpus check --json`, with sample rates and durations beside it.

    A recording that cannot be decoded is no clip: it is counted nowhere and listed under `skipped`. `duplicates` are
    groups of paths with the same decoded samples; `conflicts` those whose labels differ, as {path: label}.
    """
    skipped = [{"path": left.path, "why": left.why} for left in corpus.skipped]
    good: list[Clip] = []
    seconds: list[float] = []
    rates: Counter[int] = Counter()
    same: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in corpus.clips:
        file = corpus.root / clip.path
        try:
            samples = decode(file)
            rates[audio.info(file).rate] += 1
        except audio.AudioError as fault:
            skipped.append({"path": clip.path, "why": _why(fault, file)})
            continue
        good.append(clip)
        seconds.append(len(samples) / audio.RATE)
        same[audio.samples_digest(samples)].append(clip)
    groups = [group for group in same.values() if len(group) > 1]
    return _counts(corpus.id, good) | {
        "hours": round(sum(seconds) / 3600, 4),
        "sample_rates": {str(rate): rates[rate] for rate in sorted(rates)},
        "seconds": _spread(seconds),
        "skipped": skipped,
        "duplicates": [[clip.path for clip in group] for group in groups],
        "conflicts": [{clip.path: clip.label for clip in g} for g in groups if len({clip.label for clip in g}) > 1],
    }


def _counts(name: str, clips: list[Clip]) -> dict[str, Any]:
    speakers = Counter(clip.speaker for clip in clips if clip.speaker is not None)
    return {
        "corpus": name,
        "clips": len(clips),
        "hours": 0.0,
        "speakers": len(speakers),
        "classes": dict(sorted(Counter(clip.label for clip in clips).items())),
        "per_speaker": dict(sorted(speakers.items())),
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    return {"shortest": min(seconds), "median": median(seconds), "longest": max(seconds)}


def _why(fault: audio.AudioError, file: Path) -> str:
    return str(fault).removeprefix(f"{file}: ")
