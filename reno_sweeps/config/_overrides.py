"""The options of `run` that change the question, and a document as if its file said what they say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reno_sweeps.config._together import seconds
from reno_sweeps.config._yaml import Document
from reno_sweeps.config._yaml import Path as Place
from reno_sweeps.records import UserError

_WEIGHTS = re.compile(r"(?P<id>[^@=]+(?:@[a-z_]+=[^@=]*)*)=(?P<path>.+)")  # hf:x@layer=9=PATH


@dataclass(frozen=True, slots=True)
class Overrides:
    """The options of `run` that change the question; None and empty leave the file's word."""

    corpus: str | None = None
    root: str | None = None
    encoders: tuple[str, ...] = ()
    weights: Mapping[str, str] = field(default_factory=dict)
    head: tuple[str, ...] = ()
    trials: int | None = None
    seconds: float | None = None
    seed: int | None = None  # the sampler's
    fold_seed: int | None = None
    folds: int | None = None  # number of folds
    selection: str | None = None

    @classmethod
    def from_options(
        cls,
        *,
        encoders: str | Sequence[str] | None = None,
        weights: Sequence[str] | Mapping[str, str] = (),
        head: str | Sequence[str] | None = None,
        time: str | float | None = None,
        **plain: Any,
    ) -> Overrides:
        """From what the command line says: 'a,b' for encoders and heads, 'ID=PATH' for weights, '30m' for time.

        `plain`: the other fields by name. Raises UserError for what cannot be read.
        """
        return cls(
            encoders=_listed("--encoders", encoders),
            head=_listed("--head", head),
            weights=dict(weights) if isinstance(weights, Mapping) else dict(map(_weight, weights)),
            seconds=_seconds(time),
            **plain,
        )


def _listed(option: str, given: str | Sequence[str] | None) -> tuple[str, ...]:
    """'a,b' or a list as a tuple of names, none of them empty."""
    if given is None:
        return ()
    parts = [part.strip() for part in given.split(",")] if isinstance(given, str) else list(given)
    if not parts or not all(parts):
        raise UserError(f"{option} {given!r}: a name is missing\nFor example: {option} a,b")
    return tuple(parts)


def _weight(given: str) -> tuple[str, str]:
    """'ID=PATH' in two; the options of an id hold '=' themselves."""
    found = _WEIGHTS.fullmatch(given)
    if found is None:
        raise UserError(f"--weights {given!r}: ID=PATH is expected\nFor example: --weights wavlm-base=weights/wavlm")
    return found["id"], found["path"]


def _seconds(time: str | float | None) -> float | None:
    """A duration in seconds; a UserError that names --time."""
    try:
        return None if time is None else seconds(time)
    except ValueError as problem:
        raise UserError(f"--time: {problem}\nFor example: 90s, 30m, 2h, 1h30m") from None


def apply(document: Document, overrides: Overrides) -> tuple[Document, tuple[str, ...]]:
    """The document as if the file said what the options say, and the heads to keep of those that it lists.

    Errors then name the option instead of a line. `--head` chooses among a file's cells, listed or searched heads;
    in a file of one head it replaces that. `--encoders` makes cells anew, from the heads of the file's.
    """
    content, given = dict(document.content), dict(document.given)
    keep = _heads(document, content, overrides)
    for path, option, value in _changes(overrides, () if keep else overrides.head):
        section = content
        for key in path[:-1]:
            inner = section.get(str(key))
            if inner is not None and not isinstance(inner, dict):
                break  # the file's own fault: refused with its line when the shape is examined
            section[str(key)] = section = dict(inner or {})
        else:
            section[str(path[-1])] = value
            given[path] = option
    return replace(document, content=content, given=given), keep


def _changes(overrides: Overrides, head: tuple[str, ...]) -> list[tuple[Place, str, Any]]:
    """What is replaced, by which option, with what; options that were not given are left out."""
    changes: list[tuple[Place, str, Any]] = [
        (("corpus",), "--corpus", overrides.corpus),
        (("root",), "--root", overrides.root),
        (("encoders",), "--encoders", list(overrides.encoders) or None),
        (("head",), "--head", (head[0] if len(head) == 1 else list(head)) or None),
        (("budget", "trials"), "--trials", overrides.trials),
        (("budget", "time"), "--time", overrides.seconds),
        (("budget", "seed"), "--seed", overrides.seed),
        (("protocol", "seed"), "--fold-seed", overrides.fold_seed),
        (("protocol", "n_folds"), "--folds", overrides.folds),
        (("protocol", "selection"), "--selection", overrides.selection),
    ]
    changes += [(("weights", encoder), "--weights", path) for encoder, path in overrides.weights.items()]
    return [change for change in changes if change[2] is not None]


def _heads(document: Document, content: dict[str, Any], overrides: Overrides) -> tuple[str, ...]:
    """Prepare cells and searches for `--head` and `--encoders`; the heads to keep of those that the file lists."""
    listed = _listed_heads(content)
    cells = content.get("cells")
    if overrides.encoders:
        _end_search(content, "encoders")
        if isinstance(cells, list) and listed:
            del content["cells"]
            content["head"] = listed
    if not overrides.head:
        return ()
    known = set(overrides.head) <= set(listed)
    if "cells" in content and not known:
        what = f"--head {','.join(overrides.head)}: no cell of {document.name} has it"
        raise UserError(f"{what}\nIts cells have: {', '.join(listed)}\nAdd --encoders to make a cell for it")
    if _end_search(content, "head") and known:
        content["head"] = listed
    return overrides.head if known else ()


def _end_search(content: dict[str, Any], name: str) -> bool:
    """Take a name out of `search`; whether it was there."""
    search = content.get("search")
    if not isinstance(search, dict) or name not in search:
        return False
    content["search"] = {other: plain for other, plain in search.items() if other != name}
    return True


def _listed_heads(content: Mapping[str, Any]) -> list[str]:
    """The heads among which a file chooses: of its cells, its list, its search; none where it has one head."""
    cells, head, search = content.get("cells"), content.get("head"), content.get("search")
    found: list[Any] = []
    if isinstance(cells, list):
        found = [cell.get("head") for cell in cells if isinstance(cell, dict)]
    elif isinstance(head, list):
        found = head
    elif isinstance(search, dict) and isinstance(search.get("head"), dict):
        choices = search["head"].get("choices")
        found = choices if isinstance(choices, list) else []
    return list(dict.fromkeys(name for name in found if isinstance(name, str)))
