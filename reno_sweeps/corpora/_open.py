"""From what stands behind --corpus to the corpus: an id of the catalogue, a folder or a table."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from reno_sweeps import catalogue
from reno_sweeps.corpora import folder, manifest
from reno_sweeps.corpora._named import fetch_command
from reno_sweeps.records import Corpus, UserError

TABLES = (".csv", ".parquet")
ANSWERS = {"yes": True, "no": False}


def open_corpus(name_or_path: str, root: str | None, cache: Path) -> Corpus:
    """The corpus that a human named: a UserError says what is on offer where there is none.

    `root` is where a named corpus lies; one that is made by a program always lies in `cache`. A folder may carry
    `@speaker=REGEX`, a named corpus the options that it knows: `asvp-esd@include_bonus=yes`.
    """
    name, _, options = name_or_path.partition("@")
    if name in catalogue.names("corpora"):
        return _named(name, root, options, cache)
    asked, _, speaker = name_or_path.partition("@speaker=")
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


def base_name(name_or_path: str) -> str:
    """What stands behind --corpus without a named corpus's options: 'asvp-esd' of 'asvp-esd@include_bonus=yes'."""
    name = name_or_path.partition("@")[0]
    return name if name in catalogue.names("corpora") else name_or_path


def _named(name: str, root: str | None, options: str, cache: Path) -> Corpus:
    module = catalogue.load("corpora", name)
    said = _options(module, options)
    if module.FACTS.synthetic:
        place = cache / module.FOLDER
    elif root:
        place = Path(root).expanduser()
    else:
        raise UserError(f"corpus {name}: where does it lie?\n{_where(name, module)}")
    found: Corpus = module.read(place, **said)
    return found


def _where(name: str, module: ModuleType) -> str:
    if not hasattr(module, "ORIGIN"):
        return f"say --root DIR; {module.FACTS.how}"
    return f"say --root DIR, or set RENO_CORPORA to a folder that holds a folder {name}\n{fetch_command(name)}"


def _options(module: ModuleType, text: str) -> dict[str, str | bool]:
    """The arguments of `read` that stand behind '@': key=yes or key=no for every FLAG of the corpus."""
    if module is folder and text.startswith("speaker="):  # a regular expression may hold '@' itself
        return {"speaker": text.removeprefix("speaker=")} if text != "speaker=" else {}
    said: dict[str, str | bool] = {}
    for part in text.split("@") if text else ():
        key, _, value = part.partition("=")
        flags = getattr(module, "FLAGS", ())
        if key not in flags or value not in ANSWERS or key in said:
            offer = ", ".join(f"@{flag}=yes|no" for flag in flags) or "none"
            offer = "@speaker=REGEX" if module is folder else offer
            raise UserError(f"corpus {module.ID}: {'@' + part!r} is none of its options\non offer: {offer}")
        said[key] = ANSWERS[value]
    return said


def _unknown(asked: str, path: Path) -> str:
    name = asked.partition("@")[0]
    offer = catalogue.unknown("corpora", name, catalogue.names("corpora"))
    found = "is neither a folder nor a table" if path.exists() else "there is no such folder or table"
    return f"{offer}\n{asked}: {found}\ngive an id, a folder <label>/…/*.wav, or a table (.csv, .parquet)"
