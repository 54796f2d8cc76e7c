"""A small speech encoder with random weights, and clips of many lengths."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from reno_sweeps.cli import main
from reno_sweeps.embeddings._pace import Standing

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


@pytest.fixture(scope="session")
def wavlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as transformers' save_pretrained writes it."""
    import torch
    from transformers import WavLMConfig, WavLMModel

    folder = tmp_path_factory.mktemp("weights") / "wavlm"
    torch.manual_seed(0)
    WavLMModel(WavLMConfig(**TINY)).save_pretrained(folder)
    said = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16_000, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def write_voices(root: Path, clips: int) -> Path:
    """A folder of two emotions, every clip another length between 0.2 and 1.5 s."""
    rng = np.random.default_rng(0)
    for n in range(clips):
        file = root / ("joy" if n % 2 else "anger") / f"s{n % 5}_{n:03d}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, 0.1 * rng.standard_normal(int(rng.integers(3_200, 24_000))), 16_000)
    return root


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voices(tmp_path_factory.mktemp("corpus") / "voices", 60)


class Heard:
    """A listener that remembers, and may do something at a number of computed clips."""

    def __init__(self, at: int | None = None, do: Callable[[], None] = lambda: None) -> None:
        self.standings: list[Standing] = []
        self.lines: list[str] = []
        self._at, self._do = at, do

    def stands(self, standing: Standing) -> None:
        self.standings.append(standing)
        if self._at is not None and standing.computed >= self._at:
            self._at = None
            self._do()

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def listener() -> type[Heard]:
    return Heard


def ray_processes(parent: psutil.Process | None = None) -> dict[int, str]:
    """Ray's processes below one (this one), by their ids, with their titles."""
    found = {}
    for process in (parent or psutil.Process()).children(recursive=True):
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:  # it has just ended
            continue
        if "ray" in title:
            found[process.pid] = title
    return found


@pytest.fixture(name="ray_processes")
def _ray_processes() -> Callable[..., dict[int, str]]:
    return ray_processes


@pytest.fixture
def asked(voices: Path, wavlm: Path, tmp_path: Path) -> list[str]:
    """`reno-sweep embed` on the voices."""
    words = ["embed", "--corpus", str(voices), "--encoders", f"hf:{wavlm}", "--cache", str(tmp_path / "cache")]
    return [*words, "--json"]


@pytest.fixture
def embed(asked: list[str]) -> Callable[..., subprocess.Popen[str]]:
    """Starts the real command, as the leader of a process group of its own."""

    def start(*more: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "reno_sweeps.cli", *asked, *more]
        pipe, clean = subprocess.PIPE, {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
        return subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, env=clean, start_new_session=True)

    return start


@pytest.fixture
def embed_here(asked: list[str], capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Runs the same command in this process, which has imported what it needs: its stdout and stderr."""

    def run(*more: str) -> tuple[str, str]:
        with pytest.raises(SystemExit) as end:
            main([*asked, *more])
        assert end.value.code == 0
        return capsys.readouterr()

    return run
