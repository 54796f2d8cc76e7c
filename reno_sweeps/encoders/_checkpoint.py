"""What a speech checkpoint's folder says of itself, read from its JSON files: no weights are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from reno_sweeps.audio import RATE
from reno_sweeps.encoders import _safetensors
from reno_sweeps.encoders._options import Asked
from reno_sweeps.encoders._options import parse as parse  # noqa: PLC0414  # serving reads ids with it
from reno_sweeps.files import parsed
from reno_sweeps.records import UserError, digest

T = TypeVar("T")
FAMILIES = "WavLM, wav2vec 2.0, HuBERT, UniSpeech(-SAT), data2vec-audio, SEW, wav2vec2-bert, Whisper"
FEATURED = {"wav2vec2-bert", "whisper"}  # they hear the features that their own extractor makes
# Families whose padded frames reach no other frame where each is normalised by itself (feat_extract_norm: layer).
# Measured on random models against the clip alone: these 1e-7; data2vec-audio 0.1 (its positional convolutions follow
# each other), wav2vec2-conformer 0.3–0.7 (its convolutions see padding), SEW and SEW-D 0.8–1 (they squeeze frames).
MASKED = {"wav2vec2", "wavlm", "hubert", "unispeech", "unispeech-sat", "wav2vec2-bert"}
SHORT = 560  # samples: two windows of 25 ms, 10 ms apart, which such extractors need at least
SAID = (("preprocessor_config.json", None), ("processor_config.json", "feature_extractor"))  # how audio is prepared


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that can be loaded, and what it gives."""

    folder: Path
    layer: int | None
    kind: str  # transformers' model_type
    normalize: bool  # each clip to mean 0, variance 1 before the encoder hears it
    dim: int
    shortest: int  # samples: the receptive field of one frame
    heads: int  # of an attention layer
    masked: bool  # clips of different lengths may share a batch, padded: attention masks keep them apart
    features: str | None = None  # digest of the feature extractor's settings; None: it hears the waveform itself


def described(name: str, folder: Path) -> tuple[str, int]:
    """The architecture and the width of a folder's checkpoint; a UserError where it is none that hears speech."""
    config = _config(name, folder)
    return config["model_type"], _numbers(name, folder, lambda: int(config["hidden_size"]))


def inspect(name: str, asked: Asked, folder: Path) -> Checkpoint:
    """The checkpoint in `folder`; a UserError where it is none that hears speech, or lacks what was asked."""
    config = _config(name, folder)
    found = _numbers(name, folder, lambda: _read(name, asked, folder, config))
    if said := _safetensors.fault(folder):
        older = (folder / "pytorch_model.bin").is_file() and not any(folder.glob("*.safetensors"))
        way = f"convert it: reno-sweep encoders convert {asked.base} {folder} -o DIR" if older else "get it again"
        raise UserError(f"encoder {name}: {said}\n{way}")
    return found


def _numbers(name: str, folder: Path, read: Callable[[], T]) -> T:
    """What is read of a config's settings; a UserError where one is no number that it could be."""
    try:
        return read()
    except (TypeError, ValueError, OverflowError) as fault:
        raise UserError(f"encoder {name}: {folder}/config.json has a setting that cannot be read ({fault})") from fault


def _read(name: str, asked: Asked, folder: Path, config: Mapping[str, Any]) -> Checkpoint:
    layers, featured = int(config["num_hidden_layers"]), config["model_type"] in FEATURED
    if asked.layer is not None and asked.layer > layers:
        raise UserError(f"encoder {name}: no layer {asked.layer}; on offer: @layer=0 to @layer={layers}, the last")
    prepared = _preparation(name, folder)
    return Checkpoint(
        folder,
        asked.layer,
        str(config["model_type"]),
        normalize=not featured and _normalize(name, asked, folder, prepared),
        dim=_dim(config, asked.layer),
        shortest=SHORT if featured else _shortest(config),
        heads=int(config.get("num_attention_heads") or 1),
        masked=_masked(config),
        features=_features(name, asked, prepared) if featured else None,
    )


def _masked(config: Mapping[str, Any]) -> bool:
    """Whether padding leaks nowhere: a batch norm lifts padded zeros, an adapter strides over the clip's end."""
    if config["model_type"] not in MASKED or config.get("add_adapter") or config.get("conv_pos_batch_norm"):
        return False
    return config["model_type"] in FEATURED or config.get("feat_extract_norm") == "layer"


def _config(name: str, folder: Path) -> dict[str, Any]:
    """The config, with an encoder's width and depth under the names that most families use."""
    if not (folder / "config.json").is_file():
        found = "is a file" if folder.is_file() else "holds no config.json" if folder.is_dir() else "is not there"
        raise UserError(f"encoder {name}: {folder} {found}\ngive a folder that transformers' save_pretrained wrote")
    config = _json(name, folder / "config.json")
    kind = config.get("model_type", "unknown")
    if kind == "whisper":
        config |= {
            "hidden_size": config.get("d_model"),
            "num_hidden_layers": config.get("encoder_layers"),
            "num_attention_heads": config.get("encoder_attention_heads"),
        }
    convolves = {"conv_kernel", "conv_stride"} <= config.keys() and not config.get("is_encoder_decoder")
    hears = "model_type" in config and isinstance(kind, str) and (kind in FEATURED or convolves)
    if not hears or not config.get("hidden_size") or not config.get("num_hidden_layers"):
        raise UserError(f"encoder {name}: a {kind} model is no speech encoder that is known here\non offer: {FAMILIES}")
    return config


def _preparation(name: str, folder: Path) -> dict[str, Any]:
    """What the checkpoint's feature extractor says of itself; nothing where it has none."""
    for file, inside in SAID:
        said = _json(name, folder / file) if (folder / file).is_file() else {}
        said = said if inside is None else said.get(inside) or {}
        if said and said.get("sampling_rate", RATE) != RATE:
            raise UserError(f"encoder {name}: made for {said['sampling_rate']} samples a second; on offer: {RATE}")
        if said:
            return said
    return {}


def _normalize(name: str, asked: Asked, folder: Path, said: dict[str, Any]) -> bool:
    """As asked, else as the checkpoint's own feature extractor does it."""
    if asked.normalize is not None:
        return asked.normalize
    if said:
        return bool(said.get("do_normalize", True))  # True: the default of Wav2Vec2FeatureExtractor
    raise UserError(
        f"encoder {name}: {folder} holds no preprocessor_config.json\n"
        f"say whether clips are normalised to mean 0, variance 1: {name}@normalize=yes or {name}@normalize=no"
    )


def _features(name: str, asked: Asked, said: dict[str, Any]) -> str:
    """The settings of an extractor that makes spectral features, as a hash."""
    if asked.normalize is not None:
        raise UserError(f"encoder {name}: its own feature extractor settles that; leave @normalize away")
    if not said:
        raise UserError(f"encoder {name}: no preprocessor_config.json, so its features cannot be made\nadd that file")
    return digest(said)


def _dim(config: Mapping[str, Any], layer: int | None) -> int:
    adapted = config.get("add_adapter") and layer is None  # an adapter sits behind the last layer only
    return int(config.get("output_hidden_size") or config["hidden_size"]) if adapted else int(config["hidden_size"])


def _shortest(config: Mapping[str, Any]) -> int:
    """Samples that give one frame; SEW squeezes several frames into one before its layers."""
    samples = int(config.get("squeeze_factor", 1))
    if min(samples, *map(int, config["conv_kernel"]), *map(int, config["conv_stride"])) < 1:
        raise ValueError("convolutions of no width")
    for kernel, stride in zip(reversed(config["conv_kernel"]), reversed(config["conv_stride"]), strict=True):
        samples = (samples - 1) * int(stride) + int(kernel)
    return samples


def _json(name: str, file: Path) -> dict[str, Any]:
    try:
        content = parsed(file.read_bytes())
    except ValueError as fault:
        raise UserError(f"encoder {name}: {file} is not JSON ({fault})") from fault
    if not isinstance(content, dict):
        raise UserError(f"encoder {name}: {file} is not a JSON object")
    return content
