"""The selective scan, the recurrence at the heart of Mamba: streamed token by token, or one fused kernel on a GPU.

Shapes: S tokens, B chunks, E channels, N states a channel. Tokens come first, so that what a step needs lies together.

    state[n, e] ← exp(Δ[e] A[n, e]) state[n, e] + Δ[e] b[n] u[e]        y[e] = Σₙ c[n] state[n, e] + skip[e] u[e]

with Δ = softplus(v) ≥ 0 and A < 0, so that every factor is exp of a negative number and nothing overflows.
"""

from __future__ import annotations

import functools
import importlib
import logging
import math
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)
LOG2E = math.log2(math.e)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan takes, all float32 or, on a GPU, u, v, b, c and z in half precision too."""

    u: Tensor  # [S, B, E]
    v: Tensor  # [S, B, E]: Δ before bias and softplus
    bias: Tensor  # [E], float32: added to v
    rates: Tensor  # [N, E], float32: A·log2(e), so that 2^(Δ·rates) is the decay
    b: Tensor  # [S, B, N]
    c: Tensor  # [S, B, N]
    skip: Tensor  # [E], float32
    z: Tensor  # [S, B, E]: the gate


Scan = Callable[[Scanned], "Tensor"]  # → y · SiLU(z), [S, B, E], float32


def gated_scan(given: Scanned) -> Tensor:
    """The scan, gated, [S, B, E] in float32: by the fastest way that the device has."""
    return way(given.u.device.type)(given)


@functools.cache
def way(device: str) -> Scan:
    """How a kind of device scans: 'cpu' streams; 'cuda' has the kernel of ours, else that of mamba-ssm if installed.

    Where a GPU has neither, it streams as a CPU does, many times slower, and says so once.
    """
    if device == "cpu":
        return streamed
    missing = "no CUDA device"
    if device == "cuda":
        try:
            return _fused()
        except (ImportError, OSError, RuntimeError, subprocess.CalledProcessError) as fault:
            missing = f"Triton: {_first_line(fault)}"  # not installed, or no C compiler for its launcher
        try:
            return _foreign()
        except (ImportError, OSError) as fault:
            missing += f"; mamba-ssm: {_first_line(fault)}"
    logger.warning(
        "audio-mamba scans token by token on %s, many times slower than a fused kernel (%s)", device, missing
    )
    return streamed


def streamed(given: Scanned) -> Tensor:
    """One step a token on a state [B, N, E] that stays in the processor's cache; nothing of size S·N·E is stored.

    2^x in place of e^x: torch's is vectorised for every size, and neither slows down where it underflows (its e^x took
    3 times as long, and 12 times where results underflow). Flushing denormals gained nothing measurable beside that.
    """
    import torch

    u, z = given.u.float(), given.z.float()
    delta = torch.nn.functional.softplus(given.v.float() + given.bias)
    driven = delta * u
    state = u.new_zeros(u.shape[1], *given.rates.shape)  # [B, N, E]
    decay, y = torch.empty_like(state), torch.empty_like(u)
    steps = zip(
        delta.unsqueeze(2),  # [B, 1, E] a token, as driven and y
        driven.unsqueeze(2),
        given.b.float().unsqueeze(3),  # [B, N, 1] a token
        given.c.float().unsqueeze(2),  # [B, 1, N] a token
        y.unsqueeze(2),
        strict=True,
    )
    for wait, drive, into, out, heard in steps:
        torch.mul(wait, given.rates, out=decay)
        state.mul_(decay.exp2_()).addcmul_(into, drive)
        torch.bmm(out, state, out=heard)
    return y.addcmul_(u, given.skip).mul_(torch.nn.functional.silu(z))


def _fused() -> Scan:
    """The Triton kernel, tried once: it needs a C compiler for its launcher."""
    import torch

    kernel = importlib.import_module("reno_sweeps.encoders._mamba_triton")
    one = torch.zeros(1, 1, 1, device="cuda")
    scan: Scan = kernel.fused
    scan(Scanned(one, one, one[0, 0], one[0], one, one, one[0, 0], one))
    return scan


def _foreign() -> Scan:
    """The kernel of the mamba-ssm package."""
    selective_scan = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn

    def scan(given: Scanned) -> Tensor:
        u, v, b, c, z = (x.float().permute(1, 2, 0).contiguous() for x in (given.u, given.v, given.b, given.c, given.z))
        a = (given.rates / LOG2E).T.contiguous()
        y: Tensor = selective_scan(u, v, a, b, c, given.skip, z=z, delta_bias=given.bias, delta_softplus=True)
        return y.permute(2, 0, 1)

    return scan


def _first_line(fault: Exception) -> str:
    return str(fault).strip().partition("\n")[0] or type(fault).__name__
