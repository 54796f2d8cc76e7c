"""Clips a second from recordings to stored embeddings: one clip at a time, one process, two workers; in one run.

python benchmarks/extraction.py [--clips 120] [--rounds 3] [--size small|base] [--corpus MANIFEST] [--output FILE]

Wall-clock on a quiet machine. `peer`: decode a clip, encode it, store it, then the next, all cores in torch. `turns`:
decode a batch, then encode it, then store it, all cores. `here_1`: extract in this process with one thread in torch, as
auto begins; `here_all`: `workers=1`, all cores; `two`: two workers of one thread each. Speed is counted from the first
result to the last, without the seconds of starting, which are said apart; batches are smaller than usual (--batch), so
that few clips show a speed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import transformers
from machine import machine, show

from reno_sweeps import audio
from reno_sweeps.corpora import manifest
from reno_sweeps.embeddings import _jobs
from reno_sweeps.embeddings._pace import Standing
from reno_sweeps.embeddings.address import address
from reno_sweeps.embeddings.extract import extract
from reno_sweeps.embeddings.store import Store
from reno_sweeps.encoders import encoder_facts, load_encoder
from reno_sweeps.records import Corpus

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "emogator6" / "manifest.csv"
SMALL = {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 6, "intermediate_size": 768}


class Clock:
    """Listens to an extraction: clips a second between its first and its last news of computed clips."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.news: list[tuple[float, int]] = []

    def stands(self, standing: Standing) -> None:
        """Remember when how many were computed."""
        if standing.computed and (not self.news or standing.computed > self.news[-1][1]):
            self.news.append((time.perf_counter(), standing.computed))

    def say(self, line: str) -> None:
        """Nothing."""

    @property
    def rate(self) -> float:
        """Clips a second."""
        (then, before), (now, after) = self.news[0], self.news[-1]
        return (after - before) / (now - then) if now > then else after / (now - self.began)

    @property
    def start(self) -> float:
        """Seconds to the first result."""
        return self.news[0][0] - self.began


def random_wavlm(folder: Path, size: str) -> Path:
    """Random weights, as transformers saves them: speed does not ask what they mean."""
    torch.manual_seed(0)
    config = transformers.WavLMConfig(**(SMALL if size == "small" else {}))
    transformers.WavLMModel(config).save_pretrained(folder)
    said = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16_000, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def peer(corpus: Corpus, name: str, cache: Path) -> tuple[float, float]:
    """One clip at a time: (clips a second, seconds to the first result)."""
    began = time.perf_counter()
    encoder, facts, store = load_encoder(name), encoder_facts(name), Store(cache / "embeddings")
    first = 0.0
    for clip in corpus.clips:
        samples = audio.decode(corpus.root / clip.path)
        sound = audio.samples_digest(samples)
        store.put(address(sound, facts), encoder.embed([samples])[0], {"audio": sound, **facts})
        first = first or time.perf_counter()
    return (len(corpus.clips) - 1) / (time.perf_counter() - first), first - began


def turns(corpus: Corpus, name: str, cache: Path) -> tuple[float, float]:
    """A batch at a time, and nothing beside anything."""
    began = time.perf_counter()
    encoder, facts, store = load_encoder(name), encoder_facts(name), Store(cache / "embeddings")
    first, size = 0.0, _jobs.CLIPS
    for start in range(0, len(corpus.clips), size):
        clips = [audio.decode(corpus.root / clip.path) for clip in corpus.clips[start : start + size]]
        sounds = [audio.samples_digest(samples) for samples in clips]
        vectors = encoder.embed(clips)
        store.put_all([(address(s, facts), v, {"audio": s, **facts}) for s, v in zip(sounds, vectors, strict=True)])
        first = first or time.perf_counter()
    return (len(corpus.clips) - size) / (time.perf_counter() - first), first - began


def ours(workers: int) -> Callable[[Corpus, str, Path], tuple[float, float]]:
    """`extract`, likewise."""

    def run(corpus: Corpus, name: str, cache: Path) -> tuple[float, float]:
        clock = Clock()
        extract(corpus, [name], cache, workers=workers, progress=clock)
        return clock.rate, clock.start

    return run


def with_threads(count: int | None, work: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Torch in this process on so many threads; None: all cores."""
    torch.set_num_threads(count or os.cpu_count() or 1)
    if count is None:
        os.environ.pop("OMP_NUM_THREADS", None)
    else:
        os.environ["OMP_NUM_THREADS"] = str(count)
    return work()


def compare(corpus: Corpus, name: str, rounds: int) -> dict[str, object]:
    """All ways in turn, round by round, each with a cache of its own."""
    ways: dict[str, tuple[Callable[[Corpus, str, Path], tuple[float, float]], int | None]] = {
        "peer": (peer, None), "turns": (turns, None),
        "here_1": (ours(1), 1), "here_all": (ours(1), None), "two": (ours(2), 1),
    }  # fmt: skip
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (run, threads) in ways.items():
            with tempfile.TemporaryDirectory() as cache:
                work = lambda run=run, cache=cache: run(corpus, name, Path(cache))  # noqa: E731  # one word
                found[way].append(with_threads(threads, work))
    rates = {way: [rate for rate, _ in pairs] for way, pairs in found.items()}
    ratio = lambda a, b: round(statistics.median(x / y for x, y in zip(rates[a], rates[b], strict=True)), 2)  # noqa: E731
    return {
        "clips_per_second": {way: round(statistics.median(each), 2) for way, each in rates.items()},
        "seconds_to_first": {way: round(statistics.median(s for _, s in found[way]), 1) for way in found},
        "two_over_here_1": ratio("two", "here_1"),
        "two_over_here_all": ratio("two", "here_all"),
        "here_all_over_peer": ratio("here_all", "peer"),
        "here_all_over_turns": ratio("here_all", "turns"),
    }


def main() -> None:
    """Print the table; write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", choices=("small", "base"), default="small")
    parser.add_argument("--corpus", type=Path, default=SHARED)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    _jobs.CLIPS = options.batch
    transformers.utils.logging.disable_progress_bar()
    whole = manifest.read(options.corpus)
    corpus = replace(whole, clips=whole.clips[:: max(1, len(whole.clips) // options.clips)][: options.clips])
    before = machine()
    with tempfile.TemporaryDirectory() as folder:
        names = {"mfcc": "mfcc", f"wavlm-{options.size}": f"hf:{random_wavlm(Path(folder) / 'wavlm', options.size)}"}
        rows = {label: compare(corpus, name, options.rounds) for label, name in names.items()}
    found = {
        "machine": before,
        "clips": len(corpus.clips),
        "batch": _jobs.CLIPS,
        "rounds": options.rounds,
        "extraction": rows,
    }
    show(found, options.output)


if __name__ == "__main__":
    main()
