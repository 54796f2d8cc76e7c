"""Our WavLM beside transformers one clip at a time, in one run on one machine: clips a second, and their ratio.

python benchmarks/attention.py [--clips 24] [--layers 12] [--rounds 3] [--norm group|layer] [--device cpu|cuda]
                               [--audio FOLDER] [--output results.json]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a worker, as extraction runs

import numpy as np
import torch
from machine import machine, show
from transformers import AutoFeatureExtractor, AutoModel, Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

from reno_sweeps import audio
from reno_sweeps.encoders import load_encoder

AUDIO = Path(__file__).parents[1] / "../shared/data/emogator6/audio"  # real recordings, where they are at hand
KINDS = (".wav", ".flac", ".ogg", ".mp3")


def recordings(folder: Path, count: int) -> list[np.ndarray]:
    """Real recordings spread over the folder, else noise of 0.5 to 5 s."""
    files = sorted(file for file in folder.rglob("*") if file.suffix in KINDS) if folder.is_dir() else []
    if files:
        return [audio.decode(file) for file in files[:: max(1, len(files) // count)][:count]]
    dice = np.random.default_rng(0)
    return [(0.1 * dice.standard_normal(n)).astype(np.float32) for n in dice.integers(8_000, 80_000, count)]


def checkpoint(folder: Path, layers: int, norm: str) -> Path:
    """A random WavLM of base size; speed does not ask what weights say."""
    torch.manual_seed(0)
    WavLMModel(WavLMConfig(num_hidden_layers=layers, feat_extract_norm=norm)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return folder


def one_at_a_time(folder: Path, device: str) -> Callable[[list[np.ndarray]], np.ndarray]:
    """What a user would write."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval().to(device)

    def embed(clips: list[np.ndarray]) -> np.ndarray:
        vectors = []
        for clip in clips:
            inputs = extractor(clip, sampling_rate=16_000, return_tensors="pt").to(device)
            with torch.no_grad():
                vectors.append(model(**inputs).last_hidden_state.mean(dim=1)[0].cpu().numpy())
        return np.stack(vectors)

    return embed


def seconds(work: Callable[[], object], device: str) -> float:
    """Processor seconds of one call on a CPU (these machines are shared), seconds on a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    work()
    return clock() - began


def compare(clips: list[np.ndarray], folder: Path, rounds: int, device: str) -> dict[str, object]:
    """Both sides in turn, round by round; they must agree before either is timed."""
    theirs, encoder = one_at_a_time(folder, device), load_encoder(f"hf:{folder}", device=device)
    peer, own = theirs(clips), encoder.embed(clips)  # warm
    apart = float((np.linalg.norm(peer - own, axis=1) / np.linalg.norm(peer, axis=1)).max())
    times = [
        (seconds(lambda: theirs(clips), device), seconds(lambda: encoder.embed(clips), device)) for _ in range(rounds)
    ]
    a, b = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "bound_bytes": encoder.bound,
        "naive_clips_per_second": round(len(clips) / a, 2),
        "ours_clips_per_second": round(len(clips) / b, 2),
        "ratio": round(statistics.median(x / y for x, y in times), 2),
        "largest_relative_difference": apart,
    }


def main() -> None:
    """Print the table; write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--norm", choices=["group", "layer"], nargs="*", default=["group", "layer"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--audio", type=Path, default=AUDIO)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = recordings(options.audio, options.clips)
    rows = {}
    for norm in options.norm:
        with tempfile.TemporaryDirectory() as folder:
            made = checkpoint(Path(folder), options.layers, norm)
            rows[norm] = compare(clips, made, options.rounds, options.device)
    heard = {"clips": len(clips), "seconds": round(sum(map(len, clips)) / 16_000, 1), "layers": options.layers}
    show(
        {"machine": machine(), "device": options.device, **heard, "rounds": options.rounds, "wavlm": rows},
        options.output,
    )


if __name__ == "__main__":
    main()
