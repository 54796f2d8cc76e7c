"""From a question to its folder: corpus, encoders, identity, name. Light: written before anything heavy is imported."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reno_sweeps.config.settings import Settings, masked
from reno_sweeps.config.sweep_file import Overrides, moved
from reno_sweeps.corpora import base_name, content_digest, open_corpus
from reno_sweeps.encoders import encoder_facts
from reno_sweeps.encoders._open import given_for, shelved
from reno_sweeps.files import write_bytes
from reno_sweeps.records import Corpus, Sweep, UserError, digest
from reno_sweeps.space import Categorical
from reno_sweeps.training.configuration import split_pair

logger = logging.getLogger(__name__)

FORMAT = 1
STATE = "sweep.json"


@dataclass(frozen=True, slots=True)
class Opened:
    """A sweep that has a name and a folder."""

    name: str
    identity: str  # 64 hex digits
    sweep: Sweep
    settings: Settings
    corpus: Corpus
    content: str  # digest of the corpus
    encoders: Mapping[str, Mapping[str, Any]]  # id → facts
    space_text: str
    created: float  # Unix time
    fresh: bool  # the folder was made by this call

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return folder_of(self.settings.home, self.name)

    def discard(self) -> None:
        """Refused before anything began: leave nothing behind."""
        if self.fresh:
            shutil.rmtree(self.folder, ignore_errors=True)


def folder_of(home: Path, name: str) -> Path:
    """The folder of a sweep; a name that is no plain name is refused."""
    if not name or "/" in name or "\\" in name or name in {".", ".."}:
        raise UserError(f"{name!r} is no name of a sweep")
    return home / "sweeps" / name


def encoders_in(sweep: Sweep) -> tuple[str, ...]:
    """Every encoder that a sweep may use, in the order of first mention."""
    found = [encoder for cell in sweep.cells for encoder in cell.encoders]
    searched = sweep.search.get("encoders")
    if isinstance(searched, Categorical):
        found += [encoder for pair in searched.values for encoder in split_pair(str(pair))]
    return tuple(dict.fromkeys(found))


def weights_of(given: Mapping[str, str], encoders: Sequence[str]) -> dict[str, str]:
    """Where weights lie: given for an id with or without its options, else below RENO_WEIGHTS."""
    found = {e: given_for(e, given) or shelved(e) for e in encoders}
    return {encoder: place for encoder, place in found.items() if place}


def identity_of(sweep: Sweep, content: str, encoders: Mapping[str, Mapping[str, Any]]) -> str:
    """What the question is: space, corpus content, encoders with their weights, protocol, seeds; no path, no budget."""
    plain = sweep.to_dict()
    for irrelevant in ("name", "root", "weights"):
        del plain[irrelevant]
    for irrelevant in ("trials", "seconds"):
        del plain["budget"][irrelevant]
    if plain["protocol"]["seeds"] == 1:
        del plain["protocol"]["seeds"]  # the question as it was asked before there were several
    known = {encoder: digest(dict(facts)) for encoder, facts in encoders.items()}
    plain["cells"] = [{"head": c.head, "encoders": [known[e] for e in c.encoders]} for c in sweep.cells]
    if "encoders" in plain["search"]:
        pairs = plain["search"]["encoders"]["choices"]
        plain["search"]["encoders"]["choices"] = [[known[e] for e in split_pair(str(pair))] for pair in pairs]
    return digest({**plain, "corpus": content, "format": FORMAT})


def find_corpus(corpus: str, root: str | None, settings: Settings) -> Corpus:
    """The corpus of a command; a named one lies at `root`, else in its folder below RENO_CORPORA."""
    named = str(settings.corpora / base_name(corpus)) if settings.corpora else None
    return open_corpus(corpus, root or named, settings.cache)


def examine(sweep: Sweep, settings: Settings) -> tuple[Corpus, str, dict[str, dict[str, Any]]]:
    """The corpus, its content's digest and the encoders' facts: everything that must be at hand is."""
    corpus = find_corpus(sweep.corpus, sweep.root, settings)
    ids = encoders_in(sweep)
    weights = weights_of(sweep.weights, ids)
    encoders = {e: encoder_facts(e, weights.get(e), settings.download) for e in ids}
    decoded = any(not e.startswith("file:") for e in ids)
    return corpus, content_digest(corpus, with_audio=decoded, skip_broken=settings.skip_broken), encoders


def at_hand(sweep: Sweep, settings: Settings) -> Sweep:
    """The sweep without the cells whose encoders have no weights here, where `skip_missing` asks for it; said aloud."""
    if not settings.skip_missing or "encoders" in sweep.search:
        return sweep
    ids, why = encoders_in(sweep), {}
    weights = weights_of(sweep.weights, ids)
    for encoder in ids:
        try:
            encoder_facts(encoder, weights.get(encoder), settings.download)
        except UserError as error:
            why[encoder] = error
    kept = tuple(cell for cell in sweep.cells if not set(cell.encoders) & set(why))
    if why and not kept:
        raise next(iter(why.values()))
    if why:
        left_out = f"{len(sweep.cells) - len(kept)} of {len(sweep.cells)} cells"
        logger.warning("left out (--skip-missing): %s, for want of %s", left_out, ", ".join(why))
    return replace(sweep, cells=kept)


def open_sweep(sweep: Sweep, settings: Settings, space_text: str) -> Opened:
    """Find or make the folder of a question. The same question continues; another one under its name is refused."""
    corpus, content, encoders = examine(sweep, settings)
    identity = identity_of(sweep, content, encoders)
    name = settings.name or f"{sweep.name}-{identity[:8]}"
    folder = folder_of(settings.home, name)
    known = _read(folder)
    if known is not None and known["identity"] != identity:
        raise UserError(
            f"{settings.home} has a sweep {name!r} that asks another question: space, data, protocol or seeds differ\n"
            f"give this one another --name, or leave --name out: names then follow the question"
        )
    created = time.time() if known is None else known["created"]
    opened = Opened(
        name, identity, sweep, settings, corpus, content, encoders, space_text, created, fresh=known is None
    )
    if opened.fresh:
        write_state(opened)  # from now on `resume` works; a known one changes once nothing speaks against it
    return opened


def reopen(name: str, here: Settings, changes: Mapping[str, Any], trials: int | None, now: Overrides) -> Opened:
    """A sweep as it was begun, with a larger budget where asked. Data or weights that changed since are refused.

    `now` says how long it may take, and where corpus and weights lie if they were moved.
    """
    known = read_state(name, here.home)
    settings = settings_at(known["settings"], here.home)
    settings = replace(settings, corpora=settings.corpora or here.corpora, **changes)
    sweep = moved(Sweep.from_dict(known["sweep"]), now)
    budget = replace(sweep.budget, trials=trials or sweep.budget.trials, seconds=now.seconds or sweep.budget.seconds)
    sweep = replace(sweep, budget=budget)
    try:
        corpus, content, encoders = examine(sweep, settings)
    except UserError as missing:
        if "imported" not in known:
            raise
        raise UserError(
            f"sweep {name!r} came from elsewhere, and what it learns from is not here: {str(missing).splitlines()[0]}\n"
            f"say where it is: reno-sweep resume {name} --corpus PATH (or --root DIR), --weights ID=PATH"
        ) from missing
    identity = identity_of(sweep, content, encoders)
    if identity != known["identity"]:
        raise UserError(
            f"sweep {name!r} cannot go on: its corpus, its encoders' weights or their code are not what they were\n"
            f"bring back the files and the version of reno-sweeps that it began with, or start a new sweep with run"
        )
    text, created = known["space"], known["created"]
    return Opened(name, identity, sweep, settings, corpus, content, encoders, text, created, fresh=False)


def settings_at(plain: Mapping[str, Any], home: Path) -> Settings:
    """Stored settings, for a home that may have been moved since."""
    was = plain["home"]
    there = {key: plain[key].replace(f"sqlite:///{was}/", f"sqlite:///{home}/") for key in ("tracking_uri", "storage")}
    return Settings.from_dict({**plain, **there, "home": str(home)})


def write_state(opened: Opened) -> None:
    """Everything that `resume` needs, whole or not at all."""
    file = opened.folder / STATE
    text = json.dumps(state_of(opened), indent=1, ensure_ascii=False)
    write_bytes(file, text.encode(), private=secret(opened.settings))


def secret(settings: Settings) -> bool:
    """Whether a file with these settings holds a password."""
    return any(masked(uri) != uri for uri in (settings.tracking_uri, settings.storage))


def state_of(opened: Opened) -> dict[str, Any]:
    """A sweep's question, and where it is asked, as plain JSON."""
    return {
        "format": FORMAT,
        "name": opened.name,
        "identity": opened.identity,
        "created": opened.created,
        "corpus": {
            "id": opened.corpus.id,
            "root": str(opened.corpus.root),
            "content": opened.content,
            "synthetic": opened.corpus.synthetic,
        },
        "encoders": {encoder: dict(facts) for encoder, facts in opened.encoders.items()},
        "sweep": opened.sweep.to_dict(),
        "settings": opened.settings.to_dict(),
        "space": opened.space_text,
    }


def sweeps_in(home: Path) -> tuple[str, ...]:
    """The names of a home's sweeps, the latest first."""
    files = sorted((home / "sweeps").glob(f"*/{STATE}"), key=lambda file: -file.stat().st_mtime)
    return tuple(file.parent.name for file in files)


def read_state(name: str, home: Path) -> dict[str, Any]:
    """The stored state of a sweep; a UserError says which sweeps there are."""
    known = _read(folder_of(home, name))
    if known is None:
        raise UserError(unknown_sweep(name, home))
    return known


def unknown_sweep(name: str, home: Path) -> str:
    """What to say of a sweep that nobody began."""
    there = sweeps_in(home)
    offer = f"it has {', '.join(there[:5])}{' …' if len(there) > 5 else ''}" if there else "it has none yet"
    return f"{home} has no sweep {name!r}\n{offer}\nstart one with: reno-sweep run --space rd_params.yaml"


def _read(folder: Path) -> dict[str, Any] | None:
    file = folder / STATE
    if not file.is_file():
        return None
    try:
        state: dict[str, Any] = json.loads(file.read_text())
    except ValueError as fault:
        raise UserError(f"{file} is damaged: {fault}\nremove that folder, or restore the file") from None
    if state.get("format") != FORMAT:
        raise UserError(f"{file} was written by another version of reno-sweeps (format {state.get('format')})")
    return state
