"""A search-space file, with the command line's changes, becomes a `records.Sweep`: valid and complete, or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reno_sweeps.config import _cells, _conditions, _overrides, _places, _search, _shape, _together
from reno_sweeps.config._overrides import Overrides
from reno_sweeps.config._places import shipped
from reno_sweeps.config._yaml import Document, nearest, read
from reno_sweeps.config._yaml import Path as Place
from reno_sweeps.config.describe import cost, describe
from reno_sweeps.records import Cell, Sweep
from reno_sweeps.space import Categorical
from reno_sweeps.training.configuration import parameters_of, search_of, split_pair

__all__ = ["Overrides", "SpaceFile", "cost", "describe", "load", "moved", "open_space", "shipped"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # it begins a folder's name


@dataclass(frozen=True, slots=True)
class SpaceFile:
    """A file that was read: the sweep it asks for, its `run:` settings, and its text for the record."""

    sweep: Sweep
    run: Mapping[str, Any]  # settings.gather(file=…) takes it
    path: Path
    text: str


def load(space: str, overrides: Overrides | None = None, spaces_dir: Path | None = None) -> Sweep:
    """The sweep that `--space` names: a path, or a shipped space with or without .yaml; else a UserError."""
    return open_space(space, overrides, spaces_dir).sweep


def open_space(space: str, overrides: Overrides | None = None, spaces_dir: Path | None = None) -> SpaceFile:
    """Like `load`, with what the file says beside the question."""
    path = _places.find(space, spaces_dir)
    text = _places.text_of(path, space)
    document, heads = _overrides.apply(read(space, text), overrides or Overrides())
    shape = _shape.examine(document)
    sweep = _only(_sweep(document, shape, path.absolute()), heads)
    _together.examine(document, sweep)
    run = {name: value for name, value in shape.run.model_dump().items() if value is not None}
    return SpaceFile(sweep, run, path, text)


def moved(sweep: Sweep, overrides: Overrides) -> Sweep:
    """The same question where its corpus, its root or its weights lie elsewhere now; paths absolute."""
    here = (Path.cwd(),)
    corpus = sweep.corpus if overrides.corpus is None else _places.corpus_place(overrides.corpus, here)
    root = sweep.root if overrides.root is None else _places.absolute(overrides.root, here)
    weights = {encoder: _places.absolute(path, here) for encoder, path in overrides.weights.items()}
    return replace(sweep, corpus=corpus, root=root, weights={**sweep.weights, **weights})


def _sweep(document: Document, shape: _shape.SpaceShape, path: Path) -> Sweep:
    """The sweep of an examined document; `path` is the file's, absolute."""
    folder = path.parent
    named = _search.names_searched(document, shape, folder)
    cells = _cells.cells(document, shape, named, folder)
    heads = tuple(str(h) for h in named["head"].values) if "head" in named else tuple(cell.head for cell in cells)
    fixed = _search.fixed_values(document, shape, heads)
    search = _search.distributions(document, shape, heads, named)
    corpus = _filled(document, "corpus", shape.corpus)
    root = None if shape.root is None else _filled(document, "root", shape.root)
    return Sweep(
        name=_name(document, shape, path),
        corpus=_places.corpus_place(corpus, _cells.bases(document, ("corpus",), folder)),
        cells=cells,
        search=_conditions.ordered(_conditions.Asked(document, search, fixed, cells)),
        fixed=fixed,
        protocol=_together.protocol(document, shape),
        objective=_together.objective(document, shape),
        budget=_together.budget(document, shape),
        root=root and _places.absolute(root, _cells.bases(document, ("root",), folder)),
        weights=_weights(document, shape, cells, named, folder),
    )


def _only(sweep: Sweep, heads: tuple[str, ...]) -> Sweep:
    """The sweep with these heads' cells alone, and what they search and fix; no heads: as it is."""
    if not heads:
        return sweep
    cells = tuple(cell for cell in sweep.cells if cell.head in heads)
    searched = {name for cell in cells for name in search_of(sweep, cell)}
    known = {name for head in heads for name in parameters_of(head)}
    search = {name: distribution for name, distribution in sweep.search.items() if name in searched}
    return replace(sweep, cells=cells, search=search, fixed={n: v for n, v in sweep.fixed.items() if n in known})


def _name(document: Document, shape: _shape.SpaceShape, path: Path) -> str:
    """The space's name, else the file's, fit to begin a folder's name."""
    if shape.name is None:
        plain = re.sub(r"[^A-Za-z0-9.-]+", "-", path.stem).strip("-.")[:64]
        return plain or "space"
    if not _NAME.fullmatch(shape.name):
        what = f"name {shape.name!r} cannot begin a folder's name"
        raise document.error(("name",), what, "At most 64 letters, digits, '-', '_', '.'; the first a letter or digit")
    return shape.name


def _filled(document: Document, key: str, text: str) -> str:
    """Text that is not empty."""
    if not text.strip():
        raise document.error((key,), f"{key} is empty", f"Remove it, or write {key}: …")
    return text


def _weights(
    document: Document,
    shape: _shape.SpaceShape,
    cells: Sequence[Cell],
    named: Mapping[str, Categorical],
    folder: Path,
) -> dict[str, str]:
    """Weights by encoder, paths absolute; a UserError for an encoder that nothing here uses."""
    choices = [split_pair(str(pair)) for pair in named["encoders"].values] if "encoders" in named else []
    used = {encoder for encoders in (*choices, *(cell.encoders for cell in cells)) for encoder in encoders}
    known = used | {encoder.partition("@")[0] for encoder in used}
    found = {}
    for asked, path in shape.weights.items():
        place: Place = ("weights", asked)
        encoder = _places.encoder_place(asked, _cells.bases(document, place, folder))
        replaced = ("encoders",) in document.given and place not in document.given  # the file's, for other encoders
        if encoder not in known and not replaced:
            what = f"weights of {encoder!r}, which is not asked for{nearest(encoder, sorted(known))}"
            raise document.error(place, what, f"Encoders: {', '.join(sorted(used))}")
        found[encoder] = _places.absolute(path, _cells.bases(document, place, folder))
    return found
