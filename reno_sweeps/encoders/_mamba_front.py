"""What Audio-Mamba hears: a recording's log-mel picture, standardised over the clip, cut into chunks of 200 frames."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from reno_sweeps.audio import RATE
from reno_sweeps.encoders._mamba_sizes import BANDS, FRAMES, PATCH_FRAMES

if TYPE_CHECKING:
    from torch import Tensor

WINDOW, HOP = 400, 160  # samples: 25 ms and 10 ms
SHORTEST = WINDOW // 2 + 1  # samples that the reflection at a clip's ends needs
LOWEST, HIGHEST = 50.0, 8_000.0  # Hz: the ends of the mel bank
FLOOR = 2.0**-23  # added before the logarithm: float32's epsilon, as the official code has it
ROUNDING = 1e-5  # deviation of log-mel under which a clip holds nothing but rounding errors


def log_mel(clip: Tensor) -> Tensor:
    """Natural logarithm of mel power [frames, 80] of samples [n] at 16 kHz; frame t is centred on sample 160 t.

    A clip shorter than 201 samples is padded with zeros at its end to that length.
    """
    import torch

    if clip.numel() < SHORTEST:
        clip = torch.nn.functional.pad(clip, (0, SHORTEST - clip.numel()))
    padded = torch.nn.functional.pad(clip[None], (WINDOW // 2, WINDOW // 2), mode="reflect")[0]
    window, bank = _window_and_bank(str(clip.device))
    spectrum = torch.fft.rfft(padded.unfold(0, WINDOW, HOP) * window)  # [frames, 201]
    power = spectrum.real.square() + spectrum.imag.square()
    picture: Tensor = (power @ bank + FLOOR).log()
    return picture


def standardised(picture: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over all frames and bands of a clip at once; digital silence is 0 everywhere.

    The official code divides the rounding errors of a silent clip by their own deviation; here a clip whose deviation
    is rounding is its own mean.
    """
    import torch

    deviation = picture.std(correction=1)
    centred = (picture - picture.mean()) / (deviation + 1e-8)
    return torch.where(deviation < ROUNDING, torch.zeros_like(centred), centred)


def chunked(picture: Tensor) -> Tensor:
    """Chunks [r, 200, 80] of frames [frames, 80], the last one filled with zeros (the clip's mean).

    Where the frames fill the last chunk, the official code appends one of zeros and drops all its rows: none is made.
    """
    import torch

    return torch.nn.functional.pad(picture, (0, 0, 0, -len(picture) % FRAMES)).view(-1, FRAMES, BANDS)


def rows_of(frames: int) -> int:
    """Embedding rows of so many frames: one for each four, begun ones too."""
    return -(-frames // PATCH_FRAMES)


@functools.cache
def _window_and_bank(device: str) -> tuple[Tensor, Tensor]:
    """The periodic Hann window [400], and 80 triangles [201, 80] equally spaced on the HTK mel scale, peaks of 1.

    In float32 throughout: an exact bank moves embeddings by 6e-5 away from the official ones.
    """
    import torch

    low, high = (
        2595.0 * torch.log10(torch.tensor(1.0 + hertz / 700.0, dtype=torch.float64)) for hertz in (LOWEST, HIGHEST)
    )
    mel = torch.linspace(float(low), float(high), BANDS + 2)
    edges = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)  # Hz
    bins = torch.linspace(0.0, RATE / 2, WINDOW // 2 + 1)[:, None]
    widths = edges.diff()
    rising = (bins - edges[:-2]) / widths[:-1]
    falling = (edges[2:] - bins) / widths[1:]
    bank = torch.minimum(rising, falling).clamp_min(0.0)
    return torch.hann_window(WINDOW).to(device), bank.to(device)
