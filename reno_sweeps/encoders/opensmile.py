"""eGeMAPS functionals by openSMILE, an optional package with a licence of its own: the classical baseline."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, NoReturn

from reno_sweeps.audio import RATE
from reno_sweeps.encoders._facts import EncoderFacts
from reno_sweeps.encoders._options import refuse_any
from reno_sweeps.records import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LICENCE = "audEERING Research License: no commercial use"
ROWS = (EncoderFacts("egemaps", "opensmile", "computed", 88, LICENCE),)
PREFIX = None  # its ids are the rows'; no open-ended ones
VERSION = "1"  # raise it when a clip's vector changes: it is part of the cache's address
SHORTEST = 960  # samples: the longest window of eGeMAPS, 60 ms; openSMILE gives nothing for less


def facts(name: str, weights: str | None = None, download: bool = False) -> dict[str, Any]:  # noqa: ARG001
    """The address facts: which openSMILE computes it stands where other encoders have their weights."""
    refuse_any(name)
    if weights is not None:
        raise UserError(f"--weights {name}={weights}: {name} is computed, it has no weights")
    if not at_hand(name):
        raise UserError(_missing(name))
    return {
        "encoder": "egemaps",
        "weights": f"eGeMAPSv02 of opensmile {metadata.version('opensmile')}",
        "layer": None,
        "pooling": "functionals",
        "precision": "float32",
        "normalize": False,
        "code": VERSION,
    }


def at_hand(name: str) -> bool:  # noqa: ARG001
    """Whether the package is installed."""
    return importlib.util.find_spec("opensmile") is not None


def fetch(name: str) -> NoReturn:
    """Nothing is downloaded: the package computes it."""
    if at_hand(name):
        raise UserError(f"{name} is computed: nothing to fetch")
    raise UserError(_missing(name))


def load(
    name: str, weights: str | None = None, device: str = "cpu", precision: str = "float32", download: bool = False
) -> Functionals:
    """The encoder `egemaps`; it always computes on the CPU."""
    del device
    if precision != "float32":
        raise UserError(f"precision {precision}: {name} is computed in float32 only")
    return Functionals(name, facts(name, weights, download))


class Functionals:
    """The 88 functionals of eGeMAPSv02 (Eyben et al. 2016) of each clip by itself.

    A clip shorter than 60 ms is padded with zeros at its end to 60 ms. A clip with a sample that is no number has a
    vector of NaN: openSMILE would give it finite figures that mean nothing.
    """

    def __init__(self, name: str, facts: dict[str, Any]) -> None:
        from opensmile import FeatureLevel, FeatureSet, Smile

        self.id, self.dim = name, 88
        self.facts: Mapping[str, Any] = facts
        self._smile: Any = Smile(feature_set=FeatureSet.eGeMAPSv02, feature_level=FeatureLevel.Functionals)

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors [n, 88], each clip by itself."""
        import numpy as np

        vectors = [self._embed(clip) for clip in clips]
        return np.stack(vectors) if vectors else np.zeros((0, self.dim), np.float32)

    def _embed(self, clip: NDArray[np.float32]) -> NDArray[np.float32]:
        import numpy as np

        if not np.isfinite(clip).all():
            return np.full(self.dim, np.nan, np.float32)
        padded = np.pad(clip, (0, max(0, SHORTEST - len(clip))))
        vector: NDArray[np.float32] = self._smile(padded, RATE).reshape(self.dim).astype(np.float32)
        return vector


def _missing(name: str) -> str:
    return (
        f"encoder {name}: the package opensmile is not installed\n"
        f"its licence allows no commercial use ({LICENCE.partition(':')[0]}); if you agree to it:\n"
        "    pip install 'reno-sweeps[opensmile]'"
    )
