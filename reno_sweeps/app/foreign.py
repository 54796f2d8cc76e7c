"""A sweep as an archive tells it, examined: what it says of itself fits together, and nothing reaches outside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reno_sweeps import catalogue
from reno_sweeps.app import nested, opening, reporting
from reno_sweeps.app.archive import Archive
from reno_sweeps.app.discreet import KEPT
from reno_sweeps.app.exporting import STUDY
from reno_sweeps.app.parent import REPORT
from reno_sweeps.app.stored import DATA
from reno_sweeps.records import FoldScore, Sweep, Trial, UserError, digest
from reno_sweeps.training.configuration import search_of

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, LookupError, OverflowError, RecursionError)
_FOLD = re.compile(r"folds/[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")
_FILES = re.compile(
    rf"(?:nested/r\d{{1,4}}-f\d{{1,4}}/)?{_FOLD.pattern}|weights/[a-z0-9-]+/[A-Za-z0-9._-]+\.safetensors"
)
_HEX = re.compile(r"[0-9a-f]{64}")

Study = tuple[dict[str, Any], list[Trial]]  # facts, trials


@dataclass(frozen=True, slots=True)
class Foreign:
    """An examined sweep of another home."""

    heading: Mapping[str, Any]
    state: dict[str, Any]  # sweep.json, without the settings of a home
    sweep: Sweep
    data: Mapping[str, Any]
    main: Study
    inner: Mapping[tuple[int, int], Study]  # (round, fold) → the study inside that outer fold
    files: tuple[str, ...]  # members that become files of the sweep's folder
    mark: Mapping[str, Any]  # what the study here remembers of its origin

    @property
    def identity(self) -> str:
        """The sweep's."""
        return str(self.state["identity"])

    @property
    def trials(self) -> Sequence[Trial]:
        """Of the sweep's own study."""
        return self.main[1]

    @property
    def version(self) -> str | None:
        """The reno-sweeps that wrote the archive."""
        versions = self.heading.get("versions")
        return str(versions.get("reno-sweeps"))[:40] if isinstance(versions, dict) else None

    def settings(self, *, umap: bool) -> dict[str, Any]:
        """The settings that travel, as `gather` takes them; switches that are at their default are left out."""
        kept = dict(self.state["settings"])
        kept["baselines"] = False if kept.get("baselines") is False else None
        for switch in ("skip_broken", "controls", "umap"):
            kept[switch] = True if kept.get(switch) is True and (umap or switch != "umap") else None
        return {key: kept.get(key) for key in KEPT}

    def studies(self, name: str) -> Iterator[tuple[str, Study]]:
        """Every study under the name that it has here, the sweep's own last."""
        for place, study in self.inner.items():
            yield nested.study_of(name, *place), study
        yield name, self.main


def read(archive: Archive) -> Foreign:
    """Examine an archive's content; a UserError names the file that is not what an export writes."""
    state = _examined(opening.STATE, lambda: _state(archive.json(opening.STATE)))
    sweep = _examined(opening.STATE, lambda: _sweep(state))
    data = _examined(DATA, lambda: _data(archive.json(DATA)))
    plain = archive.json(STUDY)
    main = _examined(STUDY, lambda: _study(plain["main"], sweep, state["identity"], archive, ""))
    inner = _examined(STUDY, lambda: dict(_inner(plain["nested"], sweep, state["identity"], archive)))
    if reporting.MAPS in archive.names:
        _examined(reporting.MAPS, lambda: _maps(archive.json(reporting.MAPS), len(data["clips"])))
    files = [name for name in archive.names if _FILES.fullmatch(name) or name == reporting.MAPS]
    odd = set(archive.names) - {opening.STATE, DATA, STUDY, *files}
    for name in sorted(odd):
        if not re.fullmatch(rf"{REPORT}/[^/]+", name):  # a report is written here anew: a page may hold scripts
            raise UserError(f"its member {name!r} is no file of a sweep\nnothing was imported")
    hashes = digest({name: archive.sha256(name) for name in archive.names})
    mark = {"archive": hashes, "name": state["name"]}
    return Foreign(archive.heading, state, sweep, data, main, inner, tuple(files), mark)


def _examined(file: str, examine: Any) -> Any:
    try:
        return examine()
    except MALFORMED as fault:
        said = f"{type(fault).__name__}: {fault}".splitlines()[0][:200]
        raise UserError(f"the archive's {file} is not what an export writes ({said})\nnothing was imported") from fault


def _state(plain: Any) -> dict[str, Any]:
    texts = ("name", "identity", "space")
    _refuse(isinstance(plain, dict) and plain["format"] == opening.FORMAT, "another format")
    _refuse(all(isinstance(plain[key], str) for key in texts), "no text where text belongs")
    _refuse(bool(_HEX.fullmatch(plain["identity"])), "no identity")
    corpus = plain["corpus"]
    _refuse(all(isinstance(corpus[key], str) for key in ("id", "content")), "no corpus")
    _refuse(isinstance(corpus["synthetic"], bool) and isinstance(plain["created"], int | float), "no corpus, no date")
    _refuse(all(isinstance(facts, dict) for facts in plain["encoders"].values()), "no encoders")
    settings = plain["settings"]
    _refuse(settings["experiment"] is None or isinstance(settings["experiment"], str), "no experiment")
    kept = {**corpus, "root": corpus["id"]}  # where the recordings lie is not known here
    known = ("format", "name", "identity", "created", "encoders", "sweep", "settings", "space")
    return {
        **{key: plain[key] for key in known},
        "corpus": {k: kept[k] for k in ("id", "root", "content", "synthetic")},
    }


def _sweep(state: Mapping[str, Any]) -> Sweep:
    """The question, which must be the one that its identity names."""
    sweep = Sweep.from_dict(state["sweep"])
    identity = opening.identity_of(sweep, state["corpus"]["content"], state["encoders"])
    _refuse(identity == state["identity"], "its identity is another question's")
    protocol, budget = sweep.protocol, sweep.budget
    for number in (protocol.n_folds, protocol.repeats, protocol.seeds, budget.trials):
        _refuse(type(number) is int and 0 < number < 10**6, f"a count is {str(number)[:40]!r}")
    _refuse(sweep.objective.direction in {"maximize", "minimize"}, "no direction")
    _refuse(not sweep.weights and sweep.root is None and bool(sweep.cells), "places, or no cells")
    for cell in sweep.cells:
        catalogue.load("heads", cell.head)
        search_of(sweep, cell)
    return sweep


def _data(plain: Any) -> dict[str, Any]:
    clips = plain["clips"]
    for path, label, speaker, fold in clips:
        _refuse(isinstance(path, str) and isinstance(label, str), "a clip without path or label")
        _refuse(speaker is None or isinstance(speaker, str), "a speaker that is no text")
        _refuse(fold is None or type(fold) is int, "a fold that is no number")
    _refuse(bool(clips) and len(plain["tested"]) == len(clips), "as many clips as places in folds")
    _refuse(all(type(fold) is int for tested in plain["tested"] for fold in tested), "a fold that is no number")
    _refuse(all(isinstance(text, str) for pair in plain["skipped"] for text in pair), "skipped files without names")
    _refuse(all(isinstance(text, str) for text in (*plain["messages"], *plain["folds"].values())), "no messages")
    return {key: plain[key] for key in ("clips", "skipped", "tested", "folds", "messages")}


def _study(plain: Any, sweep: Sweep, identity: str, archive: Archive, prefix: str) -> Study:
    """Facts and trials; every trial fits the search, every fold's file is a member with the hash that is stored."""
    from reno_sweeps.search import portable
    from reno_sweeps.search.study import adopted

    facts, trials = dict(plain["facts"]), portable.trials_of(plain["trials"])
    _refuse(facts.get("identity") == identity and type(facts["ahead"]) is int, "its study is another sweep's")
    searches = [search_of(sweep, cell) for cell in sweep.cells]
    for trial in trials:
        adopted(trial, searches[trial.cell])
        proposed = set(trial.proposal)
        _refuse(proposed <= set(searches[trial.cell]), f"trial {trial.number} proposes what is not searched")
    for score in portable.scores_of(trials, facts):
        _refuse(_known(score, archive, prefix), f"{score.file[:100]!r} is no fold's file, or another one")
        _refuse(score.fold < sweep.protocol.n_folds, "a fold beyond the last")
    return {key: value for key, value in facts.items() if key not in portable.BOUND}, trials


def _known(score: FoldScore, archive: Archive, prefix: str) -> bool:
    """Whether a score's file is a member as it should be; one that was lost before the export is none."""
    declared = archive.sha256(prefix + score.file)
    return bool(_FOLD.fullmatch(score.file)) and declared in {None, score.sha256}


def _inner(plain: Any, sweep: Sweep, identity: str, archive: Archive) -> Iterator[tuple[tuple[int, int], Study]]:
    for key, study in plain.items():
        repeat, fold = (int(number) for number in key.split(":"))
        _refuse(repeat < sweep.protocol.rounds and fold < sweep.protocol.n_folds, "a search beyond the last fold")
        named, prefix = nested.identity_of(identity, repeat, fold), f"{nested.folder_of(repeat, fold)}/"
        yield (repeat, fold), _study(study, sweep, named, archive, prefix)  # the search is the sweep's own


def _maps(plain: Any, clips: int) -> None:
    for one in plain.values():
        _refuse(all(isinstance(one[key], str) for key in ("title", "method")), "a map without a title")
        _refuse(all(type(row) is int and 0 <= row < clips for row in one["rows"]), "a map of other clips")
        _refuse(all(isinstance(x, int | float) for point in one["points"] for x in point), "a map without points")
        _refuse(
            len(one["points"]) == len(one["rows"]) and all(len(p) == 2 for p in one["points"]), "a map without points"
        )
        _refuse(all(len(pair) == 2 for pair in one["alike"].values()), "a map without its figures")


def _refuse(good: bool, otherwise: str) -> None:
    if not good:
        raise ValueError(otherwise)
