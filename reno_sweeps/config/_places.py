"""Where files lie: paths that a human wrote become absolute, so that a sweep goes on from any folder."""

from __future__ import annotations

import re
from pathlib import Path

import reno_sweeps
from reno_sweeps import catalogue
from reno_sweeps.records import UserError

_OPTION = re.compile(r"[a-z_]+=[^/]*")  # hf:folder@layer=9@normalize=yes
_LARGEST = 1_000_000  # bytes of a space file; the paper's tables have 4,000


def shipped_folder() -> Path:
    """The folder of the shipped spaces: inside the package once installed, beside it in a checkout."""
    package = Path(reno_sweeps.__file__).parent
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


def shipped(folder: Path | None = None) -> tuple[str, ...]:
    """Names of the shipped spaces, sorted."""
    return tuple(sorted(path.stem for path in (folder or shipped_folder()).glob("*.yaml")))


def find(space: str, folder: Path | None = None) -> Path:
    """The file of `--space`: a path first, then a shipped space with or without .yaml; else a UserError."""
    from reno_sweeps.config._yaml import nearest

    path = _expanded(space)
    if space.strip() and _is_file(path):
        return path
    names = shipped(folder)
    name = space.removesuffix(".yaml")
    if name in names:
        return (folder or shipped_folder()) / f"{name}.yaml"
    what = "is a folder" if space.strip() and _exists(path) else "is no file, and none is shipped under this name"
    raise UserError(
        f"--space {space!r} {what}{nearest(name, list(names))}\n"
        f"Shipped: {', '.join(names) or 'none'}\n"
        "Give the path of a space file, or one of these names"
    )


def text_of(path: Path, name: str) -> str:
    """A space file's text; a UserError where it cannot be read or is no UTF-8."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"{name}: larger than {_LARGEST} bytes: this is no space file")
        content = path.read_bytes()
    except OSError as problem:
        raise UserError(f"{name}: cannot be read: {problem.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise UserError(f"{name}:{line}: no UTF-8 text\nSave the file as UTF-8") from None


def corpus_place(corpus: str, bases: tuple[Path, ...]) -> str:
    """A corpus as it is kept: the id of a known one, else an existing path made absolute, else as it is.

    A folder may carry `@speaker=REGEX`.
    """
    asked, mark, speaker = corpus.partition("@speaker=")
    return corpus if asked in catalogue.names("corpora") else absolute(asked, bases) + mark + speaker


def encoder_place(encoder: str, bases: tuple[Path, ...]) -> str:
    """An encoder id as it is kept: the path in `file:…` and `hf:…` made absolute where it exists."""
    family, colon, rest = encoder.partition(":")
    if not colon or family not in {"file", "hf"}:
        return encoder
    parts = rest.split("@")
    end = len(parts)
    while end > 1 and _OPTION.fullmatch(parts[end - 1]):
        end -= 1
    return "@".join([f"{family}:{absolute('@'.join(parts[:end]), bases)}", *parts[end:]])


def absolute(text: str, bases: tuple[Path, ...]) -> str:
    """A path that exists below one of the folders, absolute; any other text as it is."""
    if not text.strip():
        return text
    for base in bases:
        path = base / _expanded(text)
        if _exists(path):
            return str(path.resolve())
    return text


def _expanded(text: str) -> Path:
    """With '~/' as the user's folder; unlike Path.expanduser it never fails."""
    return Path.home() / text[2:] if text.startswith("~/") else Path(text)


def _exists(path: Path) -> bool:
    """Whether a path exists; text that can be no path does not."""
    try:
        return path.exists()
    except (OSError, ValueError):  # a name longer than any file's; a zero byte
        return False


def _is_file(path: Path) -> bool:
    return _exists(path) and path.is_file()
