"""Small checkpoints with random weights, saved as transformers saves them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TINY = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 4, 2),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def save_checkpoint(folder: Path, kind: str = "WavLM", normalize: bool | None = True, **config: Any) -> Path:
    """A tiny model of a family; `normalize` None writes no preprocessor_config.json."""
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**{**TINY, **config}))
    unsettle(model)
    model.save_pretrained(folder)
    if normalize is not None:
        said = {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "sampling_rate": 16_000,
            "do_normalize": normalize,
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def unsettle(model: Any) -> None:
    """Noise in every weight and statistic: biases and means of zero would hide where padding leaks."""
    import torch

    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point() and "weight_g" not in name and "original0" not in name:
            tensor.data += 0.05 * torch.rand_like(tensor)


@pytest.fixture(scope="session", name="save_checkpoint")
def _save_checkpoint() -> Callable[..., Path]:
    return save_checkpoint


@pytest.fixture(scope="session")
def wavlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("wavlm"))


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As wide as WavLM base: it may be used under that name."""
    return save_checkpoint(tmp_path_factory.mktemp("wide"), hidden_size=768, num_hidden_layers=1)


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    return _save_featured(
        tmp_path_factory.mktemp("whisper"), WhisperModel, WhisperConfig(**SMALL), WhisperFeatureExtractor
    )


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig, Wav2Vec2BertModel

    config = Wav2Vec2BertConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    return _save_featured(tmp_path_factory.mktemp("bert"), Wav2Vec2BertModel, config, SeamlessM4TFeatureExtractor)


SMALL = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
}


def _save_featured(folder: Path, model: Any, config: Any, extractor: Any) -> Path:
    import torch

    torch.manual_seed(0)
    made = model(config)
    unsettle(made)
    made.save_pretrained(folder)
    extractor().save_pretrained(folder)
    return folder
