"""Where an embedding lives in the cache: the hash of everything that makes it what it is, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reno_sweeps.records import digest

FACTS = ("encoder", "weights", "layer", "pooling", "precision", "normalize", "code")


def address(audio_digest: str, facts: Mapping[str, Any]) -> str:
    """SHA-256 (64 hex digits) of the recording's samples (their digest) and an encoder's facts.

    Paths, names, devices and batch sizes are no facts: the same sound through the same encoder has one address.
    """
    return digest({"audio": audio_digest, **{name: facts[name] for name in FACTS}})
