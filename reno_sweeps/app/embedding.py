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
    with clips_said(quiet=quiet) as progress:
        extraction = extract(
            opened,
            asked.encoders,
            there.cache,
            weights=opening.weights_of(asked.weights, asked.encoders),
            skip_broken=there.skip_broken,
            progress=progress,
            download=there.download,
            **devices.for_extraction(there),
        )
    rate = extraction.clips_per_second
    return {
        "corpus": opened.id,
        "clips": len(extraction.corpus.clips),
        "skipped": [asdict(left) for left in extraction.corpus.skipped],
        "dims": {encoder: int(array.shape[1]) for encoder, array in extraction.arrays.items()},
        "computed": dict(extraction.computed),
        "workers": extraction.workers,
        "clips_per_second": None if rate is None else round(rate, 3),
        "seconds": round(time.monotonic() - began, 3),
    }
