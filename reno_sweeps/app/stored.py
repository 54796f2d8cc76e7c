"""A sweep as its folder and its storage have it: what every command but `run` starts from."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.app import opening
from reno_sweeps.config.settings import Settings, gather, masked
from reno_sweeps.files import write_bytes
from reno_sweeps.records import Clip, Corpus, Protocol, Sweep, Trial, UserError
from reno_sweeps.reports import cautions, note, summary

if TYPE_CHECKING:
    from reno_sweeps.folds import Folds
    from reno_sweeps.search.ledger import Ledger

DATA = "data.json"


@dataclass(frozen=True, slots=True)
class Stored:
    """The question, the data it is asked of, and what the ledger knows of the answer."""

    state: Mapping[str, Any]  # sweep.json
    settings: Settings
    sweep: Sweep
    data: Mapping[str, Any]  # data.json: clips, and the fold in which each is tested
    ledger: Ledger | None  # None: begun, but no study was created yet

    @property
    def name(self) -> str:
        """The sweep's name."""
        return str(self.state["name"])

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return opening.folder_of(self.settings.home, self.name)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the study keeps beside its trials."""
        return self.ledger.facts if self.ledger else {}

    @property
    def trials(self) -> Sequence[Trial]:
        """Every trial, by number."""
        return self.ledger.trials if self.ledger else ()

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The clips that models were trained on, in the order of row numbers."""
        return tuple(Clip(*plain) for plain in self.data.get("clips", ()))

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels in the order of class numbers."""
        return tuple(sorted({clip.label for clip in self.clips}))

    @property
    def messages(self) -> tuple[str, ...]:
        """What should be said beside the results."""
        return tuple(self.data.get("messages", ()))

    @property
    def asked(self) -> int:
        """Trials in all."""
        return int(self.facts.get("asked") or self.sweep.budget.trials * len(self.sweep.cells))

    @property
    def finished(self) -> bool:
        """Whether a driver came to the end of the budget that is asked now, or of its time."""
        return bool(self.facts.get("done") == self.sweep.budget.trials)

    @property
    def progress(self) -> str:
        """running, stopped or done."""
        from reno_sweeps.search.lease import living

        if living(self.facts, time.time()):
            return "running"
        return "done" if self.finished else "stopped"

    def summary(self) -> dict[str, Any]:
        """The object that `run --json` prints."""
        place = {
            "sweep": self.name,
            "experiment_id": self.facts.get("experiment_id"),
            "parent_run_id": self.facts.get("parent_run_id"),
            "tracking_uri": masked(self.settings.tracking_uri),
            "storage": masked(self.settings.storage),
            "corpus": self.state["corpus"]["id"],
            "synthetic": self.state["corpus"]["synthetic"],
        }
        found = summary.summarise(self.sweep, self.trials, self.facts, asked=self.asked, place=place)
        found["alignment"] = self.facts.get("alignment", [])
        found["telltales"] = self.facts.get("telltales", [])
        return {**found, "cautions": cautions.cautions(self.sweep, self.trials, found)}

    def note(self) -> str:
        """The parent run's note."""
        synthetic = bool(self.state["corpus"]["synthetic"])
        return note.note(self.sweep, self.summary(), synthetic=synthetic, messages=self.messages)


def load(name: str, home: Path | None) -> Stored:
    """Read a sweep; a UserError says which ones there are."""
    from reno_sweeps.search.ledger import Ledger, StorageError

    there = gather({"home": home})
    state = opening.read_state(name, there.home)
    settings = opening.settings_at(state["settings"], there.home)
    sweep = Sweep.from_dict(state["sweep"])
    try:
        ledger: Ledger | None = Ledger(settings.storage, name, direction=sweep.objective.direction)
    except StorageError:
        raise
    except UserError:  # the folder is there, the study is not: killed before its first trial
        ledger = None
    return Stored(state, settings, sweep, read_data(opening.folder_of(there.home, name)), ledger)


def write_data(folder: Path, corpus: Corpus, folds: Folds, protocol: Protocol) -> dict[str, Any]:
    """Keep what the models are trained on, beside the question."""
    from reno_sweeps.folds import without_seeds

    tested: list[list[int]] = [[] for _ in corpus.clips]
    for index, split in enumerate(without_seeds(folds.splits, protocol)):
        for row in split.test:
            tested[row].append(index % protocol.n_folds)
    data = {
        "clips": [[clip.path, clip.label, clip.speaker, clip.fold] for clip in corpus.clips],
        "skipped": [[left.path, left.why] for left in corpus.skipped],
        "tested": tested,  # by clip: the fold that tests it, repeat by repeat
        "folds": {"kind": folds.kind, "digest": folds.digest},
        "messages": list(folds.messages),
    }
    write_bytes(folder / DATA, json.dumps(data, ensure_ascii=False).encode())
    return data


def read_data(folder: Path) -> dict[str, Any]:
    """What `write_data` wrote; empty where the sweep was killed before."""
    file = folder / DATA
    data: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return data
