"""`corpus`, `encoders` and `embed`: what there is to listen to, and with what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reno_sweeps import catalogue
from reno_sweeps.app import devices, opening


def corpora() -> list[dict[str, Any]]:
    """The corpora that a name stands for."""
    return [{"id": name, **asdict(catalogue.load("corpora", name).FACTS)} for name in catalogue.names("corpora")]


def check(corpus: str, root: Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """A corpus, every recording decoded: what it holds and what is wrong with it."""
    from reno_sweeps.config import settings
    from reno_sweeps.corpora import prepare
    from reno_sweeps.corpora._report import corpus_report

    opened = opening.find_corpus(corpus, str(root) if root else None, settings.gather(options))
    prepare(opened)
    return corpus_report(opened)


def encoders() -> list[dict[str, Any]]:
    """Every encoder on offer."""
    from reno_sweeps.encoders import list_encoders

    return list_encoders()


def check_encoder(encoder: str, weights: Sequence[str]) -> dict[str, Any]:
    """One encoder, loaded and tried on half a second of a quiet tone."""
    import numpy as np

    from reno_sweeps.config.sweep_file import Overrides
    from reno_sweeps.encoders import encoder_facts, load_encoder

    given = Overrides.from_options(weights=weights).weights.get(encoder)
    facts = encoder_facts(encoder, given)
    loaded = load_encoder(encoder, given)
    tone = 0.1 * np.sin(2 * np.pi * 220 * np.arange(8000) / 16000).astype(np.float32)
    vector = loaded.embed([tone])
    return {"encoder": encoder, "dim": loaded.dim, "finite": bool(np.isfinite(vector).all()), "facts": dict(facts)}


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
