"""What is there before the first trial: a lock, folds, a server that answers, embeddings. Refusals come first."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reno_sweeps import cluster
from reno_sweeps.app import devices, turns
from reno_sweeps.app.opening import Opened, encoders_in, weights_of
from reno_sweeps.app.progress import clips_said
from reno_sweeps.records import Corpus, Protocol, UserError

if TYPE_CHECKING:
    from reno_sweeps.embeddings.extract import Extraction
    from reno_sweeps.folds import Folds


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is there before the first trial: data and folds."""

    extraction: Extraction
    folds: Folds
    seconds: float  # of extraction


def prepare(opened: Opened, stack: ExitStack, *, quiet: bool) -> Prepared:
    """Refuse early and in the cheap order: lock, folds, MLflow's server, then the recordings."""
    from reno_sweeps import corpora
    from reno_sweeps.embeddings.extract import extract
    from reno_sweeps.folds import make_splits
    from reno_sweeps.search.lease import HomeLock

    lock = stack.enter_context(HomeLock(opened.settings.home))
    lock.take(opened.name, shared=opened.settings.shared)
    _refuse_lost_study(opened)
    cluster.sweep_temporary()
    make_splits(opened.corpus, opened.sweep.protocol)
    _refuse_inner(opened.corpus, opened.sweep.protocol)
    reach_tracking(opened)
    turns.reach_storage(opened)
    devices.refuse_absent(opened.settings)
    devices.refuse_precision(opened.sweep, opened.settings)
    corpora.prepare(opened.corpus)
    began = time.monotonic()
    with clips_said(quiet=quiet) as progress:
        extraction = extract(
            opened.corpus,
            encoders_in(opened.sweep),
            opened.settings.cache,
            weights=weights_of(opened.sweep.weights, encoders_in(opened.sweep)),
            skip_broken=opened.settings.skip_broken,
            progress=progress,
            download=opened.settings.download,
            **devices.for_extraction(opened.settings),
        )
    seconds = time.monotonic() - began
    folds = make_splits(extraction.corpus, opened.sweep.protocol)
    return Prepared(extraction, replace(folds, messages=(*folds.messages, *leaks(extraction, folds))), seconds)


def _refuse_lost_study(opened: Opened) -> None:
    """A study that was lost is not begun again in silence, over the files of its trials. An empty file is left so."""
    from reno_sweeps.search.ledger import Ledger, StorageError
    from reno_sweeps.search.storage import is_empty, shown

    url, folds = opened.settings.storage, opened.folder / "folds"
    if not any(folds.glob("trial-*")):
        return
    lost = is_empty(url)
    try:
        if not lost:
            Ledger(url, opened.name, direction=opened.sweep.objective.direction)
    except StorageError:
        raise
    except UserError:  # it has other studies
        lost = True
    if lost:
        raise UserError(
            f"the study of sweep {opened.name!r} is lost: {shown(url)} has none, but {folds} has files of its trials\n"
            "put a copy of the study back, or begin anew under another --name"
        )


def _refuse_inner(corpus: Corpus, protocol: Protocol) -> None:
    """Inner folds that a nested search could not have are refused before the search over all folds."""
    from reno_sweeps.folds import inner_splits

    if protocol.selection == "nested":
        for place in itertools.product(range(protocol.rounds), range(protocol.n_folds)):
            inner_splits(corpus, protocol, *place)


def leaks(extraction: Extraction, folds: Folds) -> list[str]:
    """Recordings with the same sound on both sides of train and test: said wherever a figure of this sweep appears."""
    from reno_sweeps.corpora._leaks import exact_leaks, sentence

    said = sentence(exact_leaks(extraction.corpus, folds.splits, extraction.sounds))
    return [f"{said}; remove the copies: the test figures are too good"] if said else []


def reach_tracking(opened: Opened) -> None:
    """A server that does not answer, or a store that cannot be written, is said now, within ten seconds."""
    from tracking.store import connect

    connect(opened.settings.tracking_uri, opened.settings.home / "artifacts")
