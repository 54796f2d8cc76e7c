"""`encoders list`, `check`, `fetch` and `convert`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reno_sweeps.records import UserError


def known() -> list[dict[str, Any]]:
    """Every encoder on offer."""
    from reno_sweeps.encoders import list_encoders

    return list_encoders()


def check(encoder: str, weights: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
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
