"""Pretrained speech encoders of transformers, frozen: the mean over time of a hidden state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.encoders import _convert, _hub
from reno_sweeps.encoders._checkpoint import Checkpoint, described, inspect
from reno_sweeps.encoders._facts import Encoder, EncoderFacts
from reno_sweeps.encoders._featured import Featured
from reno_sweeps.encoders._listener import Listener
from reno_sweeps.encoders._network import frozen, hushed
from reno_sweeps.encoders._options import Asked, agreed, parse
from reno_sweeps.records import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

PREFIX = "hf:"
PATTERN = EncoderFacts("hf:<hub id or folder>", "huggingface", "any speech encoder of transformers", None, "its own")
ROWS = (  # licences as the models' pages state them; parameters of the part that hears, by transformers' own classes
    EncoderFacts("wavlm-base", "huggingface", "microsoft/wavlm-base", 768, "CC BY-SA 3.0", 94_381_936),
    EncoderFacts("wav2vec2-base", "huggingface", "facebook/wav2vec2-base", 768, "Apache-2.0", 94_371_712),
    EncoderFacts("unispeech-sat-base", "huggingface", "microsoft/unispeech-sat-base", 768, "CC BY-SA 3.0", 94_371_712),
    EncoderFacts("hubert-base", "huggingface", "facebook/hubert-base-ls960", 768, "Apache-2.0", 94_371_712),
    EncoderFacts("mms-1b", "huggingface", "facebook/mms-1b", 1280, "CC BY-NC 4.0", 962_497_408),
    EncoderFacts("voc2vec", "huggingface", "alkiskoudounas/voc2vec", 768, "Apache-2.0", 94_371_712),
    EncoderFacts("wavlm-large", "huggingface", "microsoft/wavlm-large", 1024, "CC BY-SA 3.0", 315_453_120),
    EncoderFacts("hubert-large", "huggingface", "facebook/hubert-large-ll60k", 1024, "Apache-2.0", 315_438_720),
    EncoderFacts("data2vec-audio-base", "huggingface", "facebook/data2vec-audio-base", 768, "Apache-2.0", 93_164_288),
    EncoderFacts("whisper-base", "huggingface", "openai/whisper-base", 512, "Apache-2.0", 20_590_592),
)
KINDS = {  # transformers' model_type behind a name
    "wavlm-base": "wavlm",
    "wav2vec2-base": "wav2vec2",
    "unispeech-sat-base": "unispeech-sat",
    "hubert-base": "hubert",
    "mms-1b": "wav2vec2",
    "voc2vec": "wav2vec2",
    "wavlm-large": "wavlm",
    "hubert-large": "hubert",
    "data2vec-audio-base": "data2vec-audio",
    "whisper-base": "whisper",
}
VERSION = "2"  # raise it when a clip's vector changes: it is part of the cache's address


def facts(name: str, weights: str | None = None, download: bool = False) -> dict[str, Any]:
    """The address facts of a checkpoint, from its small files and its weights' hash or revision."""
    return _found(name, weights, download)[1]


def elsewhere(name: str) -> str | None:
    """Why an encoder that people ask for is not on offer, and what to do; None for every other id."""
    if "emotion2vec" not in name.lower() or Path(name.removeprefix(PREFIX)).expanduser().is_dir():
        return None
    return (
        f"encoder {name}: emotion2vec's weights are FunASR's, which transformers cannot load without foreign code\n"
        "embed the clips with its own tool, numpy.savez(file, ids=paths, X=vectors), and use file:<x.npz>"
    )


def at_hand(name: str) -> bool:
    """Whether a named checkpoint is in the local cache, whole, ready to be loaded."""
    folder = _hub.cached(_source(parse(name)))
    return folder is not None and usable(name, folder)


def usable(name: str, folder: Path) -> bool:
    """Whether a folder holds a checkpoint that is whole, and of the architecture and width behind the name."""
    try:
        _inspected(name, parse(name), folder)
    except UserError:
        return False
    return True


def load(
    name: str, weights: str | None = None, device: str = "cpu", precision: str = "float32", download: bool = False
) -> Encoder:
    """The encoder of a hub id, a local folder or a named row."""
    settled = agreed(name, parse(name).precision, precision, device)
    found, known = _found(name, weights, download)
    kind = HuggingFace if found.features is None else Featured
    return kind(name, found, known | {"precision": settled}, device)


def fetch(name: str) -> Path:
    """The checkpoint's folder in the local Hugging Face cache, downloaded from the hub as far as it is not there."""
    asked = parse(name)
    if _local(asked):
        raise UserError(f"encoder {name} is a folder of yours: there is nothing to fetch")
    return _hub.fetch(asked.base, _source(asked))


def convert(name: str, source: Path, target: Path) -> dict[str, Any]:
    """A checkpoint whose weights are a .bin file, written to `target` as safetensors; its hash and its size."""
    asked, old = parse(name), _convert.folder_of(source)
    _refuse_another(asked, old, *described(name, old))
    return _convert.folder(name, old, target)


class HuggingFace(Listener):
    """The mean over time of the last hidden state, or of one layer's, of a checkpoint that hears the waveform.

    What a group norm hears includes padding, so its clips are batched by exact length; where every frame is normalised
    by itself, shorter clips are padded with zeros and masked. Normalisation to mean 0, variance 1 is each clip's own,
    before anything is padded. A clip shorter than the receptive field of one frame (25 ms for most) is padded with
    zeros at its end to that length, after normalisation, alone too.
    """

    def __init__(
        self, name: str, found: Checkpoint, facts: Mapping[str, Any], device: str, bound: int | None = None
    ) -> None:
        super().__init__(name, found, facts, device, bound)
        self._model = frozen(name, found.folder, facts["precision"]).to(device)

    def _states(self, pieces: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        import torch

        clips = [self._prepared(piece) for piece in pieces]
        lengths = torch.tensor([clip.numel() for clip in clips])
        heard = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)  # [clips, samples]
        mask = None
        if int(lengths.min()) < heard.shape[1]:
            mask = (torch.arange(heard.shape[1]) < lengths[:, None]).long().to(self._device)
        heard, layer = heard.to(self._device, self._model.dtype), self._found.layer
        with hushed():
            output = self._model(heard, attention_mask=mask, output_hidden_states=layer is not None)
        states: Tensor = output.last_hidden_state if layer is None else output.hidden_states[layer]
        if mask is None:
            return list(states)
        frames = self._model._get_feat_extract_output_lengths(lengths).tolist()
        return [state[:count] for state, count in zip(states, frames, strict=True)]

    def _prepared(self, clip: NDArray[np.float32]) -> Tensor:
        import numpy as np
        import torch

        samples = torch.from_numpy(np.array(clip, np.float32))  # a copy: a worker's recordings may not be written to
        if self._found.normalize:  # as Wav2Vec2FeatureExtractor does
            samples = (samples - samples.mean()) / torch.sqrt(samples.var(correction=0) + 1e-7)
        return torch.nn.functional.pad(samples, (0, max(0, self._found.shortest - samples.numel())))


def _found(name: str, weights: str | None, download: bool) -> tuple[Checkpoint, dict[str, Any]]:
    """The checkpoint and its address facts."""
    asked = parse(name)
    local = Path(weights).expanduser() if weights is not None else _local(asked)
    folder = local or _hub.hub_folder(asked.base, _source(asked), download)
    found = _inspected(name, asked, folder)
    return found, {
        "encoder": "huggingface",
        "weights": _hub.weights_digest(folder) if local else f"{_source(asked)}@{folder.name}",
        "layer": found.layer,
        "pooling": asked.pooling,
        "precision": asked.precision or "float32",
        "normalize": found.features or found.normalize,
        "code": VERSION,
    }


def _inspected(name: str, asked: Asked, folder: Path) -> Checkpoint:
    found = inspect(name, asked, folder)
    _refuse_another(asked, folder, found.kind, found.dim)
    return found


def _refuse_another(asked: Asked, folder: Path, kind: str, dim: int) -> None:
    """A named encoder is one architecture of one width: another checkpoint would pass under its name."""
    widths = {row.id: row.dim for row in ROWS}
    if asked.base in KINDS and (kind, dim) != (KINDS[asked.base], widths[asked.base]):
        raise UserError(
            f"encoder {asked.base}: {folder} holds a {kind} model of width {dim}, "
            f"{asked.base} is {KINDS[asked.base]} of width {widths[asked.base]}\n"
            f"use it under its own name: hf:{folder}"
        )


def _source(asked: Asked) -> str:
    """The hub id or folder behind an id; a UserError for what transformers cannot load."""
    if why := elsewhere(asked.base):
        raise UserError(why)
    named = {row.id: row.source for row in ROWS}
    return named.get(asked.base) or asked.base.removeprefix(PREFIX)


def _local(asked: Asked) -> Path | None:
    """The folder that 'hf:' names; a hub id is 'name' or 'owner/name', everything else is a place on disk."""
    if not asked.base.startswith(PREFIX):
        return None
    source = asked.base.removeprefix(PREFIX)
    folder = Path(source).expanduser()
    return folder if folder.is_dir() or source.startswith(("/", ".", "~")) or source.count("/") > 1 else None
