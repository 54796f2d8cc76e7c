"""A file in a room is an entry: what a room offers, and one entry loaded by name."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

_HOUSE = Path(__file__).parent


def names(room: str) -> tuple[str, ...]:
    """The entries of a room, in alphabetical order, without importing any; '_helpers' are not entries."""
    found = pkgutil.iter_modules([str(_HOUSE / room)])
    return tuple(sorted(m.name.replace("_", "-") for m in found if not m.name.startswith("_") and not m.ispkg))


def load(room: str, name: str) -> ModuleType:
    """The module of one entry; a LookupError says what is on offer."""
    if name not in names(room):
        raise LookupError(unknown(room, name, names(room)))
    return importlib.import_module(f"reno_sweeps.{room}.{name.replace('-', '_')}")


def unknown(room: str, name: str, offer: tuple[str, ...]) -> str:
    """One sentence for a name that nobody has: what was asked, what is on offer, the likely meant one."""
    near = get_close_matches(name, offer, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{room} has no {name!r}; it offers {', '.join(offer)}{hint}"
