"""Sweeps for non-verbal vocal emotion recognition; see README.md. Importing this imports nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {"Sweep": "reno_sweeps.app.api", "load_model": "reno_sweeps.app.models"}  # imported when first asked for

__all__ = ["Sweep", "load_model"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
