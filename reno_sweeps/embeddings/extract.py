"""Clips × encoders → arrays: what the cache holds is read, what it lacks is decoded once, encoded and kept."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reno_sweeps import cluster, interrupt
from reno_sweeps.corpora import prepare
from reno_sweeps.corpora._checks import checked
from reno_sweeps.embeddings import _room
from reno_sweeps.embeddings._clips import Clips
from reno_sweeps.embeddings._jobs import Job
from reno_sweeps.embeddings._load import Load
from reno_sweeps.embeddings._pace import Listener, Silent
from reno_sweeps.encoders import encoder_facts
from reno_sweeps.encoders import file as precomputed
from reno_sweeps.records import Corpus, Skipped, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reno_sweeps.embeddings.extract_ray import Crew
    from reno_sweeps.encoders._facts import Encoder

logger = logging.getLogger(__name__)

WORTH = 30.0  # seconds left in this process from which workers are called; they take 5 to 15 s to begin

Results = Generator[tuple[Job, "NDArray[np.float32]"], None, None]


@dataclass(frozen=True, slots=True)
class Extraction:
    """The clips that could be used and their embeddings, row by row."""

    corpus: Corpus  # with --skip-broken: without the broken clips, which are listed in `skipped`
    arrays: Mapping[str, NDArray[np.float32]]  # encoder id → [clips, dim]
    computed: Mapping[str, int]  # encoder id → how many vectors were not in the cache
    sounds: Mapping[str, str] = field(default_factory=dict)  # path → digest of its samples; empty where none was heard
    workers: int = 0  # processes that encoded at once, at most; 0: the cache held everything
    clips_per_second: float | None = None  # of those computed; None: none was


def extract(
    corpus: Corpus,
    encoders: Sequence[str],
    cache: Path,
    *,
    weights: Mapping[str, str] | None = None,
    device: str = "cpu",
    skip_broken: bool = False,
    progress: Listener | None = None,
    download: bool = False,
    workers: int | None = None,
    ray_address: str | None = None,
    gpus: int | None = None,
) -> Extraction:
    """The embeddings of a corpus by each of `encoders`; nothing is computed that `cache` holds.

    Precomputed encoders ('file:') need no recordings, and none is decoded for them. Every clip is tried before broken
    ones are refused (UserError), so that what could be encoded is kept; with `skip_broken` they are left out. Every
    batch is stored as it comes: a kill costs the batches that are under way.

    One worker is this process. More are processes of Ray, on this machine or on the cluster at `ray_address`: one a
    core or GPU (at most `gpus`). None begins here and calls workers, as many as there is room for, once more than half
    a minute is left. `device`: cpu, cuda, or auto: a GPU where there is one.

    The batches are the same for every number of workers. On a CPU a worker has one thread, and so has this process
    before workers are called: the results of auto and of two or more workers are the same bit for bit on equal
    processors. `workers=1` has all cores (OMP_NUM_THREADS has the last word), whose sums differ in their last digits:
    it agrees to about 1e-5 relative, as a GPU does.
    """
    given = {name: weights.get(name) if weights else None for name in encoders}
    heard = [name for name in encoders if not name.startswith(precomputed.PREFIX)]
    facts = {name: encoder_facts(name, given[name], download) for name in encoders}
    ids = [clip.path for clip in corpus.clips]
    arrays = {n: precomputed.vectors(precomputed.path_of(n), ids) for n in encoders if n not in heard}
    if not heard:
        return Extraction(corpus, arrays, dict.fromkeys(encoders, 0))
    prepare(corpus)
    clips = Clips(corpus, {name: facts[name] for name in heard}, cache, progress or Silent())
    loads = {name: Load(name, given[name], download, facts[name]) for name in heard}
    hands = _Hands(loads, device, workers, ray_address, gpus, progress or Silent())
    seconds = _encode(clips, hands)
    kept = _without_broken(corpus, clips.broken, skip_broken)
    rows = [row for row, clip in enumerate(corpus.clips) if clip.path not in clips.broken]
    found = {name: clips.vectors(name, rows) if name in heard else arrays[name][rows] for name in encoders}
    computed = {name: clips.computed.get(name, 0) for name in encoders}
    rate = clips.pace.computed / seconds if clips.pace.computed else None
    return Extraction(kept, found, computed, clips.sounds, hands.workers, rate)


def _encode(clips: Clips, hands: _Hands) -> float:
    """Find or compute the vector of every clip that can be decoded; seconds that it took."""
    began = time.monotonic()
    with contextlib.closing(clips.jobs()) as jobs, contextlib.closing(hands.results(jobs, clips)) as results:
        for job, vectors in results:
            clips.keep(job, vectors)
    clips.refuse_strange()
    clips.say_broken()
    logger.info("embeddings of %d clips: %s computed by %d workers", clips.pace.done, clips.computed, hands.workers)
    return time.monotonic() - began


@dataclass
class _Hands:
    """Who encodes: this process, and workers where they were asked for or pay."""

    loads: Mapping[str, Load]
    device: str
    asked: int | None  # workers; None: auto
    address: str | None
    gpus: int | None
    listener: Listener
    workers: int = 0  # that encoded at once

    def results(self, jobs: Iterator[Job], clips: Clips) -> Results:
        """Every job with its vectors [clips, dim], in any order."""
        first = next(jobs, None)  # a full cache needs nobody
        if first is None:
            return
        jobs = itertools.chain([first], jobs)
        device = self._local_device()
        if self.asked in {None, 1} and device is not None:
            yield from self._here(jobs, clips, device, call=self.asked is None and self._can_call(device))
        first = next(jobs, None)
        if first is None:
            return
        jobs = itertools.chain([first], jobs)
        with interrupt.catching("ending with what is encoded") as caught:
            crew = self._crew()
            if crew is not None:
                with crew:
                    self.workers = max(self.workers, crew.size)
                    self.listener.say(f"{crew.size} workers encode on {crew.device}")
                    yield from crew.run(jobs, lambda: interrupt.obey(caught))
                return
        interrupt.obey(caught)
        yield from self._here(jobs, clips, device or "cpu", call=False)

    def _can_call(self, device: str) -> bool:
        memory = _room.need(self.loads.values())
        return self.address is not None or _room.here(device, memory, self.gpus) > 1

    def _here(self, jobs: Iterator[Job], clips: Clips, device: str, *, call: bool) -> Results:
        """In this process: all, or, where workers may be called, until they pay."""
        here = _Here(self.loads, device, threads=1 if call and device == "cpu" else _room.cores())
        self.workers = 1
        for job in jobs:
            here.load(job.encoder, clips.pace.begin)
            yield job, here.embed(job)
            if call and here.seconds_left(clips) > WORTH:
                return

    def _crew(self) -> Crew | None:
        """Workers; None where nobody asked for them and Ray cannot start here, which is said."""
        cluster.prepare(self.address)
        from reno_sweeps.embeddings.extract_ray import Crew

        how = (self.asked, self.gpus, self.address)
        try:
            return Crew(list(self.loads.values()), self.device, *how, listener=self.listener)
        except (
            UserError,
            RuntimeError,
            OSError,
        ) as fault:  # Ray runs already, or has no room for its sockets and memory
            if how != (None, self.gpus, None):
                raise
            self.listener.say(f"no workers, this process goes on alone: {str(fault).strip().splitlines()[0]}")
            return None

    def _local_device(self) -> str | None:
        """Where this process encodes; None where a cluster has the GPU that was asked for, and this machine none."""
        if self.device == "cpu":
            return "cpu"
        import torch

        if torch.cuda.is_available():
            return "cuda"
        return "cpu" if self.device == "auto" else None if self.address is not None else self.device


class _Here:
    """Encoders in this process; each is loaded when it is first needed."""

    def __init__(self, loads: Mapping[str, Load], device: str, threads: int) -> None:
        self._loads, self._device, self._threads = loads, device, threads
        self._encoders: dict[str, Encoder] = {}
        self._seconds: dict[str, float] = dict.fromkeys(loads, 0.0)
        self._heard: dict[str, int] = dict.fromkeys(loads, 0)  # samples

    def load(self, encoder: str, loaded: Callable[[], None]) -> None:
        """Have the encoder at hand; `loaded` is called where it was not."""
        if encoder not in self._encoders:
            self._encoders[encoder] = self._loads[encoder].open(self._device)
            loaded()

    def embed(self, job: Job) -> NDArray[np.float32]:
        """Vectors [clips, dim]."""
        began = time.monotonic()
        with _torch_threads(self._threads):
            vectors = self._encoders[job.encoder].embed(job.clips)
        self._seconds[job.encoder] += time.monotonic() - began
        self._heard[job.encoder] += job.sound
        return vectors

    def seconds_left(self, clips: Clips) -> float:
        """What all that is left would take here, as measured; 0 while there is an encoder that was not measured."""
        asked = {name: samples for name, samples in clips.asked.items() if samples}
        if not all(self._heard[name] for name in asked):
            return 0.0
        left = {name: samples * clips.pace.share() - self._heard[name] for name, samples in asked.items()}
        return sum(samples * self._seconds[name] / self._heard[name] for name, samples in left.items())


def _without_broken(corpus: Corpus, broken: Mapping[str, str], skip_broken: bool) -> Corpus:
    if not broken:
        return corpus
    if not skip_broken:
        named = "; ".join(f"{path}: {fault}" for path, fault in list(broken.items())[:3])
        raise UserError(
            f"corpus {corpus.id}: {len(broken)} of {len(corpus.clips)} recordings are broken\n"
            f"{named}{'; …' if len(broken) > 3 else ''}\nmend or remove them, or leave them out with --skip-broken"
        )
    clips = tuple(clip for clip in corpus.clips if clip.path not in broken)
    skipped = tuple(Skipped(path, fault) for path, fault in broken.items())
    return checked(replace(corpus, clips=clips, skipped=corpus.skipped + skipped))


@contextlib.contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Torch on so many threads; OMP_NUM_THREADS has the last word."""
    import os

    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
