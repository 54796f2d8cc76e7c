"""The three sizes of Audio-Mamba: their widths, the shapes of their weights, and the options of an id."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reno_sweeps.encoders._facts import EncoderFacts
from reno_sweeps.encoders._options import POOLINGS, PRECISIONS, Offer, taken

Layout = Literal["official", "natural"]
PAGE = "https://github.com/SarthakYadav/audio-mamba-official"
STATES, TAPS, EXPAND = 24, 4, 3  # numbers a channel remembers; tokens under the convolution; inner width over outer
FRAMES, BANDS = 200, 80  # the mel picture of one chunk
PATCH_FRAMES, PATCH_BANDS = 4, 16
TIMES, BANDGROUPS = FRAMES // PATCH_FRAMES, BANDS // PATCH_BANDS  # 50 × 5 patches
TOKENS = 1 + TIMES * BANDGROUPS  # the cls token and 250 patches
DEPTH = 12  # blocks of every published size
WIDTHS = {"audio-mamba-tiny": 192, "audio-mamba-small": 384, "audio-mamba-base": 768}
LICENCE = "MIT (code; the weights' page names none of their own)"
ROWS = tuple(
    EncoderFacts(name, "audio_mamba", f"SSAM ssam_{name.rpartition('-')[2]}_200_16x4", 5 * width, LICENCE, count, PAGE)
    for (name, width), count in zip(WIDTHS.items(), (4_808_704, 17_985_472, 69_443_392), strict=True)
)
LAYOUTS: Mapping[str, Layout] = {"official": "official", "natural": "natural"}
OFFER: Offer = {"layout": LAYOUTS, "pooling": POOLINGS, "precision": PRECISIONS}

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """An id taken apart: 'audio-mamba-tiny@layout=natural@pooling=mean-std'."""

    name: str  # without its options
    layout: Layout = "official"  # how tokens are grouped into rows; official: parity with the released code
    deviation: bool = False  # the standard deviation over rows behind their mean
    precision: str | None = None  # None: as load() is told, else float32

    @property
    def pooling(self) -> str:
        """The fact of the address."""
        how = "mean+std" if self.deviation else "mean"
        return how if self.layout == "official" else f"{how}, natural layout"


def parse(name: str) -> Asked:
    """The id's size and options; a UserError for options that do not exist or stand twice."""
    base, chosen = taken(name, OFFER)
    return Asked(
        base,
        layout=chosen.get("layout", "official"),
        deviation=chosen.get("pooling") == POOLINGS["mean-std"],
        precision=chosen.get("precision"),
    )


def needed(width: int, depth: int = DEPTH) -> Shapes:
    """Key → shape of everything that features need, for an embedding `width`."""
    inner, rank = EXPAND * width, math.ceil(width / 16)
    block: Shapes = {
        "norm.weight": (width,),
        "norm.bias": (width,),
        "mixer.in_proj.weight": (2 * inner, width),
        "mixer.conv1d.weight": (inner, 1, TAPS),
        "mixer.conv1d.bias": (inner,),
        "mixer.x_proj.weight": (rank + 2 * STATES, inner),
        "mixer.dt_proj.weight": (inner, rank),
        "mixer.dt_proj.bias": (inner,),
        "mixer.A_log": (inner, STATES),
        "mixer.D": (inner,),
        "mixer.out_proj.weight": (width, inner),
    }
    return {
        "cls_token": (1, 1, width),
        "pos_embed": (1, TOKENS, width),
        "patch_embed.proj.weight": (width, 1, PATCH_FRAMES, PATCH_BANDS),
        "patch_embed.proj.bias": (width,),
        "encoder_norm.weight": (width,),
        "encoder_norm.bias": (width,),
        **{f"blocks.{number}.{key}": shape for number in range(depth) for key, shape in block.items()},
    }


def unused(width: int) -> Shapes:
    """Key → shape of what pretraining needed on top: a checkpoint may hold it, features do without."""
    return {
        "mask_token": (1, 1, width),
        "pred.0.weight": (width, width),
        "pred.0.bias": (width,),
        "pred.2.weight": (PATCH_FRAMES * PATCH_BANDS, width),
        "pred.2.bias": (PATCH_FRAMES * PATCH_BANDS,),
    }


def size_of(width: int) -> str:
    """The published size of an embedding width, in words."""
    return next((name for name, known in WIDTHS.items() if known == width), f"a model of width {width}")


def count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Numbers in all of them."""
    return sum(math.prod(shape) for shape in shapes.values())
