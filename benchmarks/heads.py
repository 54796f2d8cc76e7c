"""Our trainer beside a naive one, in one run on one machine: milliseconds a step, as medians and as a ratio.

python benchmarks/heads.py [--rounds 5] [--steps 40] [--output results.json]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a worker, as the sweeps train

import naive
import numpy as np
import torch
from machine import machine, show

from reno_sweeps.records import Key, Model, Split
from reno_sweeps.training.configuration import resolve
from reno_sweeps.training.trainer import Data, train_cohort

BATCH = 32
WIDTHS = ((80, 160), (768, 960))


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of one call: these machines are shared."""
    began = time.process_time()
    work()
    return time.process_time() - began


def ours(data: Data, steps: int) -> Callable[[], object]:
    """One epoch of exactly so many steps."""
    rows = tuple(range(BATCH * steps))
    values = resolve("reno", {"training.epochs": 1}, {})
    encoders = tuple(data.embeddings)
    model = Model(Key("bench"), "reno", encoders, values, seed=0, split=Split(rows, (), rows[:BATCH]), epochs=1)
    return lambda: list(train_cohort([model], data))


def compare(width: tuple[int, int], rounds: int, steps: int) -> dict[str, object]:
    """Both sides in turn, round by round."""
    rng = np.random.default_rng(0)
    n = BATCH * steps
    vectors = {f"e{d}": rng.standard_normal((n, d)).astype(np.float32) for d in width}
    labels = rng.integers(0, 6, n)
    mine = ours(Data(vectors, labels, tuple("abcdef")), steps)
    x, y = (torch.from_numpy(v) for v in vectors.values())
    theirs = lambda: naive.train(x, y, torch.from_numpy(labels), steps=steps, batch=BATCH)  # noqa: E731  # one word
    mine(), theirs()  # warm
    times = [(seconds(theirs), seconds(mine)) for _ in range(rounds)]
    peer, own = (statistics.median(column) * 1000 / steps for column in zip(*times, strict=True))
    return {
        "encoders": list(width),
        "naive_ms_per_step": round(peer, 2),
        "ours_ms_per_step": round(own, 2),
        "ratio": round(statistics.median(a / b for a, b in times), 2),
    }


def main() -> None:
    """Print the table; write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [compare(width, options.rounds, options.steps) for width in WIDTHS]
    show({"machine": machine(), "batch": BATCH, "rounds": options.rounds, "reno": rows}, options.output)


if __name__ == "__main__":
    main()
