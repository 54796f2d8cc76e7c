"""Heads and encoders: which of them a space asks for, one cell for each that is searched as a unit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from reno_sweeps import catalogue
from reno_sweeps.config import _places
from reno_sweeps.config._shape import CellShape, SpaceShape
from reno_sweeps.config._yaml import Document, nearest
from reno_sweeps.config._yaml import Path as Place
from reno_sweeps.records import Cell
from reno_sweeps.space import Categorical
from reno_sweeps.training.configuration import encoders_of, split_pair

DEFAULT_HEAD = "reno"
DEFAULT_ENCODERS = ("mfcc", "log-mel")
_ID = re.compile(r"[^\s,]+")  # of an encoder that is no file or folder
_COUNTS = {(1,): "one encoder", (2,): "two encoders", (1, 2): "one or two encoders"}


def cells(document: Document, shape: SpaceShape, searched: dict[str, Categorical], folder: Path) -> tuple[Cell, ...]:
    """The cells of a space; with a searched head or searched encoders they hold the first choice.

    `searched` has 'head' and 'encoders' where the space searches them; relative paths are looked for in the present
    folder, those of the file also in its own `folder`.
    """
    if shape.cells is not None:
        return _listed(document, shape, shape.cells, searched, folder)
    for name in searched:
        if getattr(shape, name) is not None:
            line = document.place(("search", name))
            raise document.error((name,), f"{name} is searched too ({line})", f"Remove {name}: or search.{name}")
    encoders = _encoders(document, shape.encoders, ("encoders",), folder)
    if "head" in searched:
        heads = [str(head) for head in searched["head"].values]
        place: Place = ("search", "head", "choices")
    else:
        asked = DEFAULT_HEAD if shape.head is None else shape.head
        heads = [asked] if isinstance(asked, str) else asked
        place = ("head",)
    for head in heads:
        _known_head(document, place, head)
    if "encoders" in searched:
        return _on_searched(document, heads, searched)
    if "head" in searched:
        shared = encoders or max(map(_default, heads), key=len)
        for head in heads:
            _fit(document, place, head, shared)
        return (Cell(heads[0], tuple(shared)),)
    return _of_heads(document, heads, encoders, several=isinstance(shape.head, list))


def _of_heads(document: Document, heads: list[str], encoders: list[str] | None, *, several: bool) -> tuple[Cell, ...]:
    """A cell for each head; in a list, a head of one encoder has a cell for each encoder."""
    if not heads:
        raise document.error(("head",), "head is an empty list", f"Heads: {', '.join(catalogue.names('heads'))}")
    found: list[Cell] = []
    for head in heads:
        own = encoders or (list(DEFAULT_ENCODERS) if several else _default(head))
        if several and len(own) not in encoders_of(head) and 1 in encoders_of(head):
            found += [Cell(head, (encoder,)) for encoder in own]  # `head: [fcn, reno]`: a cell for each encoder
            continue
        _fit(document, ("head",), head, own)
        found.append(Cell(head, tuple(own)))
    return _once(document, ("head",), found)


def _on_searched(document: Document, heads: list[str], searched: dict[str, Categorical]) -> tuple[Cell, ...]:
    """Cells whose encoders are searched: every choice must suit every head."""
    choices = [str(choice) for choice in searched["encoders"].values]
    for i, choice in enumerate(choices):
        for head in heads:
            _fit(document, ("search", "encoders", "choices", i), head, list(split_pair(choice)))
    cells_of = heads[:1] if "head" in searched else heads
    return _once(document, ("head",), [Cell(head, split_pair(choices[0])) for head in cells_of])


def _listed(
    document: Document, shape: SpaceShape, listed: list[CellShape], searched: dict[str, Categorical], folder: Path
) -> tuple[Cell, ...]:
    """The cells that a file lists one by one."""
    if shape.head is not None:
        raise document.error(("cells",), "cells and head are both given", "Remove one: head: is short for cells")
    if searched:
        name = next(iter(searched))
        raise document.error(("search", name), f"{name} is searched, but every cell names its own", f"Remove {name}")
    if not listed:
        raise document.error(("cells",), "cells is an empty list", "For example: [{head: reno, encoders: [a, b]}]")
    shared = _encoders(document, shape.encoders, ("encoders",), folder)
    found = []
    for i, cell in enumerate(listed):
        _known_head(document, ("cells", i, "head"), cell.head)
        place: Place = ("cells", i, "encoders")
        own = _encoders(document, cell.encoders, place, folder) or shared or _default(cell.head)
        _fit(document, place, cell.head, own)
        found.append(Cell(cell.head, tuple(own)))
    return _once(document, ("cells",), found)


def _once(document: Document, place: Place, found: list[Cell]) -> tuple[Cell, ...]:
    """The same cells; a UserError where one is listed twice."""
    for i, cell in enumerate(found):
        if cell in found[:i]:
            where = (*place, i) if place == ("cells",) else place
            raise document.error(
                where, f"{cell.head} on {', '.join(cell.encoders)} is given twice", "Remove one of them"
            )
    return tuple(found)


def _default(head: str) -> list[str]:
    """The encoders of a head where a space names none: as many as it can take."""
    return list(DEFAULT_ENCODERS[: max(encoders_of(head))])


def _known_head(document: Document, place: Place, head: str) -> None:
    """Refuse a head that no file of the room `heads` is called after."""
    offer = catalogue.names("heads")
    if head not in offer:
        raise document.error(place, f"no head {head!r}{nearest(head, list(offer))}", f"Heads: {', '.join(offer)}")


def _fit(document: Document, place: Place, head: str, encoders: Sequence[str]) -> None:
    """Refuse encoders of a number that the head does not take, and say which heads would."""
    takes = encoders_of(head)
    if len(encoders) in takes:
        return
    if place == ("head",) and ("encoders",) in document.given:
        place = ("encoders",)
    fitting = [name for name in catalogue.names("heads") if len(encoders) in encoders_of(name)]
    many = f"Heads for {len(encoders)}: {', '.join(fitting)}" if fitting else "At most two encoders go together"
    short = (
        f"; or head: [{head}] for one cell each" if len(encoders) > 1 and takes == (1,) and place[0] == "head" else ""
    )
    kind = _COUNTS.get(takes, f"{takes} encoders")
    raise document.error(place, f"{head} takes {kind}, {len(encoders)} given: {', '.join(encoders)}", many + short)


def _encoders(document: Document, given: list[str] | None, place: Place, folder: Path) -> list[str] | None:
    """A list of encoders with absolute paths; None where none is given."""
    if given is None:
        return None
    if not given:
        raise document.error(place, "encoders is an empty list", "For example: [mfcc, log-mel]")
    return [encoder(document, (*place, i), text, folder) for i, text in enumerate(given)]


def encoder(document: Document, place: Place, text: str, folder: Path) -> str:
    """One encoder id, its path absolute; a UserError for what cannot be one."""
    family, colon, rest = text.partition(":")
    if family in {"file", "hf"} and colon:
        if not rest.strip():
            raise document.error(place, f"{text!r} lacks its path", "For example: file:embeddings.npz, hf:my/encoder")
        return _places.encoder_place(text, bases(document, place, folder))
    if not _ID.fullmatch(text):
        raise document.error(place, f"{text!r} is no encoder id", "reno-sweep encoders list shows what is on offer")
    return text


def bases(document: Document, place: Place, folder: Path) -> tuple[Path, ...]:
    """Folders in which a relative path is looked for: the present one; for what a file says also the file's own."""
    is_option = any(place[: len(given)] == given for given in document.given)
    return (Path.cwd(),) if is_option else (Path.cwd(), folder)
