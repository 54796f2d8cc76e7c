"""From what stands behind --corpus to the corpus: an id of the catalogue, a folder or a table."""

from __future__ import annotations

from pathlib import Path

from reno_sweeps import catalogue
from reno_sweeps.corpora import folder, manifest
from reno_sweeps.records import Corpus, UserError

TABLES = (".csv", ".parquet")


def open_corpus(name_or_path: str, root: str | None, cache: Path) -> Corpus:
    """The corpus that a human named: a UserError says what is on offer where there is none.

    `root` is where a named corpus lies; one that is made by a program always lies in `cache`. A folder may carry
    `@speaker=REGEX`.
    """
    asked, _, speaker = name_or_path.partition("@speaker=")
    if asked in catalogue.names("corpora"):
        return _named(asked, root, speaker or None, cache)
    path = Path(asked).expanduser()
    if path.is_dir():
        return folder.read(path, speaker or None)
    if path.suffix in TABLES and not speaker:
        return manifest.read(path)
    raise UserError(_unknown(asked, path))


def prepare(corpus: Corpus) -> None:
    """Make the recordings of a synthetic corpus where they are missing; nothing to do for every other."""
    if corpus.synthetic:
        catalogue.load("corpora", corpus.id).synthesise(corpus.root)


def _named(name: str, root: str | None, speaker: str | None, cache: Path) -> Corpus:
    module = catalogue.load("corpora", name)
    if module.FACTS.synthetic:
        place = cache / module.FOLDER
    elif root:
        place = Path(root).expanduser()
    else:
        raise UserError(f"corpus {name}: where does it lie?\nsay --root DIR; {module.FACTS.how}")
    found: Corpus = module.read(place, speaker) if speaker and name == folder.ID else module.read(place)
    return found


def _unknown(asked: str, path: Path) -> str:
    offer = catalogue.unknown("corpora", asked, catalogue.names("corpora"))
    found = "is neither a folder nor a table" if path.exists() else "there is no such folder or table"
    return f"{offer}\n{asked}: {found}\ngive an id, a folder <label>/…/*.wav, or a table (.csv, .parquet)"
