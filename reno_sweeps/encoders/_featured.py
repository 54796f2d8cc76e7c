"""Checkpoints that hear spectral features (Whisper, wav2vec2-bert): their own extractor, then their frozen encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reno_sweeps.audio import RATE
from reno_sweeps.encoders._checkpoint import Checkpoint
from reno_sweeps.encoders._network import frozen, quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Featured:
    """Each clip by itself: features, encoder, the mean over the frames that hold sound.

    Whisper hears exactly 30 s: a shorter clip is padded with silence, of which no frame counts, and a longer one is
    heard in pieces of 30 s whose frames all count alike. A clip shorter than two windows (35 ms) is padded with zeros.
    """

    def __init__(self, name: str, found: Checkpoint, facts: dict[str, Any], device: str) -> None:
        from transformers import AutoFeatureExtractor

        self.id, self.dim = name, found.dim
        self.facts: Mapping[str, Any] = facts
        self._found, self._device = found, device
        with quiet():
            self._extractor: Any = AutoFeatureExtractor.from_pretrained(found.folder, local_files_only=True)
        model = frozen(name, found.folder, facts["precision"])
        self._encoder = (model.get_encoder() if model.config.is_encoder_decoder else model).to(device)

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors [n, dim] of n recordings (1-D float32 at 16 kHz)."""
        import numpy as np
        import torch

        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            vectors = [torch.cat(list(self._states(clip))).mean(dim=0).cpu().numpy() for clip in clips]
        return np.stack(vectors) if vectors else np.zeros((0, self.dim), np.float32)

    def _states(self, clip: NDArray[np.float32]) -> Iterator[Tensor]:
        """Hidden states [frames, dim] of the clip's pieces, without the frames that are padding."""
        import numpy as np

        length = getattr(self._extractor, "n_samples", len(clip))  # Whisper's 30 s; others hear any length
        for start in range(0, max(1, len(clip)), max(1, length)):
            piece = clip[start : start + length]
            short = max(0, self._found.shortest - len(piece))
            yield self._heard(np.pad(piece, (0, short)))

    def _heard(self, piece: NDArray[np.float32]) -> Tensor:
        given = self._extractor(piece, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True)
        mask = given["attention_mask"][0].bool()
        features = given["input_features"].to(self._device, self._encoder.dtype)
        more = {} if features.shape[1] != len(mask) else {"attention_mask": given["attention_mask"].to(self._device)}
        output = self._encoder(features, output_hidden_states=self._found.layer is not None, **more)
        layer = self._found.layer
        states: Tensor = (output.last_hidden_state if layer is None else output.hidden_states[layer])[0].float()
        return states[: _frames(int(mask.sum()), len(mask), len(states))]


def _frames(sounding: int, features: int, frames: int) -> int:
    """How many encoder frames hold sound, where several features make a frame; at least one."""
    return max(1, -(-sounding * frames // features))
