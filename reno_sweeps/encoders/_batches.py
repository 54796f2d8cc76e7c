"""Which clips share a forward pass, and what such a pass needs of memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reno_sweeps.audio import RATE

# Bytes of activations in one pass. On a CPU one clip at a time is fastest: of base-size models on clips of 1–3 s, eight
# together took 1.5–1.8 times as long (1 and 2 threads: activations leave the processor's cache). A GPU wants many.
BOUNDS = {"cpu": 0, "cuda": 4 * 2**30}
CONVOLUTIONS = 20_000_000  # bytes a second: 512 channels at a fifth of 16 kHz, three alive; 16–22 MB measured
FRAMES = 50  # a second
MAPS = 3  # attention maps that are alive at a time where a model makes them (WavLM does)


def memory(samples: int, heads: int) -> float:
    """Bytes of activations that a clip needs in float32, an upper estimate: 60 s by 12 heads are 2.5 GB (1.8 found)."""
    seconds = samples / RATE
    return seconds * CONVOLUTIONS + MAPS * heads * 4 * (seconds * FRAMES) ** 2


def groups(lengths: Sequence[int], bound: int, heads: int, *, mixed: bool) -> Iterator[list[int]]:
    """The indices of `lengths` (samples), shortest first, in groups of one pass each.

    A group holds at least one clip, and no more than `bound` bytes allow; unless `mixed`, all are of one length. Mixed
    clips are at most a second long, or twice the shortest, so that at most half of what is heard is padding.
    """
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        fits = (len(group) + 1) * memory(lengths[index], heads) <= bound
        shortest = lengths[group[0]] if group else lengths[index]
        alike = lengths[index] <= max(2 * shortest, RATE) if mixed else lengths[index] == shortest
        if group and not (fits and alike):
            yield group
            group = []
        group.append(index)
    if group:
        yield group
