"""What the readers of published corpora share: finding the corpus's own root, and judging every file below it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from reno_sweeps.audio import SUFFIXES
from reno_sweeps.corpora._checks import checked
from reno_sweeps.records import Clip, Corpus, Skipped, UserError

DEEPEST = 2  # levels below the given folder: archives hold one folder, copies of copies two
PACKAGING = "__MACOSX"  # what a Mac's archives carry beside the files
NO_RECORDING = "no recording (texts, tables, pictures)"

Judged = Clip | Skipped | str  # a clip; a file that cannot be understood; why it is no part of the corpus


def own_root(name: str, root: Path, is_root: Callable[[Path], bool], parts: tuple[str, ...], layout: str) -> Path:
    """The corpus's own folder: `root`, the only one at most two levels below it, or the one whose part it is.

    So clips have the same paths whichever level was given. `is_root` recognises that folder; `parts` names the folders
    in it that may be given instead; `layout` says what was looked for.
    """
    _refuse_missing(name, root)
    level = [root]
    for _ in range(DEEPEST + 1):
        found = list({folder.resolve(): folder for folder in level if is_root(folder)}.values())
        if len(found) > 1:
            raise UserError(f"corpus {name}: {root} holds it {len(found)} times: {_some(found)}\ngive one as --root")
        if found:
            return found[0]
        level = [below for folder in level for below in _folders(folder)]
    return _around(name, root, is_root, parts, layout)


def holds(folder: Path, name: str) -> bool:
    """Whether a folder of that very name, capitals too, lies in `folder`."""
    return any(entry.name == name and entry.is_dir() for entry in _entries(folder))


def fetch_command(name: str, root: Path | None = None) -> str:
    """The command that gets a corpus."""
    return f"get it with: reno-sweep corpus fetch {name} --root {root or 'DIR'} --accept-licence"


def sorted_out(name: str, root: Path, parts: tuple[str, ...], judge: Callable[[str], Judged]) -> Corpus:
    """The corpus of all files in the folders `parts` of `root`, each judged by its path ('Audio/actor_1/x.wav').

    Hidden files are passed over; links to folders are listed, not followed; nothing is opened.
    """
    clips: list[Clip] = []
    skipped: list[Skipped] = []
    left_out: Counter[str] = Counter()
    for found in _files(root, parts):
        judged = found if isinstance(found, Skipped) else _unusable(found) or judge(found)
        if isinstance(judged, Clip):
            clips.append(judged)
        elif isinstance(judged, Skipped):
            skipped.append(judged)
        else:
            left_out[judged] += 1
    return checked(Corpus(name, root, tuple(clips), tuple(skipped), left_out=dict(sorted(left_out.items()))))


def visible(name: str) -> bool:
    """Whether a file or folder is meant for people: not hidden, not a Mac's packaging."""
    return not name.startswith(".") and name != PACKAGING


def stem(path: str) -> str:
    """A recording's name without folders and suffix."""
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _refuse_missing(name: str, root: Path) -> None:
    if not root.is_dir():
        raise UserError(f"corpus {name}: there is no folder {root}\n{fetch_command(name, root)}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise UserError(f"corpus {name}: the folder {root} cannot be read: permission denied")


def _around(name: str, root: Path, is_root: Callable[[Path], bool], parts: tuple[str, ...], layout: str) -> Path:
    """The corpus of which `root` is a part that stands for it; a UserError for everything else."""
    real = root.resolve()
    above = next((folder for folder in real.parents[: DEEPEST + 1] if is_root(folder)), None)
    if above == real.parent and real.name in parts:
        return real.parent
    if above:
        raise UserError(f"corpus {name}: {root} is only a part of it\ngive --root {above}")
    there = _some(sorted(entry.name for entry in _entries(root))) or "nothing"
    raise UserError(f"corpus {name}: looked for {layout} in {root}, found {there}\n{fetch_command(name)}")


def _files(root: Path, parts: tuple[str, ...]) -> Iterator[str | Skipped]:
    """Every visible file of the parts, relative to `root`, with '/'; what cannot be entered is skipped."""
    faults: list[OSError] = []
    for part in parts:
        for folder, folders, names in os.walk(root / part, onerror=faults.append):
            here = _relative(folder, root)
            folders[:] = sorted(filter(visible, folders))
            for below in folders:
                if Path(folder, below).is_symlink():
                    yield Skipped(f"{here}{below}", "a link to a folder, not followed")
            yield from (f"{here}{name}" for name in sorted(filter(visible, names)))
    for fault in faults:
        if Path(fault.filename).name not in parts or not isinstance(fault, FileNotFoundError):  # a part may be absent
            yield Skipped(_relative(fault.filename, root).rstrip("/"), f"cannot be read ({fault.strerror})")


def _relative(folder: str, root: Path) -> str:
    """'Audio/actor_1/': what stands before a file's name; nothing for the root itself."""
    below = Path(folder).relative_to(root).as_posix()
    return "" if below == "." else f"{below}/"


def _unusable(path: str) -> Skipped | str | None:
    if not path.lower().endswith(SUFFIXES):
        return NO_RECORDING
    if any("\ud800" <= letter <= "\udfff" for letter in path):  # it could be neither hashed nor stored
        return Skipped(path.encode("utf-8", "backslashreplace").decode(), "its name is no UTF-8 text")
    return None


def _folders(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in _entries(folder) if entry.is_dir())


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if visible(entry.name)]
    except PermissionError:  # a neighbour's folder one level too high is none of ours
        return []


def _some(names: Sequence[object]) -> str:
    """At most four names."""
    return ", ".join(map(str, names[:4])) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
