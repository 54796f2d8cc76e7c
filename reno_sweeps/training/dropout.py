"""Dropout for stacked models: every mask is a pure function of its model's seed, step and place, on any device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SITES = 32  # dropouts that a network may have
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B - 2**32  # the multipliers of Chris Wellons' 32-bit hash "lowbias32"
_STEP, _PLACE = 0x9E3779B9 - 2**32, 0x85EBCA6B - 2**32  # odd and unlike each other: no two pairs meet


def keep(x: Tensor, rate: float | None = None) -> Tensor:  # noqa: ARG001  # the signature of every dropout
    """Dropout in evaluation: the identity."""
    return x


class Masks:
    """Dropout in training: `begin` a step, then call it once for each dropout of the network, in order.

    An entry is dropped where a hash of (seed, step, which dropout, entry) is small. No generator has a state, so that
    masks are the same on every device and in every precision, alone and in company, and a step that is repeated drops
    the same entries again. Integers of 32 bits: eleven passes over a mask, as fast as drawing it (CPU).
    """

    def __init__(self, rates: Sequence[float], seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        """`rates` and `seeds` of each model; seeds are whole numbers of 64 bits."""
        self._rates = tuple(rates)
        words = [[_signed(seed), _signed(seed >> 32)] for seed in seeds]
        self._seeds = torch.tensor(words, dtype=torch.int32, device=device).T.contiguous()  # [2, models]
        self._sites = torch.arange(SITES, dtype=torch.int32, device=device)[:, None] * _PLACE
        self._keys = self._seeds[:, None]
        self._site = 0
        self._counted: dict[int, Tensor] = {}
        self._bounded: dict[tuple[tuple[float, ...], torch.dtype], tuple[Tensor, Tensor]] = {}

    def begin(self, steps: Tensor) -> None:
        """A new step: `steps` [models], how many each model has made."""
        low, high = self._seeds
        first = _mixed(low + _mixed(steps.to(torch.int32) * _STEP + self._sites))  # [sites, models]
        self._keys = torch.stack((first, _mixed(high ^ first)))
        self._site = 0

    def __call__(self, x: Tensor, rate: float | None = None) -> Tensor:
        """`x` [models, …] with a share `rate` of its entries zeroed and the others scaled up; None: the models' own."""
        rates = self._rates if rate is None else (rate,) * len(self._rates)
        place, self._site = self._site, self._site + 1  # counted also where nobody drops: company may
        if not any(rates):
            return x
        first, second = self._keys[:, place, :, None]
        floor, scale = self._bounds(rates, x.dtype)
        kept = _hashed(self._numbers(x[0].numel()), first, second) >= floor
        return x * kept.to(x.dtype).mul_(scale).view(x.shape)

    # kept for as long as the masks are: a captured step reads them where they lie

    def _numbers(self, count: int) -> Tensor:
        if count not in self._counted:
            self._counted[count] = torch.arange(count, dtype=torch.int32, device=self._seeds.device)
        return self._counted[count]

    def _bounds(self, rates: tuple[float, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The least hash that is kept, and what is kept is multiplied by, [models, 1] each."""
        if (rates, dtype) not in self._bounded:
            floors = [[min(round(rate * 2**32), 2**32 - 1) - 2**31] for rate in rates]
            scales = [[1 / (1 - rate)] for rate in rates]
            where = self._seeds.device
            self._bounded[rates, dtype] = (
                torch.tensor(floors, dtype=torch.int32, device=where),
                torch.tensor(scales, dtype=dtype, device=where),
            )
        return self._bounded[rates, dtype]


def _hashed(numbers: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """A hash of every entry's number [count] under two keys [models, 1]: [models, count], its high bits well mixed."""
    x = numbers ^ first
    x ^= (x >> 16).bitwise_and_(0xFFFF)
    x *= _FIRST
    x ^= second
    x ^= (x >> 15).bitwise_and_(0x1FFFF)
    x *= _SECOND
    return x


def _mixed(x: Tensor) -> Tensor:
    """The whole hash, of a few numbers."""
    for shift, factor in ((16, _FIRST), (15, _SECOND), (16, 1)):
        x = (x ^ ((x >> shift) & (2 ** (32 - shift) - 1))) * factor
    return x


def _signed(word: int) -> int:
    """The low 32 bits as a signed number."""
    return (word + 2**31) % 2**32 - 2**31
