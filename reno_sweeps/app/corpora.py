"""`corpus list` and `corpus check`: what there is to listen to, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reno_sweeps import catalogue
from reno_sweeps.app import opening


def known() -> list[dict[str, Any]]:
    """The corpora that a name stands for."""
    return [{"id": name, **asdict(catalogue.load("corpora", name).FACTS)} for name in catalogue.names("corpora")]


def check(
    corpus: str, root: Path | None, protocol: Mapping[str, Any], options: Mapping[str, Any], *, quiet: bool = False
) -> dict[str, Any]:
    """A corpus, every recording decoded: what it holds and what is wrong with it, one sentence each in `faults`."""
    from reno_sweeps.config import settings
    from reno_sweeps.corpora import prepare
    from reno_sweeps.corpora._report import corpus_report

    opened = opening.find_corpus(corpus, str(root) if root else None, settings.gather(options))
    prepare(opened)
    found = corpus_report(opened)
    return {**found, "faults": [key for key in ("skipped", "duplicates", "conflicts") if found[key]]}


def spelled(found: Mapping[str, Any]) -> str:
    """The report for people."""
    from reno_sweeps.reports.text import spell

    return spell(dict(found)) + "\n"
