"""What is known of an encoder before it is loaded, and what every encoder does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # ids and facts are read before numpy is needed
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """The row of one encoder id."""

    id: str
    family: str  # the file that knows it
    source: str  # where its weights come from; 'computed' where there are none
    dim: int | None  # entries of one embedding; None: the folder or file says
    licence: str  # of the weights
    parameters: int | None = None  # of the network; None: the folder says, or there are none
    page: str = ""  # where the weights must be got by hand; empty: `encoders fetch` gets them, or none are needed


class Encoder(Protocol):
    """A frozen encoder: clips in, one vector a clip out."""

    id: str
    dim: int
    facts: Mapping[str, Any]  # what makes an embedding what it is, for the cache's address

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors [n, dim] of n recordings (1-D float32 at 16 kHz); none depends on the others."""
        ...
