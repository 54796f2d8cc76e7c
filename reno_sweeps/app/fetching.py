"""`corpus fetch`: which corpus, where to, its licence; what came."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from reno_sweeps import catalogue
from reno_sweeps.records import Corpus, UserError


def corpus(
    corpus: str,
    root: Path | None,
    *,
    accept_licence: bool,
    archive: Path | None,
    quiet: bool,
    base: str | None = None,
) -> dict[str, Any]:
    """Download a published corpus, or unpack `archive`; plain JSON of what lies at `root` now.

    `base` is another address than Zenodo's own. A corpus that is there already is counted and left alone.
    """
    from reno_sweeps.corpora._fetch import already_there, fetch
    from reno_sweeps.corpora._zenodo import ZENODO

    module = _published(corpus)
    place = _place(corpus, root)
    there = already_there(module, place)
    if there is not None:
        _say(f"corpus {corpus} is there already; nothing was downloaded", quiet)
        facts = _facts(module, there, place)
        _say_missing(facts, quiet)
        return facts | {"fetched": False, "bytes": 0, "sha256": None}
    _refuse_unasked(module, accept_licence=accept_licence, by_hand=archive is None and module.ORIGIN.record is None)
    came = fetch(module, place, archive, base=base or ZENODO, say=lambda text: _say(text, quiet))
    facts = _facts(module, came.corpus, place)
    if came.licence:
        facts["licence"] += f" (the record says {came.licence})"
    _say_missing(facts, quiet)
    return facts | {"fetched": True, "bytes": came.bytes, "sha256": came.sha256}


def _published(name: str) -> ModuleType:
    """The module of a corpus that can be fetched; a UserError says which can."""
    names = catalogue.names("corpora")
    published = tuple(n for n in names if hasattr(catalogue.load("corpora", n), "ORIGIN"))
    if name in published:
        return catalogue.load("corpora", name)
    if name in names:
        how = catalogue.load("corpora", name).FACTS.how
        raise UserError(f"corpus {name} is not downloaded: {how}\ncorpus fetch offers {', '.join(published)}")
    raise UserError(f"corpus fetch: {catalogue.unknown('corpora', name, published)}")


def _place(name: str, root: Path | None) -> Path:
    from reno_sweeps.config import settings

    if root is not None:
        return root.expanduser().absolute()
    shelf = settings.gather().corpora
    if shelf is None:
        raise UserError(
            f"corpus {name}: where shall it be put?\nsay --root DIR, or set RENO_CORPORA to a folder of corpora"
        )
    return shelf / name


def _refuse_unasked(module: ModuleType, *, accept_licence: bool, by_hand: bool) -> None:
    if not accept_licence and not by_hand:  # where a page must be visited, that is what is said
        raise UserError(
            f"corpus {module.ID}: licence: {module.FACTS.licence}\n"
            f"read it at {module.ORIGIN.page}\n"
            "nothing was downloaded; add --accept-licence once you agree"
        )


def _facts(module: ModuleType, found: Corpus, place: Path) -> dict[str, Any]:
    return {
        "corpus": module.ID,
        "root": str(place),
        "clips": len(found.clips),
        "speakers": len({clip.speaker for clip in found.clips}),
        "published": {key: module.EXPECTED[key] for key in ("clips", "speakers")},
        "licence": module.FACTS.licence,
        "source": module.ORIGIN.page,
    }


def _say_missing(facts: dict[str, Any], quiet: bool) -> None:
    corpus, clips, expected = facts["corpus"], facts["clips"], facts["published"]["clips"]
    if clips != expected:
        _say(f"corpus {corpus}: {clips} clips, {expected} are published: reno-sweep corpus check says more", quiet)


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, file=sys.stderr, flush=True)  # noqa: T201  # progress
