"""A folder of folders: <label>/…/*.wav, one folder an emotion."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from reno_sweeps.audio import SUFFIXES
from reno_sweeps.corpora._checks import checked
from reno_sweeps.corpora._facts import CorpusFacts
from reno_sweeps.corpora._tones import write_tones
from reno_sweeps.records import Clip, Corpus, Skipped, UserError

ID = "folder"
SHOWN = 200  # letters of an expression in a message
PATIENCE = 5.0  # seconds of processor time for a speaker's regular expression; 200,000 paths take one
FACTS = CorpusFacts(
    title="your own recordings, one folder an emotion",
    licence="yours",
    source="<label>/…/*.wav, flac, ogg or mp3",
    synthetic=False,
    how="--corpus DIR, or DIR@speaker=REGEX where the path names the speaker",
)


def read(root: Path, speaker: str | None = None) -> Corpus:
    """The clips below `root`, labelled by the first folder of their path.

    `speaker` is a regular expression searched in each path: its group named `speaker`, else its first group, else all
    that it matches is the speaker. Every other file is listed as skipped; hidden files are passed over.
    """
    if not root.is_dir():
        raise UserError(f"corpus folder {root}: there is no such folder")
    clips, skipped = [], []
    with _patiently(speaker):
        pattern = _compiled(speaker)
        for path in _files(root):
            why = _refusal(path)
            if why:
                skipped.append(Skipped(path.encode("utf-8", "backslashreplace").decode(), why))
            else:
                clips.append(Clip(path, path.split("/", 1)[0], _speaker(pattern, path)))
    if pattern:
        _refuse_unknown_speakers(clips, pattern)
    name = root.resolve().name or ID
    return checked(Corpus(name, root, tuple(clips), tuple(skipped)))


def miniature(root: Path) -> Path:
    """Eight tones in the layout of this corpus: two emotions, two speakers; `root` is what `read` takes."""
    write_tones(root, [f"{label}/s{s}_{take}.wav" for label in ("joy", "sadness") for s in (1, 2) for take in (1, 2)])
    return root


def _files(root: Path) -> Iterator[str]:
    """Every file below `root` as a path relative to it, and every link to a folder (links are not followed)."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted(names) + links:
            if not name.startswith("."):
                yield (here / name).relative_to(root).as_posix()


def _refusal(path: str) -> str | None:
    if not path.lower().endswith(SUFFIXES):
        return f"not a {', '.join(s[1:] for s in SUFFIXES)} file"
    if "/" not in path:
        return "lies in no emotion's folder"
    if any("\ud800" <= letter <= "\udfff" for letter in path):  # it could be neither hashed nor stored
        return "its name is no UTF-8 text"
    return None


def _compiled(speaker: str | None) -> re.Pattern[str] | None:
    if not speaker:
        return None
    try:
        return re.compile(speaker)
    except (re.error, OverflowError, RecursionError, MemoryError) as fault:
        raise UserError(f"speaker={speaker[:SHOWN]}: not a regular expression ({fault})") from fault


@contextlib.contextmanager
def _patiently(speaker: str | None) -> Iterator[None]:
    """A UserError for a regular expression that takes for ever, as (a+)+$ does: some seconds of processor time are all.

    Only the main thread can be told so; in another one it takes as long as it takes.
    """
    if not speaker or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> NoReturn:
        said = f"speaker={speaker[:SHOWN]}: finds no end on these paths"
        raise UserError(f"{said}\nwrite one without a repeat in a repeat")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _speaker(pattern: re.Pattern[str] | None, path: str) -> str | None:
    found = pattern.search(path) if pattern else None
    if not pattern or not found:
        return None
    if "speaker" in pattern.groupindex:
        return found["speaker"] or None
    return found[1 if pattern.groups else 0] or None


def _refuse_unknown_speakers(clips: list[Clip], pattern: re.Pattern[str]) -> None:
    unknown = [clip.path for clip in clips if clip.speaker is None]
    if unknown:
        raise UserError(
            f"speaker={pattern.pattern[:SHOWN]}: finds no speaker in {len(unknown)} of {len(clips)} paths, "
            f"the first: {unknown[0]}\n"
            "write one that matches every path, e.g. speaker=([^/_]+)_[^/]*$"
        )
