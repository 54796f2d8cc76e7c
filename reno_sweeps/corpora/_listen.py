"""Every recording of a corpus heard once: its length, rate and level, the digest and the sketch of its sound."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reno_sweeps import audio
from reno_sweeps.corpora._near import Sketch, sketch
from reno_sweeps.records import Clip, Corpus, Skipped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Progress = Callable[[int, int, str], None]  # done, in all, what is being done

FULL_SCALE = 0.999
PLATEAU = 3  # samples in a row at full scale: no sound stays there by itself, a cut one does


@dataclass(frozen=True, slots=True)
class Sound:
    """What is known of a clip's recording once it was decoded."""

    seconds: float
    rate: int  # samples a second, of the file
    channels: int
    peak: float  # of the decoded samples; 1 is full scale
    clipped: bool
    digest: str  # of the decoded samples: equal ones sound the same
    sketch: Sketch | None


def listen(corpus: Corpus, progress: Progress | None = None) -> tuple[dict[Clip, Sound], list[Skipped]]:
    """The sound of every clip that can be decoded, in their order, and the broken ones with what is wrong.

    Decoding is libsndfile's and soxr's work, which leave Python's lock: a thread for each core.
    """
    sounds: dict[Clip, Sound] = {}
    broken: list[Skipped] = []
    with ThreadPoolExecutor(cores()) as pool:
        heard = pool.map(partial(_hear, corpus.root), corpus.clips)
        for done, (clip, found) in enumerate(zip(corpus.clips, heard, strict=True), start=1):
            if isinstance(found, Sound):
                sounds[clip] = found
            else:
                broken.append(Skipped(clip.path, found))
            if progress:
                progress(done, len(corpus.clips), "listening to clips")
    return sounds, broken


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hear(root: Path, clip: Clip) -> Sound | str:
    """The sound of a clip, or why it cannot be decoded."""
    import numpy as np

    file = root / clip.path
    try:
        samples, header = audio.hear(file)
    except audio.AudioError as fault:
        return str(fault.args[0]).removeprefix(f"{file}: ")
    peak = float(np.abs(samples).max())
    sound = audio.samples_digest(samples)
    return Sound(header.seconds, header.rate, header.channels, peak, _is_clipped(samples), sound, sketch(samples))


def _is_clipped(samples: NDArray[np.float32]) -> bool:
    import numpy as np

    full = np.concatenate([[0], np.cumsum(np.abs(samples) >= FULL_SCALE)])
    return bool((full[PLATEAU:] - full[:-PLATEAU] == PLATEAU).any())
