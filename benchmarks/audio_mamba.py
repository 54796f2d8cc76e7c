"""Audio-Mamba beside the plain reference loop, in one run on one machine: the scan alone, and a whole encoder.

python benchmarks/audio_mamba.py [--rounds 5] [--sizes tiny,base] [--output results.json]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a worker, as embeddings are extracted

import numpy as np
import torch
from machine import machine, show
from torch import Tensor
from torch.nn.functional import conv1d, layer_norm, linear, silu, softplus

from reno_sweeps.encoders._mamba_front import chunked, log_mel, rows_of, standardised
from reno_sweeps.encoders._mamba_model import Network, network
from reno_sweeps.encoders._mamba_random import random_state
from reno_sweeps.encoders._mamba_scan import LOG2E, Scanned, streamed, way
from reno_sweeps.encoders._mamba_sizes import parse
from reno_sweeps.encoders.audio_mamba import AudioMamba

SECONDS = (3.0, 1.5, 5.0)  # of the clips that a whole encoder hears: 6 chunks
State = Mapping[str, Tensor]


# --- the peer: what one would write from the paper --------------------------------------------------------------


def reference_scan(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor, z: Tensor, bias: Tensor
) -> Tensor:
    """Mamba's reference loop: u, delta, z [B, E, S], a [E, N], b, c [B, N, S] → [B, E, S]; all decays made at once."""
    delta = softplus(delta + bias[:, None])
    decay = torch.exp(delta[..., None] * a[:, None, :])  # [B, E, S, N]
    driven = (delta * u)[..., None] * b.transpose(1, 2)[:, None]  # [B, E, S, N]
    state = u.new_zeros(u.shape[0], u.shape[1], a.shape[1])
    heard = []
    for t in range(u.shape[2]):
        state = decay[:, :, t] * state + driven[:, :, t]
        heard.append(torch.einsum("ben,bn->be", state, c[:, :, t]))
    return (torch.stack(heard, dim=2) + u * skip[:, None]) * silu(z)


def reference_mixer(state: State, prefix: str, h: Tensor) -> Tensor:
    """One mixer, h [B, S, D]; tensors lie as in Mamba's own slow path, [B, E, S] with tokens fastest."""
    weight = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
    inner, rank = weight["dt_proj.weight"].shape
    u, z = (weight["in_proj.weight"] @ h.transpose(1, 2)).chunk(2, dim=1)  # [B, E, S]
    u = silu(conv1d(u, weight["conv1d.weight"], weight["conv1d.bias"], padding=3, groups=inner)[..., : h.shape[1]])
    step, b, c = linear(u.transpose(1, 2), weight["x_proj.weight"]).split([rank, 24, 24], dim=-1)
    delta = weight["dt_proj.weight"] @ step.transpose(1, 2)
    b, c = (x.transpose(1, 2).contiguous() for x in (b, c))
    a = -torch.exp(weight["A_log"])
    y = reference_scan(u, delta, a, b, c, weight["D"], z, weight["dt_proj.bias"])
    return linear(y.transpose(1, 2), weight["out_proj.weight"])


def reference_rows(state: State, chunk: Tensor) -> Tensor:
    """Rows [50, 5D] of one chunk [200, 80], in the official layout."""
    width = state["cls_token"].shape[-1]
    cut = torch.nn.functional.conv2d(
        chunk[None, None], state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=(4, 16)
    )
    s = cut.flatten(2).transpose(1, 2)
    s = torch.cat([state["cls_token"], s], dim=1) + state["pos_embed"]
    for block in range(12):
        prefix = f"blocks.{block}."
        norm = state[f"{prefix}norm.weight"], state[f"{prefix}norm.bias"]
        s = s + reference_mixer(state, f"{prefix}mixer.", layer_norm(s, (width,), *norm, eps=1e-6))
    s = layer_norm(s, (width,), state["encoder_norm.weight"], state["encoder_norm.bias"], eps=1e-6)
    return s[0, 1:].view(5, 50, width).transpose(0, 1).flatten(1)


def reference_embed(state: State, clip: np.ndarray) -> Tensor:
    """The scene embedding of one clip, a chunk at a time."""
    picture = standardised(log_mel(torch.from_numpy(clip)))
    rows = torch.cat([reference_rows(state, chunk) for chunk in chunked(picture)])
    return rows[: rows_of(len(picture))].mean(dim=0)


# --- measuring ----------------------------------------------------------------------------------------------------


def processor_seconds(work: Callable[[], object]) -> float:
    """Processor seconds of one call: these machines are shared."""
    began = time.process_time()
    work()
    return time.process_time() - began


def device_seconds(work: Callable[[], object]) -> float:
    """Seconds of one call on a GPU, until its last kernel has ended."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def side_by_side(
    peer: Callable[[], object], ours: Callable[[], object], rounds: int, clock: Callable[[Callable[[], object]], float]
) -> dict[str, float]:
    """Both in turn, round by round: medians in ms, and the median of the rounds' ratios."""
    peer(), ours()  # warm
    times = [(clock(peer), clock(ours)) for _ in range(rounds)]
    theirs, mine = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    return {"reference_ms": round(theirs, 1), "ours_ms": round(mine, 1), "ratio": round(ratio, 2)}


def scan_inputs(name: str, chunks: int) -> tuple[Scanned, tuple[Tensor, ...]]:
    """The same scan in our shapes and in the reference's; steps and rates as a model has them at first."""
    state, dice = random_state(name, seed=0, depth=1), torch.Generator().manual_seed(0)
    mixer = {key.removeprefix("blocks.0.mixer."): tensor for key, tensor in state.items()}
    inner = len(mixer["D"])
    u, z, v = (torch.randn(251, chunks, inner, generator=dice) for _ in range(3))
    b, c = (torch.randn(251, chunks, 24, generator=dice) for _ in range(2))
    a, bias, skip = -torch.exp(mixer["A_log"]), mixer["dt_proj.bias"], mixer["D"]
    given = Scanned(u, v, bias, (a * LOG2E).T.contiguous(), b, c, skip, z)
    turned = [x.permute(1, 2, 0).contiguous() for x in (u, v, b, c, z)]
    return given, (turned[0], turned[1], a, turned[2], turned[3], skip, turned[4], bias)


def compare_scan(name: str, rounds: int, chunks: int = 1) -> dict[str, object]:
    """One layer's scan of so many chunks: the reference loop against the streaming one."""
    given, plain = scan_inputs(name, chunks)
    apart = float((streamed(given).permute(1, 2, 0) - reference_scan(*plain)).abs().max())
    times = side_by_side(lambda: reference_scan(*plain), lambda: streamed(given), rounds, processor_seconds)
    return {"encoder": name, "chunks": chunks, **times, "furthest_apart": apart}


def clips(copies: int = 1) -> list[np.ndarray]:
    """Noise of several lengths."""
    dice = np.random.default_rng(0)
    return [(0.1 * dice.standard_normal(int(16_000 * s))).astype(np.float32) for s in SECONDS * copies]


def compare_encoder(name: str, rounds: int) -> dict[str, object]:
    """Clips to embeddings: the reference, a chunk at a time, against ours."""
    state, heard = random_state(name, seed=0), clips()
    ours = AudioMamba(name, {}, network(state), parse(name))
    reference = np.stack([reference_embed(state, clip).numpy() for clip in heard])
    apart = float(np.abs(ours.embed(heard) - reference).max())
    times = side_by_side(
        lambda: [reference_embed(state, clip) for clip in heard], lambda: ours.embed(heard), rounds, processor_seconds
    )
    chunks = sum(-(-(1 + len(clip) // 160) // 200) for clip in heard)
    return {"encoder": name, "clips": len(heard), "chunks": chunks, **times, "furthest_apart": apart}


def compare_on_gpu(name: str, rounds: int) -> dict[str, object]:
    """The fused kernel against the streaming loop on the GPU, and clips in batches against one at a time."""
    given, _ = scan_inputs(name, chunks=64)
    moved = Scanned(given.u.cuda(), given.v.cuda(), given.bias.cuda(), given.rates.cuda(), given.b.cuda(),
                    given.c.cuda(), given.skip.cuda(), given.z.cuda())  # fmt: skip
    scan = way("cuda")
    apart = float((scan(moved).cpu() - streamed(given)).abs().max())
    times = side_by_side(lambda: streamed(moved), lambda: scan(moved), rounds, device_seconds)
    net: Network = network(random_state(name, seed=0), "cuda")
    ours, heard = AudioMamba(name, {}, net, parse(name)), clips(copies=64)
    together = side_by_side(
        lambda: [ours.embed([clip]) for clip in heard], lambda: ours.embed(heard), rounds, device_seconds
    )
    speed = {
        f"{key}_clips_per_second": round(1000 * len(heard) / together[f"{key}_ms"], 1) for key in ("reference", "ours")
    }
    return {"encoder": name, "scan": times, "furthest_apart": apart, "one_at_a_time": together | speed}


def measure(sizes: list[str], rounds: int) -> dict[str, object]:
    """Everything, as plain JSON."""
    torch.set_num_threads(1)
    names = [f"audio-mamba-{size}" for size in sizes]
    with torch.inference_mode():
        results: dict[str, object] = {
            "machine": machine(),
            "rounds": rounds,
            "scan": [compare_scan(name, rounds, chunks) for name in names for chunks in (1, 4)],
            "encoder": [compare_encoder(name, max(2, rounds // 2)) for name in names],
        }
        if torch.cuda.is_available():
            results["gpu"] = [compare_on_gpu(name, rounds) for name in names]
    return results


def main() -> None:
    """Print the figures; write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="tiny,base")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    show(measure(options.sizes.split(","), options.rounds), options.output)


if __name__ == "__main__":
    main()
