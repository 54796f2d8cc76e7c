"""`embed`: fill the cache before a sweep needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reno_sweeps.app import devices, opening


def embed(
    corpus: str, encoders: str, root: Path | None, weights: Sequence[str], options: Mapping[str, Any], *, quiet: bool
) -> dict[str, Any]:
    """Fill the cache: how many clips each encoder had to compute."""
    import time

    from reno_sweeps.app.progress import clips_said
    from reno_sweeps.config import settings
    from reno_sweeps.config.sweep_file import Overrides
    from reno_sweeps.corpora import prepare
    from reno_sweeps.embeddings.extract import extract

    there = settings.gather(options)
    asked = Overrides.from_options(encoders=encoders, weights=weights)
    opened = opening.find_corpus(corpus, str(root) if root else None, there)
    prepare(opened)
    began = time.monotonic()
    extraction = extract(
        opened,
        asked.encoders,
        there.cache,
        weights=asked.weights,
        device=devices.settle(there.device),
        skip_broken=there.skip_broken,
        progress=None if quiet else clips_said(),
        download=there.download,
    )
    return {
        "corpus": opened.id,
        "clips": len(extraction.corpus.clips),
        "skipped": [asdict(left) for left in extraction.corpus.skipped],
        "dims": {encoder: int(array.shape[1]) for encoder, array in extraction.arrays.items()},
        "computed": dict(extraction.computed),
        "seconds": round(time.monotonic() - began, 3),
    }
