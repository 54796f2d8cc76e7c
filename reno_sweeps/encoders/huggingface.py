"""Pretrained speech encoders of transformers, frozen: the mean over time of a hidden state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.encoders._checkpoint import Asked, Checkpoint, inspect, parse
from reno_sweeps.encoders._facts import Encoder, EncoderFacts
from reno_sweeps.encoders._featured import Featured
from reno_sweeps.encoders._hub import cached, hub_folder, weights_digest
from reno_sweeps.encoders._network import frozen
from reno_sweeps.records import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

PREFIX = "hf:"
PATTERN = EncoderFacts("hf:<hub id or folder>", "huggingface", "any speech encoder of transformers", None, "its own")
ROWS = (  # method.md, section 1; licences as the models' pages state them
    EncoderFacts("wavlm-base", "huggingface", "microsoft/wavlm-base", 768, "see the model's page"),
    EncoderFacts("wav2vec2-base", "huggingface", "facebook/wav2vec2-base", 768, "Apache-2.0"),
    EncoderFacts("unispeech-sat-base", "huggingface", "microsoft/unispeech-sat-base", 768, "see the model's page"),
    EncoderFacts("hubert-base", "huggingface", "facebook/hubert-base-ls960", 768, "Apache-2.0"),
    EncoderFacts("mms-1b", "huggingface", "facebook/mms-1b", 1280, "CC BY-NC 4.0"),
)
VERSION = "2"  # raise it when a clip's vector changes: it is part of the cache's address
PRECISIONS = ("float32", "bfloat16")


def facts(name: str, weights: str | None = None, download: bool = False) -> dict[str, Any]:
    """The address facts of a checkpoint, from its small files and its weights' hash or revision."""
    return _found(name, weights, download)[1]


def at_hand(name: str) -> bool:
    """Whether a named checkpoint is in the local cache, ready to be loaded."""
    folder = cached(_source(parse(name)))
    return folder is not None and any(folder.glob("*.safetensors"))


def load(
    name: str, weights: str | None = None, device: str = "cpu", precision: str = "float32", download: bool = False
) -> Encoder:
    """The encoder of a hub id, a local folder or a named row."""
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision}: {name} offers {', '.join(PRECISIONS)}")
    found, known = _found(name, weights, download)
    kind = HuggingFace if found.features is None else Featured
    return kind(name, found, known | {"precision": precision}, device)


class HuggingFace:
    """A frozen checkpoint that hears the waveform: the mean over time of its last hidden state, or of one layer's.

    Each clip has a forward pass of its own: nothing is padded to a neighbour's length, and no bit of a clip's vector
    depends on its company (sums of matrix products do, in their last digits). A clip shorter than the receptive field
    of one frame (25 ms for most) is padded with zeros at its end to that length, after normalisation.
    """

    def __init__(self, name: str, found: Checkpoint, facts: dict[str, Any], device: str) -> None:
        self.id, self.dim = name, found.dim
        self.facts: Mapping[str, Any] = facts
        self._found, self._device = found, device
        self._model = frozen(name, found.folder, facts["precision"]).to(device)

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors [n, dim] of n recordings (1-D float32 at 16 kHz)."""
        import numpy as np
        import torch

        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):  # TF32 would round to 10 bits
            vectors = [self._mean_state(self._prepared(clip)[None])[0].cpu().numpy() for clip in clips]
        return np.stack(vectors) if vectors else np.zeros((0, self.dim), np.float32)

    def _prepared(self, clip: NDArray[np.float32]) -> Tensor:
        import torch

        samples = torch.from_numpy(clip)
        if self._found.normalize:  # as Wav2Vec2FeatureExtractor does
            samples = (samples - samples.mean()) / torch.sqrt(samples.var(correction=0) + 1e-7)
        short = max(0, self._found.shortest - samples.numel())
        return torch.nn.functional.pad(samples, (0, short)).to(self._device, self._model.dtype)

    def _mean_state(self, heard: Tensor) -> Tensor:
        layer = self._found.layer
        output = self._model(heard, output_hidden_states=layer is not None)
        state: Tensor = output.last_hidden_state if layer is None else output.hidden_states[layer]
        return state.float().mean(dim=1)  # [clips, frames, dim] → [clips, dim]


def _found(name: str, weights: str | None, download: bool) -> tuple[Checkpoint, dict[str, Any]]:
    """The checkpoint and its address facts."""
    asked = parse(name)
    local = Path(weights).expanduser() if weights is not None else _local(asked)
    folder = local or hub_folder(name, _source(asked), download)
    found = inspect(name, asked, folder)
    return found, {
        "encoder": "huggingface",
        "weights": weights_digest(folder) if local else f"{_source(asked)}@{folder.name}",
        "layer": found.layer,
        "pooling": "mean",
        "precision": "float32",
        "normalize": found.features or found.normalize,
        "code": VERSION,
    }


def _source(asked: Asked) -> str:
    """The hub id or folder behind an id."""
    named = {row.id: row.source for row in ROWS}
    return named.get(asked.base) or asked.base.removeprefix(PREFIX)


def _local(asked: Asked) -> Path | None:
    """The folder that 'hf:' names; a hub id is 'name' or 'owner/name', everything else is a place on disk."""
    if not asked.base.startswith(PREFIX):
        return None
    source = _source(asked)
    folder = Path(source).expanduser()
    return folder if folder.is_dir() or source.startswith(("/", ".", "~")) or source.count("/") > 1 else None
