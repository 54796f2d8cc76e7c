"""Spectral features, computed: log-mel bands and MFCC, their mean and deviation over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reno_sweeps.audio import RATE
from reno_sweeps.encoders._exact import exact
from reno_sweeps.encoders._facts import EncoderFacts
from reno_sweeps.encoders._options import refuse_any
from reno_sweeps.records import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

VERSION = "1"  # raise it when a clip's vector changes: it is part of the cache's address
ROWS = (
    EncoderFacts("mfcc", "mfcc", "computed", 80, "none needed"),
    EncoderFacts("log-mel", "mfcc", "computed", 160, "none needed"),
)
PREFIX = None  # its ids are the rows'; no open-ended ones
WINDOW, HOP = 400, 160  # samples: 25 ms and 10 ms at 16 kHz
FFT = 512  # samples: the window, zero-padded, so that every one of 80 bands holds a bin
BANDS, COEFFICIENTS = 80, 40
FLOOR = 1e-6  # power under which a band counts as silent; the logarithm needs one


def facts(name: str, weights: str | None = None, download: bool = False) -> dict[str, Any]:  # noqa: ARG001
    """The address facts of `mfcc` or `log-mel`; there are no weights to give or to download."""
    refuse_any(name)
    if weights is not None:
        raise UserError(f"--weights {name}={weights}: {name} is computed, it has no weights")
    return {
        "encoder": name,
        "weights": "none",
        "layer": None,
        "pooling": "mean+std",
        "precision": "float32",
        "normalize": False,
        "code": VERSION,
    }


def at_hand(name: str) -> bool:  # noqa: ARG001
    """Always: nothing but arithmetic is needed."""
    return True


def load(
    name: str, weights: str | None = None, device: str = "cpu", precision: str = "float32", download: bool = False
) -> Spectral:
    """The encoder `mfcc` or `log-mel`."""
    if precision != "float32":
        raise UserError(f"precision {precision}: {name} is computed in float32 only")
    return Spectral(name, facts(name, weights, download), device)


class Spectral:
    """Log-mel bands or MFCC of every 10 ms, their mean over time and then their standard deviation.

    A clip shorter than one window (25 ms) is padded with zeros at its end to one window; after that, samples that fill
    no whole window are left out.
    """

    def __init__(self, name: str, facts: dict[str, Any], device: str) -> None:
        import torch
        from torchaudio.functional import create_dct, melscale_fbanks

        self.id = name
        self.facts: Mapping[str, Any] = facts
        self.dim = 2 * (COEFFICIENTS if name == "mfcc" else BANDS)
        self._window = torch.hann_window(WINDOW, device=device)
        bands = melscale_fbanks(FFT // 2 + 1, 0.0, RATE / 2, BANDS, RATE, norm="slaney", mel_scale="slaney")
        self._bands = bands.to(device)  # [bins, bands]
        self._cosines = create_dct(COEFFICIENTS, BANDS, "ortho").to(device) if name == "mfcc" else None

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors [n, dim], each clip by itself."""
        import numpy as np
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the work of a clip is too small to share: two threads took ten times as long
        try:
            with exact():
                vectors = [self._embed(torch.from_numpy(np.array(clip, np.float32))).cpu().numpy() for clip in clips]
        finally:
            torch.set_num_threads(threads)
        return np.stack(vectors) if vectors else np.zeros((0, self.dim), np.float32)

    def _embed(self, clip: Tensor) -> Tensor:
        import torch

        clip = clip.to(self._bands.device)
        if clip.numel() < WINDOW:
            clip = torch.nn.functional.pad(clip, (0, WINDOW - clip.numel()))
        frames = clip.unfold(0, WINDOW, HOP) * self._window  # [frames, window]
        power = torch.fft.rfft(frames, FFT).abs().square()  # [frames, bins]
        features = (power @ self._bands + FLOOR).log()  # [frames, bands]
        if self._cosines is not None:
            features = features @ self._cosines  # [frames, coefficients]
        return torch.cat([features.mean(dim=0), features.std(dim=0, correction=0)])
