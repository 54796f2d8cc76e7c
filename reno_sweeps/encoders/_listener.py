"""What every frozen network does: cut, batch, hear, pool, and give the vectors back in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reno_sweeps.encoders._batches import BOUNDS, groups
from reno_sweeps.encoders._checkpoint import Checkpoint
from reno_sweeps.encoders._exact import exact
from reno_sweeps.encoders._pooling import joined, moments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Piece(NamedTuple):
    """A stretch of a clip that is heard in one go."""

    clip: int
    start: int  # samples
    stop: int


class Listener(ABC):
    """A frozen checkpoint. A clip's vector never depends on its company: to 1e-4 relative in float32, alone or batched.

    `bound` is how many bytes of activations one forward pass may need; 0, the default on a CPU, is one clip at a time,
    and then no bit depends on the company either. A clip that needs more is heard alone.
    """

    def __init__(
        self, name: str, found: Checkpoint, facts: Mapping[str, Any], device: str, bound: int | None = None
    ) -> None:
        self.id, self.facts = name, facts
        self.dim = found.dim * (2 if facts["pooling"] == "mean+std" else 1)
        self.bound = BOUNDS.get(device.partition(":")[0], 0) if bound is None else bound
        self._found, self._device = found, device

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors [n, dim] of n recordings (1-D float32 at 16 kHz)."""
        import numpy as np

        pieces = [Piece(clip, *cut) for clip, samples in enumerate(clips) for cut in self._cuts(len(samples))]
        lengths = [self._length(piece.stop - piece.start) for piece in pieces]
        heard: list[list[tuple[int, NDArray[np.float64]]]] = [[] for _ in clips]  # frames and moments, by clip
        with exact():
            for group in groups(lengths, self.bound, self._found.heads, mixed=self._found.masked):
                chosen = [pieces[index] for index in group]
                states = self._states([clips[piece.clip][piece.start : piece.stop] for piece in chosen])
                found = moments(states, self.facts["pooling"])
                for piece, state, moment in zip(chosen, states, found, strict=True):
                    heard[piece.clip].append((len(state), moment))
        vectors = [joined(parts) for parts in heard]
        return np.stack(vectors) if vectors else np.zeros((0, self.dim), np.float32)

    def _cuts(self, samples: int) -> list[tuple[int, int]]:
        """Start and stop of the pieces that a clip is heard in; most networks hear it whole."""
        return [(0, samples)]

    def _length(self, samples: int) -> int:
        """Samples that the network hears of a piece, with what is padded."""
        return max(samples, self._found.shortest)

    @abstractmethod
    def _states(self, pieces: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """Hidden states [frames, dim] of every piece, without the frames that are padding."""
