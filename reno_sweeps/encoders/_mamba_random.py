"""Audio-Mamba with random weights, drawn as it is initialised: for tests, benchmarks, and runs without real ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from reno_sweeps.encoders._mamba_sizes import BANDGROUPS, DEPTH, STATES, TAPS, TIMES, WIDTHS, needed, unused
from reno_sweeps.files import replacing

if TYPE_CHECKING:
    from torch import Generator, Tensor

STEPS = (1e-3, 1e-1)  # the steps Δ at which channels begin; Gu and Dao 2023


def random_state(name: str, seed: int, depth: int = DEPTH) -> dict[str, Tensor]:
    """A whole state dict of a size, unused weights included; the same seed, the same numbers."""
    import torch

    dice, width = torch.Generator().manual_seed(seed), WIDTHS[name]
    shapes = needed(width, depth) | unused(width)
    return {key: _drawn(key, shape, dice) for key, shape in sorted(shapes.items())}


def write_random(name: str, folder: Path, seed: int = 0) -> Path:
    """`folder`/model.safetensors with random weights of a size; the folder can be given as its --weights."""
    from safetensors.torch import save

    file = folder / "model.safetensors"
    with replacing(file) as temporary:
        temporary.write_bytes(save(random_state(name, seed), metadata={"format": "pt", "random": str(seed)}))
    return file


def _drawn(key: str, shape: tuple[int, ...], dice: Generator) -> Tensor:
    """One weight by its role."""
    import torch

    if key == "pos_embed":
        return positions(shape[2])
    if key.endswith("A_log"):
        return torch.arange(1.0, STATES + 1).log().expand(shape).clone()
    if key.endswith(("norm.weight", "mixer.D")):
        return torch.ones(shape)
    if key.endswith("dt_proj.bias"):
        steps = torch.empty(shape).uniform_(*map(math.log, STEPS), generator=dice).exp()
        return steps + (-torch.expm1(-steps)).log()  # what softplus turns into those steps
    if key.endswith("bias") and "conv1d" not in key:
        return torch.zeros(shape)
    inputs = TAPS if "conv1d" in key else math.prod(shape[1:])
    return torch.empty(shape).uniform_(-(inputs**-0.5), inputs**-0.5, generator=dice)


def positions(width: int) -> Tensor:
    """Sines and cosines [1, 251, D] of a patch's band group, then of its time; zero for the cls token."""
    import torch

    rates = 10_000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    times, groups = torch.meshgrid(torch.arange(TIMES), torch.arange(BANDGROUPS), indexing="ij")
    angles = [place.reshape(-1, 1) * rates for place in (groups, times)]
    table = torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
    return torch.cat([torch.zeros(1, width), table.float()])[None]
