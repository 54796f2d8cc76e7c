"""The selective scan as one Triton kernel: the state never leaves the registers. Imported where a GPU scans, only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from reno_sweeps.encoders._mamba_scan import LOG2E

if TYPE_CHECKING:
    from torch import Tensor

    from reno_sweeps.encoders._mamba_scan import Scanned

CHANNELS = 32  # of one program: one warp, a channel a lane, its states in the lane's registers
_LOG2E = tl.constexpr(LOG2E)


@triton.jit
def _softplus(x):  # type: ignore[no-untyped-def]  # a kernel's annotations would be compiled
    """ln(1 + e^x) = max(x, 0) + 2 artanh(s), s = w / (2 + w), w = e^-|x|: no digit is lost where Δ is small."""
    w = tl.exp2(-tl.abs(x) * _LOG2E)
    s = w / (2.0 + w)  # at most 1/3
    q = s * s
    series = 1.0 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q / 15))))))
    return tl.maximum(x, 0.0) + 2.0 * s * series


@triton.jit  # type: ignore[untyped-decorator]  # triton ships no types
def _scan(  # type: ignore[no-untyped-def]  # a kernel's arguments are pointers and numbers
    u, v, bias, rates, b, c, skip, z, y,  # pointers
    chunks, channels, states,  # sizes
    u_row, v_row, b_row, c_row, z_row,  # numbers from one row to the next
    TOKENS: tl.constexpr, CHANNELS: tl.constexpr, STATES: tl.constexpr,  # noqa: N803  # compiled in; STATES: 2^k
) -> None:  # fmt: skip
    """One chunk's scan over `CHANNELS` of its channels."""
    chunk = tl.program_id(0)
    e = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    n = tl.arange(0, STATES)
    here, there = e < channels, n < states
    both = there[:, None] & here[None, :]
    decay_rate = tl.load(rates + n[:, None] * channels + e[None, :], mask=both, other=0.0)
    shift = tl.load(bias + e, mask=here, other=0.0)
    through = tl.load(skip + e, mask=here, other=0.0)
    state = tl.zeros((STATES, CHANNELS), dtype=tl.float32)
    for token in range(TOKENS):
        row = (token * chunks + chunk).to(tl.int64)
        heard = tl.load(u + row * u_row + e, mask=here, other=0.0).to(tl.float32)
        raw = tl.load(v + row * v_row + e, mask=here, other=0.0).to(tl.float32)
        gate = tl.load(z + row * z_row + e, mask=here, other=0.0).to(tl.float32)
        into = tl.load(b + row * b_row + n, mask=there, other=0.0).to(tl.float32)
        out = tl.load(c + row * c_row + n, mask=there, other=0.0).to(tl.float32)
        delta = _softplus(raw + shift)
        decay = tl.exp2(delta[None, :] * decay_rate)
        state = decay * state + into[:, None] * (delta * heard)[None, :]
        told = tl.sum(out[:, None] * state, axis=0) + through * heard
        told *= gate / (1.0 + tl.exp2(-gate * _LOG2E))
        tl.store(y + row * channels + e, told, mask=here)


def fused(given: Scanned) -> Tensor:
    """The gated scan [S, B, E] in float32; the state and all arithmetic are float32 whatever comes in."""
    import torch

    tokens, chunks, channels = given.u.shape
    wide = [_rowed(x) for x in (given.u, given.v, given.b, given.c, given.z)]
    u, v, b, c, z = wide
    y = torch.empty(tokens, chunks, channels, device=u.device, dtype=torch.float32)
    states = given.rates.shape[0]
    with torch.cuda.device_of(u):  # type: ignore[no-untyped-call]  # Triton launches on the current device
        _scan[chunks, triton.cdiv(channels, CHANNELS)](
            u, v, given.bias, given.rates, b, c, given.skip, z, y,
            chunks, channels, states, *(x.stride(1) for x in wide),
            TOKENS=tokens, CHANNELS=CHANNELS, STATES=triton.next_power_of_2(states), num_warps=1,
        )  # fmt: skip
    return y


def _rowed(x: Tensor) -> Tensor:
    """A tensor or a slice of its last axis as it is, anything else as a copy: rows of equal distance."""
    import torch

    regular = x.stride(2) == 1 and x.stride(0) == x.shape[1] * x.stride(1)
    # not x.contiguous(): where an axis has one entry, that keeps whatever stride it has there
    return x if regular else x.clone(memory_format=torch.contiguous_format)
