"""Checkpoints that hear spectral features (Whisper, wav2vec2-bert): their own extractor, then their frozen encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reno_sweeps.audio import RATE
from reno_sweeps.encoders._checkpoint import Checkpoint
from reno_sweeps.encoders._listener import Listener
from reno_sweeps.encoders._network import frozen, loading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Featured(Listener):
    """The mean over the frames that hold sound.

    Whisper hears exactly 30 s: a shorter clip is padded with silence, of which no frame counts, and a longer one is
    heard in pieces of 30 s whose frames all count alike. A clip shorter than two windows (35 ms) is padded with zeros.
    """

    def __init__(
        self, name: str, found: Checkpoint, facts: Mapping[str, Any], device: str, bound: int | None = None
    ) -> None:
        from transformers import AutoFeatureExtractor

        super().__init__(name, found, facts, device, bound)
        with loading(name, found.folder):
            self._extractor: Any = AutoFeatureExtractor.from_pretrained(found.folder, local_files_only=True)
        model = frozen(name, found.folder, facts["precision"])
        self._encoder = (model.get_encoder() if model.config.is_encoder_decoder else model).to(device)
        self._whole: int | None = getattr(self._extractor, "n_samples", None)  # Whisper's 30 s; others hear any length

    def _cuts(self, samples: int) -> list[tuple[int, int]]:
        step = self._whole or max(1, samples)
        return [(start, min(start + step, samples)) for start in range(0, max(1, samples), step)]

    def _length(self, samples: int) -> int:
        return self._whole or super()._length(samples)

    def _states(self, pieces: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        import torch

        given = [self._features(piece) for piece in pieces]
        masks = torch.nn.utils.rnn.pad_sequence([mask for _, mask in given], batch_first=True)  # [pieces, time]
        features = torch.nn.utils.rnn.pad_sequence([rows for rows, _ in given], batch_first=True)
        features = features.to(self._device, self._encoder.dtype)  # [pieces, time, bands]
        asked = {"output_hidden_states": self._found.layer is not None}
        if self._whole:  # Whisper wants the bands first, and no mask: it hears the silence
            output = self._encoder(features.mT, **asked)
        else:
            output = self._encoder(features, attention_mask=masks.to(self._device), **asked)
        layer = self._found.layer
        states = output.last_hidden_state if layer is None else output.hidden_states[layer]
        counts = masks.sum(dim=1).tolist()
        return [row[: _frames(int(n), masks.shape[1], len(row))] for row, n in zip(states, counts, strict=True)]

    def _features(self, piece: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
        """What the encoder hears of a piece [time, bands], and which of it is sound [time]."""
        import numpy as np

        padded = np.pad(piece, (0, max(0, self._found.shortest - len(piece))))
        given = self._extractor(padded, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True)
        features: Tensor = given["input_features"][0]
        return (features.mT if self._whole else features), given["attention_mask"][0]


def _frames(sounding: int, features: int, frames: int) -> int:
    """How many encoder frames hold sound, where several features make a frame; at least one."""
    return max(1, -(-sounding * frames // features))
