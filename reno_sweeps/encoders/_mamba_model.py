"""Audio-Mamba's network, as pure functions of its weights. Tokens come first: S tokens, B chunks, D wide, E inside.

Yadav and Tan 2024 (SSAM); the mixer is that of Gu and Dao 2023 (Mamba). Parity with the released code is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reno_sweeps.encoders._mamba_scan import LOG2E, Scanned, gated_scan
from reno_sweeps.encoders._mamba_sizes import BANDGROUPS, PATCH_BANDS, PATCH_FRAMES, STATES, TIMES, Layout

if TYPE_CHECKING:
    import torch
    from torch import Tensor

EPS = 1e-6  # of every layer norm; torch's own 1e-5 would move a short clip's embedding by 5e-5


@dataclass(frozen=True, slots=True)
class Block:
    """A block's weights as its arithmetic wants them; `half` ones are of the matrix products' precision."""

    norm: tuple[Tensor, Tensor]  # weight, bias: [D]
    into: Tensor  # half [2E, D]
    taps: tuple[Tensor, ...]  # four of [E]: the oldest token's weight first
    taps_bias: Tensor  # [E]
    choose: Tensor  # half [R + 2N, E]: step, b and c from the token itself
    step: Tensor  # half [E, R]
    step_bias: Tensor  # [E]
    rates: Tensor  # [N, E]: A · log2(e)
    skip: Tensor  # [E]
    out: Tensor  # half [D, E]


@dataclass(frozen=True, slots=True)
class Network:
    """All weights that features need."""

    patch: tuple[Tensor, Tensor]  # weight [D, 64], bias [D]
    first: Tensor  # [D]: the cls token with its position
    positions: Tensor  # [250, 1, D]
    blocks: Sequence[Block]
    norm: tuple[Tensor, Tensor]

    @property
    def width(self) -> int:
        """D."""
        return len(self.first)


def network(weights: Mapping[str, Tensor], device: str = "cpu", half: torch.dtype | None = None) -> Network:
    """The network of a state dict, as deep as that; `half`: the precision of matrix products, None for float32."""
    held = {key: tensor.to(device) for key, tensor in weights.items()}
    depth = 1 + max(int(key.split(".")[1]) for key in held if key.startswith("blocks."))
    return Network(
        patch=(held["patch_embed.proj.weight"].flatten(1), held["patch_embed.proj.bias"]),
        first=held["cls_token"][0, 0] + held["pos_embed"][0, 0],
        positions=held["pos_embed"][0, 1:, None].contiguous(),
        blocks=[_block(held, f"blocks.{number}.", half) for number in range(depth)],
        norm=(held["encoder_norm.weight"], held["encoder_norm.bias"]),
    )


def _block(held: Mapping[str, Tensor], prefix: str, half: torch.dtype | None) -> Block:
    def own(key: str) -> Tensor:
        return held[prefix + key]

    def matrix(key: str) -> Tensor:
        return own(f"mixer.{key}.weight").to(half or own("mixer.D").dtype).contiguous()

    taps = own("mixer.conv1d.weight")[:, 0].T.contiguous()  # [4, E]
    return Block(
        norm=(own("norm.weight"), own("norm.bias")),
        into=matrix("in_proj"),
        taps=tuple(taps),
        taps_bias=own("mixer.conv1d.bias"),
        choose=matrix("x_proj"),
        step=matrix("dt_proj"),
        step_bias=own("mixer.dt_proj.bias"),
        rates=(-own("mixer.A_log").double().exp() * LOG2E).to(taps.dtype).T.contiguous(),  # rounded once
        skip=own("mixer.D"),
        out=matrix("out_proj"),
    )


def encoded(net: Network, chunks: Tensor) -> Tensor:
    """Final tokens [250, B, D] of chunks [B, 200, 80], without the cls token."""
    stream = entered(net, patched(net, chunks))
    for block in net.blocks:
        stream += mixed(block, normed(stream, block.norm))
    return normed(stream, net.norm)[1:]


def patched(net: Network, chunks: Tensor) -> Tensor:
    """Patches of 4 frames × 16 bands as tokens [250, B, D]: time by time, bands fastest."""
    import torch

    b = len(chunks)
    cut = chunks.view(b, TIMES, PATCH_FRAMES, BANDGROUPS, PATCH_BANDS).permute(1, 3, 0, 2, 4)
    return torch.nn.functional.linear(cut.reshape(TIMES * BANDGROUPS, b, -1), *net.patch)


def entered(net: Network, tokens: Tensor) -> Tensor:
    """Tokens with their positions, behind the cls token: [251, B, D]."""
    import torch

    return torch.cat([net.first.expand(1, tokens.shape[1], -1), tokens + net.positions])


def normed(stream: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
    """Layer norm over D (biased variance), weight and bias."""
    import torch

    return torch.nn.functional.layer_norm(stream, stream.shape[-1:], *norm, eps=EPS)


def mixed(block: Block, h: Tensor) -> Tensor:
    """The selective state-space mixer, [S, B, D] → [S, B, D]; everything but the matrix products is float32."""
    import torch
    from torch.nn.functional import linear

    half, inner = block.into.dtype, len(block.skip)
    rank = block.step.shape[1]
    u0, z = linear(h.to(half), block.into).chunk(2, dim=-1)
    u = torch.nn.functional.silu(_convolved(block, u0), inplace=True)
    step, b, c = torch.split(linear(u.to(half), block.choose), [rank, STATES, STATES], dim=-1)
    v = linear(step, block.step).view(*u.shape[:2], inner)
    y = gated_scan(Scanned(u, v, block.step_bias, block.rates, b, c, block.skip, z))
    return linear(y.to(half), block.out).to(h.dtype)


def _convolved(block: Block, u0: Tensor) -> Tensor:
    """Each channel's causal convolution over four tokens, as shifted products: 6 to 9 times conv1d's speed on a CPU."""
    import torch

    c = torch.addcmul(block.taps_bias, u0, block.taps[-1])
    for back, tap in enumerate(reversed(block.taps[:-1]), start=1):
        c[back:].addcmul_(u0[:-back], tap)
    return c


def regrouped(tokens: Tensor, layout: Layout) -> Tensor:
    """Rows [B, 50, 5D] of tokens [250, B, D].

    `official`: the released code takes the tokens, which are (50 times, 5 band groups), for (5, 50): row i holds tokens
    i, 50 + i, …, 200 + i. `natural`: row i holds the five band groups of time i.
    """
    b = tokens.shape[1]
    if layout == "natural":
        return tokens.view(TIMES, BANDGROUPS, b, -1).permute(2, 0, 1, 3).reshape(b, TIMES, -1)
    return tokens.view(BANDGROUPS, TIMES, b, -1).permute(2, 1, 0, 3).reshape(b, TIMES, -1)
