"""`corpus list` and `corpus check`: what there is to listen to, and what is wrong with it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps import catalogue
from reno_sweeps.app import opening
from reno_sweeps.records import Corpus, Protocol, Split, UserError

if TYPE_CHECKING:
    from reno_sweeps.corpora._leaks import Leak
    from reno_sweeps.corpora._report import Findings


PROGRESS_EVERY = 2.0  # seconds


def known() -> list[dict[str, Any]]:
    """The corpora that a name stands for, and where those that are published lie below RENO_CORPORA.

    `at_hand`: whether it can be used now; None where that is yours to say (a folder, a table). `root`: where it lies.
    """
    from reno_sweeps.config import settings

    shelf = settings.gather().corpora
    rows = []
    for name in catalogue.names("corpora"):
        module = catalogue.load("corpora", name)
        root = shelf / name if shelf and hasattr(module, "ORIGIN") and _holds_something(shelf / name) else None
        at_hand = root is not None if hasattr(module, "ORIGIN") else module.FACTS.synthetic or None
        rows.append({"id": name, **asdict(module.FACTS), "at_hand": at_hand, "root": str(root) if root else None})
    return rows


def check(
    corpus: str, root: Path | None, protocol: Mapping[str, Any], options: Mapping[str, Any], *, quiet: bool = False
) -> dict[str, Any]:
    """A corpus, every recording decoded: what it holds and what is wrong with it, one sentence each in `faults`.

    `protocol`: folds, n_folds and seed, None where not given, of the folds in which leaks are looked for.
    """
    from reno_sweeps.config import settings
    from reno_sweeps.corpora import _report, prepare

    asked = _protocol(protocol)
    opened = opening.find_corpus(corpus, str(root) if root else None, settings.gather(options))
    prepare(opened)
    found = _report.examine(opened, None if quiet else _progress())
    folds, splits, impossible = _folds(found.corpus, asked)
    leaks = _leaks(found, splits, folds["kind"])
    return {
        **_report.corpus_report(found, _published(corpus)),
        "folds": folds,
        "leaks": [leak.to_dict() for group in leaks for leak in group],
        "warnings": [*_report.warnings(found), *_harmless(found, splits, leaks, folds["kind"])],
        "faults": [*_report.faults(found), *impossible, *_said(leaks)],
    }


def spelled(found: Mapping[str, Any]) -> str:
    """The report for people."""
    from reno_sweeps.reports import corpus_text

    return "\n".join(corpus_text.lines(found)) + "\n"


def listed(rows: Sequence[Mapping[str, Any]]) -> str:
    """The corpora for people."""
    from reno_sweeps.reports import corpus_text

    return "\n".join(corpus_text.known(rows)) + "\n"


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _progress() -> Callable[[int, int, str], None]:
    """Says on stderr how far it is, at most every two seconds, and where it ends."""
    last = time.monotonic()

    def say(done: int, total: int, what: str) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > PROGRESS_EVERY:
            last = time.monotonic()
            print(f"{what}: {done}/{total}", file=sys.stderr, flush=True)  # noqa: T201  # progress

    return say


def _protocol(given: Mapping[str, Any]) -> Protocol:
    """The protocol that was asked for, by default that of `run`; a UserError for one that no corpus could follow."""
    from reno_sweeps.folds import KINDS

    asked = Protocol(**{name: value for name, value in given.items() if value is not None})
    if asked.folds not in KINDS:
        raise UserError(f"--kind {asked.folds}: there are no such folds\non offer: {', '.join(KINDS)}")
    if asked.n_folds < 2:
        raise UserError(f"--folds {asked.n_folds}: at least 2 folds are needed")
    return asked


def _published(corpus: str) -> Mapping[str, Any]:
    """What a named corpus holds as it was published: known for its default options alone."""
    if corpus not in catalogue.names("corpora"):
        return {}
    expected: Mapping[str, Any] = getattr(catalogue.load("corpora", corpus), "EXPECTED", {})
    return expected


def _folds(corpus: Corpus, protocol: Protocol) -> tuple[dict[str, Any], Sequence[Split], list[str]]:
    """The folds that `run` would make: in words, as splits, and why there are none."""
    from reno_sweeps.corpora._checks import checked
    from reno_sweeps.folds import make_splits

    said: dict[str, Any] = {"kind": protocol.folds, "n_folds": protocol.n_folds, "seed": protocol.seed}
    try:
        made = make_splits(checked(corpus), protocol)
    except UserError as refusal:
        return {**said, "test": [], "messages": []}, (), [f"no such folds: {'; '.join(str(refusal).splitlines())}"]
    sizes = [len(split.test) for split in made.splits]
    return {**said, "kind": made.kind, "test": sizes, "messages": list(made.messages)}, made.splits, []


def _leaks(found: Findings, splits: Sequence[Split], kind: str) -> tuple[list[Leak], ...]:
    """Every leak, kind by kind; speakers only where the folds promise to keep them apart."""
    from reno_sweeps.corpora import _leaks

    copies = [[clip.path for clip in group] for group in found.copies]
    return (
        _leaks.exact_leaks(found.corpus, splits, {clip.path: sound.digest for clip, sound in found.sounds.items()}),
        _leaks.near_leaks(found.corpus, splits, [(one.path, two.path) for one, two, _ in found.near], copies),
        _leaks.speaker_leaks(found.corpus, splits) if kind in {"speaker", "given"} else [],
    )


def _said(leaks: Sequence[Sequence[Leak]]) -> list[str]:
    from reno_sweeps.corpora._leaks import sentence

    return [sentence(group) for group in leaks if group]


def _harmless(found: Findings, splits: Sequence[Split], leaks: Sequence[Sequence[Leak]], kind: str) -> list[str]:
    """Copies that stay in one fold, and the speakers that stratified folds mix: worth a sentence, no fault."""
    from reno_sweeps.corpora._leaks import speaker_leaks

    said = []
    inside = {"sound with copies": len(found.copies) - len(leaks[0]), "near duplicate": len(found.near) - len(leaks[1])}
    if splits and any(inside.values()):
        what = " and ".join(f"{number} {name}" for name, number in inside.items() if number)
        said.append(f"{what} in one fold alone: no leak, but they count more than once")
    mixed = speaker_leaks(found.corpus, splits) if kind == "stratified" else []
    if mixed:
        everyone = len({clip.speaker for clip in found.corpus.clips if clip.speaker is not None})
        said.append(
            f"{len(mixed)} of {everyone} speakers are in training and in test, as stratified folds (the paper's "
            "protocol) have it; --kind speaker keeps them apart"
        )
    return said
