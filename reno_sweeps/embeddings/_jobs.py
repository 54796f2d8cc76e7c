"""What is encoded at once: batches of decoded recordings, planned alike for every number of workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reno_sweeps.audio import RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLIPS = 32  # in one job
SOUND = 64 * RATE  # samples in one job: what a kill costs, and what a worker holds; a longer clip is a job by itself
WINDOW_CLIPS = 128  # among which clips of like length are put together
WINDOW_SOUND = 600 * RATE  # samples: 38 MB


@dataclass(frozen=True, slots=True)
class Recording:
    """A decoded clip that lacks an embedding."""

    path: str
    sound: str  # digest of its samples
    samples: NDArray[np.float32]  # [n] at 16 kHz


@dataclass(frozen=True, slots=True)
class Job:
    """Recordings that one encoder hears in one call."""

    encoder: str
    recordings: tuple[Recording, ...]

    @property
    def sound(self) -> int:
        """Samples in all."""
        return sum(recording.samples.size for recording in self.recordings)

    @property
    def clips(self) -> list[NDArray[np.float32]]:
        """The samples of each recording."""
        return [recording.samples for recording in self.recordings]


def is_full(window: Sequence[Recording]) -> bool:
    """Whether a window is to be cut into jobs now."""
    return len(window) >= WINDOW_CLIPS or sum(recording.samples.size for recording in window) >= WINDOW_SOUND


def cut(encoder: str, window: Sequence[Recording]) -> Iterator[Job]:
    """The recordings of a window as jobs, clips of like length together, the longest first.

    Encoders that batch clips of equal length find them in one job; what needs most memory is tried first.
    """
    batch: list[Recording] = []
    held = 0
    for recording in sorted(window, key=lambda one: (-one.samples.size, one.path)):
        if batch and (len(batch) == CLIPS or held + recording.samples.size > SOUND):
            yield Job(encoder, tuple(batch))
            batch, held = [], 0
        batch.append(recording)
        held += recording.samples.size
    if batch:
        yield Job(encoder, tuple(batch))
