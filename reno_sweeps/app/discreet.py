"""What of a sweep is the machine's or the user's own, taken out of it: places, addresses, passwords."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reno_sweeps.app.opening import encoders_in
from reno_sweeps.app.stored import Stored
from reno_sweeps.config.settings import masked
from reno_sweeps.records import Sweep
from reno_sweeps.reports import space_file
from reno_sweeps.reports.summary import linear_owner
from reno_sweeps.space import Categorical
from reno_sweeps.training.configuration import split_pair

KEPT = ("experiment", "skip_broken", "max_failed", "baselines", "controls", "umap")  # settings that are no place's
_LOGIN = re.compile(r"(?<=://)[^\s/@'\"]+@")
_DATABASE = re.compile(r"\b(sqlite):/{3,}[^\s'\"<>]+")
_PATH = re.compile(r"(?<![\w./~…-])~?(?:/[\w.+@~-]+)+(/[\w.+@~-]+)")


@dataclass(frozen=True, slots=True)
class Discreet:
    """Spells texts without places: encoders by the name of their file, other paths by their last part."""

    names: Mapping[str, str] = field(default_factory=dict)  # text as it is here → as it travels
    places: Sequence[str] = ()  # folders of this machine, the longest first

    def text(self, text: str) -> str:
        """A text without places, addresses of databases, and logins."""
        text = _DATABASE.sub(r"\1:///…", _LOGIN.sub("", self.exact(text)))
        return _PATH.sub(r"…\1", text)

    def exact(self, text: str) -> str:
        """The same for a page or a table, of which nothing but these very names and places may change."""
        for name in sorted(self.names, key=len, reverse=True):
            text = text.replace(name, self.names[name])
        for place in self.places:
            text = re.sub(rf"(?<![\w./-]){re.escape(place)}(?![\w.-])", "…", text)
        return text

    def value(self, value: Any) -> Any:
        """Plain JSON, all texts in it and all keys spelled so."""
        return self._spelled(value, {})

    def _spelled(self, value: Any, known: dict[str, str]) -> Any:
        """`value`, every text once: a study says the same few thousands of times."""
        if isinstance(value, str):
            if value not in known:
                known[value] = self.text(value)
            return known[value]
        if isinstance(value, Mapping):
            return {self._spelled(key, known): self._spelled(inner, known) for key, inner in value.items()}
        return [self._spelled(inner, known) for inner in value] if isinstance(value, list | tuple) else value


def of(found: Stored) -> Discreet:
    """How this sweep's texts are spelled elsewhere."""
    ids = encoders_in(found.sweep)
    renamed = _renamed([encoder for encoder in ids if _is_place(encoder)])
    owners: dict[str, str] = {}
    for encoders in _encoders_used(found.sweep):
        was, new = linear_owner(encoders), linear_owner([renamed.get(e, e) for e in encoders])
        owners |= {was: new} if was != new else {}
    settings, sweep = found.settings, found.sweep
    kept = [settings.home, settings.cache, settings.corpora, sweep.root, found.state["corpus"]["root"], Path.home()]
    texts = {str(place) for place in [*kept, *sweep.weights.values()] if place}
    uris = (settings.storage, settings.tracking_uri)
    addresses = dict.fromkeys([*uris, *map(masked, uris)], "…")
    long = sorted((text for text in texts if text.count("/") > 1), key=len, reverse=True)
    return Discreet({**addresses, **renamed, **owners}, long)


def question(found: Stored, how: Discreet) -> dict[str, Any]:
    """sweep.json as it travels: the question, with no place of this machine and no login in it."""
    state, sweep = found.state, abroad(found.sweep, how)
    text = how.text(state["space"])
    return {
        "format": state["format"],
        "name": state["name"],
        "identity": state["identity"],
        "created": state["created"],
        "corpus": {**state["corpus"], "root": ""},
        "encoders": {how.names.get(encoder, encoder): facts for encoder, facts in state["encoders"].items()},
        "sweep": sweep.to_dict(),
        "settings": {name: getattr(found.settings, name) for name in KEPT},
        "space": text if text == state["space"] else space_file.resolved(sweep),
    }


def abroad(sweep: Sweep, how: Discreet) -> Sweep:
    """The same question where files lie elsewhere: encoders and corpus by the names of their files."""
    cells = tuple(replace(c, encoders=tuple(how.names.get(e, e) for e in c.encoders)) for c in sweep.cells)
    search = dict(sweep.search)
    searched = search.get("encoders")
    if isinstance(searched, Categorical):
        pairs = ["+".join(how.names.get(e, e) for e in split_pair(str(pair))) for pair in searched.values]
        search["encoders"] = replace(searched, values=tuple(pairs))
    path, mark, speaker = sweep.corpus.partition("@speaker=")
    corpus = path.rstrip("/").rsplit("/", 1)[-1] if path.startswith(("/", "~")) else path
    return replace(sweep, cells=cells, search=search, corpus=corpus + mark + speaker, root=None, weights={})


def _encoders_used(sweep: Sweep) -> list[Sequence[str]]:
    searched = sweep.search.get("encoders")
    pairs = [split_pair(str(pair)) for pair in searched.values] if isinstance(searched, Categorical) else []
    return [*(cell.encoders for cell in sweep.cells), *pairs]


def _is_place(encoder: str) -> bool:
    """Whether an id names a file or folder by its whole path."""
    return encoder.partition(":")[2].startswith(("/", "~"))


def _renamed(ids: Sequence[str]) -> dict[str, str]:
    """'file:/a/b/x.npz' → 'file:x.npz', 'hf:/a/model@layer=9' → 'hf:./model@layer=9'; no two become the same."""
    for depth in range(1, 1 + max((one.count("/") for one in ids), default=0)):
        found = {}
        for one in ids:
            family, _, path = one.partition(":")
            found[one] = f"{family}:{'./' if family == 'hf' else ''}{'/'.join(path.split('/')[-depth:])}"
        if len(set(found.values())) == len(ids):
            return found
    return dict(zip(ids, ids, strict=True))
