"""A trained model that answers: recordings, or embeddings where it was registered so, in; emotions out."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.records import UserError
from reno_sweeps.serving import encoders, recordings
from reno_sweeps.serving.answers import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from reno_sweeps.encoders._facts import Encoder
    from reno_sweeps.training.export import ExportedModel

logger = logging.getLogger(__name__)

AUDIO, EMBEDDINGS = "audio", "embeddings"  # what a model takes; `extra["input"]` of its folder


def open_model(folder: Path, weights: Mapping[str, str] | None = None, device: str = "auto") -> EmotionModel:
    """The model in a folder that `training.export.save` wrote, with its encoders loaded once.

    `weights` (encoder id → folder) say where pretrained weights lie on this machine; they must be the model's own.
    Raises UserError where the folder is none, or an encoder is missing or another.
    """
    from reno_sweeps.training import export

    exported = export.load(folder)
    if exported.extra.get("input", AUDIO) == EMBEDDINGS:
        return EmotionModel(exported, None)
    return EmotionModel(exported, encoders.opened(exported.encoders, weights or {}, settled(device), folder))


def settled(device: str) -> str:
    """'auto' as 'cuda' where torch sees a GPU, else 'cpu'; a UserError for a GPU that is not there."""
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise UserError("device cuda: torch sees no GPU on this machine\nuse cpu or auto")
    return ("cuda" if there else "cpu") if device == "auto" else device


class BrokenError(UserError):
    """Recordings that cannot be decoded: `faults` by their place among what was given."""

    def __init__(self, faults: Mapping[int, str], of: int) -> None:
        super().__init__(listing(list(faults.values()), of, "leave them out with --skip-broken"))
        self.faults, self.of = faults, of


class EmotionModel:
    """A head with the encoders it hears with."""

    def __init__(self, exported: ExportedModel, hearing: Sequence[Encoder] | None) -> None:
        self.exported, self._hearing = exported, hearing

    @property
    def classes(self) -> tuple[str, ...]:
        """The emotions that it can answer."""
        return self.exported.classes

    @property
    def takes_audio(self) -> bool:
        """Whether it hears recordings; else it takes embeddings."""
        return self._hearing is not None

    def predict(self, given: Any, *, skip_broken: bool = False) -> DataFrame:
        """A DataFrame: path, emotion, one probability column per class; a row a recording, in their order.

        `given`: files and folders, the bytes of files, or 1-D float samples at 16 kHz; for a model that takes
        embeddings, a mapping from its inputs' names to float [n, D]. Recordings that cannot be decoded are a
        UserError that lists them, or are left out with a warning (`skip_broken`).
        """
        if isinstance(given, Mapping):
            return self.answer_embeddings(given).as_frame().drop(columns="path")
        places = [given] if isinstance(given, str | Path | bytes) else list(given)
        return self.answer(_listed(places), skip_broken=skip_broken).as_frame()

    def answer(
        self,
        given: Sequence[Any],
        names: Sequence[str | None] | None = None,
        *,
        skip_broken: bool = False,
        seconds: float = math.inf,
    ) -> Table:
        """The answers to recordings (no folders), `seconds` together at most; `names` replace what files are called.

        BrokenError where some cannot be decoded, unless they are left out.
        """
        self._refuse_audio()
        parts = [self._heard(batch) for batch in recordings.heard(given, names, seconds)]
        broken = {number: fault for _, _, faults in parts for number, fault in faults.items()}
        if broken and not skip_broken:
            raise BrokenError(broken, len(given))
        for fault in broken.values():
            logger.warning("left out: %s", fault)
        return self._table([name for found, _, _ in parts for name in found], [scores for _, scores, _ in parts])

    def answer_embeddings(self, given: Mapping[str, Any], names: Sequence[str | None] | None = None) -> Table:
        """The answers to embeddings: float [n, D] by the name of the input (see `inputs`) or by encoder id."""
        vectors = {
            encoder: _matrix(given, name, encoder, dim)
            for (name, encoder), dim in zip(self.inputs.items(), self.exported.dims, strict=True)
        }
        counts = {len(x) for x in vectors.values()}
        if len(counts) > 1:
            raise UserError(f"embeddings of {', '.join(vectors)} have {sorted(counts)} rows: one row a clip in each")
        scores = self.exported.probabilities(vectors)
        return self._table(list(names or [None] * len(scores)), [scores])

    @property
    def inputs(self) -> dict[str, str]:
        """The names under which embeddings are given → encoder ids, in the head's order."""
        return inputs_of([str(facts["id"]) for facts in self.exported.encoders])

    def _heard(self, batch: Sequence[recordings.Heard]) -> tuple[list[str | None], NDArray[np.float32], dict[int, str]]:
        """Names and probabilities [n, classes] of what could be decoded, and the faults of the rest."""
        clips = [one.samples for one in batch if one.samples is not None]
        hearing = self._hearing or ()
        vectors = {encoder.id: encoder.embed(clips) for encoder in hearing} if clips else self._nothing()
        found = [one.name for one in batch if one.samples is not None]
        faults = {one.number: one.fault for one in batch if one.fault is not None}
        return found, self.exported.probabilities(vectors), faults

    def _nothing(self) -> dict[str, NDArray[np.float32]]:
        import numpy as np

        rows = zip(self.exported.encoders, self.exported.dims, strict=True)
        return {str(facts["id"]): np.zeros((0, dim), np.float32) for facts, dim in rows}

    def _table(self, names: list[str | None], scores: Sequence[NDArray[np.float32]]) -> Table:
        import numpy as np

        nobody = np.zeros((0, len(self.classes)), np.float32)
        answered = np.concatenate([nobody, *scores])
        if silent := int((~np.isfinite(answered).all(1)).sum()):
            raise UserError(
                f"the model answers no numbers for {silent} of {len(answered)} clips: its weights overflow on them\n"
                "scale the embeddings as in training, copy the model again, or register another trial"
            )
        return Table(names, self.classes, answered)

    def _refuse_audio(self) -> None:
        if not self.takes_audio:
            raise UserError(
                f"this model takes embeddings, not recordings: {', '.join(self.inputs)}\n"
                "give it the vectors in Python: load_model(URI).predict({name: array [n, D], …})"
            )


def inputs_of(ids: Sequence[str]) -> dict[str, str]:
    """Short names of encoders as inputs → their ids: 'file:a/gpvad.npz' is 'gpvad' unless two would be called so."""
    short = [Path(one.removeprefix("file:")).stem if one.startswith("file:") else one for one in ids]
    distinct = len(set(short)) == len(short) and "path" not in short
    return dict(zip(short if distinct else ids, ids, strict=True))


def _matrix(given: Mapping[str, Any], name: str, encoder: str, dim: int) -> NDArray[np.float32]:
    """The embeddings [n, D] of one encoder."""
    import numpy as np

    found = given.get(name, given.get(encoder))
    if found is None:
        raise UserError(f"the model takes embeddings of {name}; given: {', '.join(map(str, given)) or 'nothing'}")
    try:
        rows = [np.asarray(row, np.float32) for row in found]
        matrix = np.stack(rows) if rows else np.zeros((0, dim), np.float32)
    except (ValueError, TypeError) as fault:
        raise UserError(f"embeddings of {name}: they are numbers [n, D], one row a clip ({fault})") from fault
    if not np.isfinite(matrix).all():
        raise UserError(f"embeddings of {name} hold NaN or infinity")
    return matrix


def _listed(places: Sequence[Any]) -> list[Any]:
    """Folders replaced by the recordings in them; everything else as it is."""
    found: list[Any] = []
    for place in places:
        found += recordings.expand([place]) if isinstance(place, str | Path) else [place]
    return found


def listing(broken: Sequence[str], of: int, advice: str) -> str:
    """How many cannot be used, the first five of them, what to do."""
    shown = "; ".join(broken[:5]) + (f"; and {len(broken) - 5} more" if len(broken) > 5 else "")
    return f"{len(broken)} of {of} recordings cannot be used\n{shown}\n{advice}"
