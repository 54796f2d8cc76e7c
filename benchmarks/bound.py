"""A training step of reno 768 + 960, batch 32, beside its bound: what the device could do at best.

python benchmarks/bound.py [--device cpu|cuda] [--widths 1,2,5] [--steps 24] [--epochs 4] [--rounds 3]
                           [--precision float32|tf32|bf16] [--output results.json]

The bound is the larger of two times: the step's floating-point operations over the rate of a large matrix product, and
the least bytes that it must move over the rate of a copy, both measured here, on the same device (a CPU: one core),
in the same precision, in the same run. `operations` is what the network costs as it is written, every gradient
dense; `operations_gathered` leaves out what an adaptive pooling makes zero: after it few positions of the second
convolution carry gradient. The share of the first is the figure to compare with others; the second shows what is left.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a worker, as the sweeps train

import material
import naive
import numpy as np
import torch
from machine import machine, show

from reno_sweeps.heads import reno
from reno_sweeps.records import EpochEnded, Key, Model, Split
from reno_sweeps.training.configuration import resolve
from reno_sweeps.training.data import Data
from reno_sweeps.training.trainer import train_cohort

BATCH, CLASSES = 32, 6
BYTES = 4  # of a weight: float32, whatever the products' precision


# --- counting ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operations:
    """Floating-point operations of one step of one model: a multiplication and an addition are two."""

    forward: int
    backward: int
    gathered: int  # of the backward pass, where the second convolution's skips positions without gradient

    @property
    def dense(self) -> int:
        """Forward and backward."""
        return self.forward + self.backward


def step_operations(
    dims: Sequence[int] = material.WIDTHS, batch: int = BATCH, classes: int = CLASSES, positions: int = 24,
    width: int = 256,
) -> Operations:  # fmt: skip
    """Matrix products and convolutions of reno, layer by layer; a product [n, k]·[k, m] is 2·n·k·m.

    Backward costs twice as much: the gradient of the weights, and that of the input, which the first convolution does
    not need. Pointwise work, norms, softmax, pooling, the losses and the optimizer are left out, as
    torch.utils.flop_counter leaves them out: the bound is lower for it, the share too.
    """
    first = sum(product(batch * dim, 3, 32) for dim in dims)  # Conv1d(1→32): D positions, 3 taps
    second = sum(product(batch * (dim // 2), 3 * 32, 64) for dim in dims)  # Conv1d(32→64) after one halving
    needed = len(dims) * product(batch * positions, 3 * 32, 64)  # one winner each channel and position
    rest = len(dims) * (attention(batch, positions, 64) + product(batch, positions * 64, width))
    rest += attention(batch, 2, width)  # two encoders' tokens
    rest += product(batch, 2 * width, 512) + product(batch, 512, 128) + product(batch, 128, classes)
    back = first + 2 * rest
    return Operations(first + second + rest, back + 2 * second, back + 2 * needed)


def product(rows: int, inner: int, columns: int) -> int:
    """[rows, inner]·[inner, columns]."""
    return 2 * rows * inner * columns


def attention(batch: int, tokens: int, width: int) -> int:
    """Projections in and out, QKᵀ and its product with V; the number of heads changes nothing."""
    return product(batch * tokens, width, 4 * width) + 2 * product(batch * tokens, width, tokens)


def step_bytes(dims: tuple[int, ...] = material.WIDTHS, batch: int = BATCH, classes: int = CLASSES) -> int:
    """The least that a step of one model must move, where a cohort's weights do not stay in a cache.

    Weights are read forward and backward, gradients written and read, both moments and the weights read and written by
    the optimizer: ten passes. A batch is read once. Activations are left out: a fused kernel would keep them near.
    """
    weights = reno.parameter_count(reno.Params(), dims, classes)
    return BYTES * (10 * weights + batch * sum(dims))


# --- what the device can do ---------------------------------------------------------------------------------------


def best_seconds(work: Callable[[], object], device: str, repeats: int = 7) -> float:
    """The fastest of some calls: the device's own speed, undisturbed."""
    work()
    return min(seconds(work, device) for _ in range(repeats))


def seconds(work: Callable[[], object], device: str) -> float:
    """One call: processor seconds on a CPU (machines are shared), wall seconds to the end on a GPU."""
    if device == "cuda":
        torch.cuda.synchronize()
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def matrix_rate(device: str, precision: str) -> float:
    """Operations a second of a large product of square matrices."""
    n = 8192 if device == "cuda" else 1536
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    with naive.precision("tf32" if precision == "tf32" else "float32"):
        return product(n, n, n) / best_seconds(lambda: a @ b, device)


def copy_rate(device: str) -> float:
    """Bytes a second of a large copy, read and written."""
    n = 2**28 if device == "cuda" else 2**25
    a, b = torch.ones(n, device=device), torch.empty(n, device=device)
    return 2 * BYTES * n / best_seconds(lambda: b.copy_(a), device)


# --- what is reached -----------------------------------------------------------------------------------------------


def material_of(steps: int) -> Data:
    """Noise for exactly so many steps an epoch: speed does not ask what it means."""
    dice = np.random.default_rng(0)
    n = BATCH * steps
    vectors = {f"e{d}": dice.standard_normal((n, d)).astype(np.float32) for d in material.WIDTHS}
    return Data(vectors, dice.integers(0, CLASSES, n), tuple("abcdef"))


def ours(width: int, steps: int, epochs: int, device: str, precision: str) -> float:
    """Seconds a step of one model of a cohort of so many: the median epoch, the first left out; nothing is judged."""
    data = material_of(steps)
    values = resolve("reno", {"training.epochs": epochs, "training.precision": precision}, {})
    rows = tuple(range(BATCH * steps))
    split = Split(rows, (), rows[:BATCH])
    models = [Model(Key(f"m{n}"), "reno", tuple(data.embeddings), values, n, split, epochs) for n in range(width)]
    clock = time.process_time if device == "cpu" else time.perf_counter
    ends: dict[int, float] = {}
    for event in train_cohort(models, data, device=device, width=width):
        if isinstance(event, EpochEnded):
            ends[event.epoch] = clock()  # the last model's
    times = [ends[epoch] - ends[epoch - 1] for epoch in range(2, epochs + 1)]
    return statistics.median(times) / (steps * width)


def peers(steps: int, device: str, precision: str) -> float:
    """Seconds a step of the naive peer: torch.nn, one model."""
    data = material_of(steps)
    x, y = (torch.from_numpy(v).to(device) for v in data.embeddings.values())
    labels = torch.from_numpy(data.labels).to(device)
    with naive.precision(precision):
        naive.train(x, y, labels, steps=2, batch=BATCH)
        return seconds(lambda: naive.train(x, y, labels, steps=steps, batch=BATCH), device) / steps


def measure(widths: Sequence[int], steps: int, epochs: int, rounds: int, device: str, precision: str) -> dict[str, Any]:
    """The device's rates, the bound, and the share of it that is reached by each width and by the peer."""
    rate, speed = matrix_rate(device, precision), copy_rate(device)
    counted, moved = step_operations(), step_bytes()
    bounds = {"operations": counted.dense / rate, "bytes": moved / speed}
    bound = max(bounds.values())
    gathered = max((counted.forward + counted.gathered) / rate, bounds["bytes"])
    found: dict[str, list[float]] = {"peer": [], **{str(width): [] for width in widths}}
    for _ in range(rounds):
        found["peer"].append(peers(steps, device, precision))
        for width in widths:
            found[str(width)].append(ours(width, steps, epochs, device, precision))
    times = {name: statistics.median(each) for name, each in found.items()}
    peer = times.pop("peer")
    return {
        "gigaflops_per_second": round(rate / 1e9, 1),
        "gigabytes_per_second": round(speed / 1e9, 1),
        "operations": counted.dense,
        "operations_gathered": counted.forward + counted.gathered,
        "bytes": moved,
        "bound_ms": round(bound * 1e3, 4),
        "bound_by": max(bounds, key=lambda name: bounds[name]),
        "bound_gathered_ms": round(gathered * 1e3, 4),
        "peer": share(peer, bound, gathered),
        "ours": {name: share(time_, bound, gathered) for name, time_ in times.items()},
    }


def share(time_: float, bound: float, gathered: float) -> dict[str, float]:
    """A step's milliseconds and the bounds' shares of it."""
    return {
        "ms_per_step": round(time_ * 1e3, 4),
        "share_of_bound": round(bound / time_, 3),
        "share_of_gathered_bound": round(gathered / time_, 3),
    }


def main() -> None:
    """Print the figures; write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--widths", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2, 5])
    parser.add_argument("--steps", type=int, default=24, help="an epoch")
    parser.add_argument("--epochs", type=int, default=4, help="of which the first is not counted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=["float32", "tf32", "bf16"], default="float32")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error(f"--epochs {options.epochs}: at least 2, since the first is not counted")
    torch.set_num_threads(1)
    names = ("widths", "steps", "epochs", "rounds", "device", "precision")
    asked = {name: getattr(options, name) for name in names}
    before, sizes = machine(), {"encoders": list(material.WIDTHS), "batch": BATCH, **asked}
    show({"benchmark": "bound", "machine": before, "sizes": sizes, **measure(**asked)}, options.output)


if __name__ == "__main__":
    main()
