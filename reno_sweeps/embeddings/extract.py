"""Clips × encoders → arrays: what the cache holds is read, what it lacks is decoded once, encoded and kept."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps import audio
from reno_sweeps.corpora import prepare
from reno_sweeps.corpora._checks import checked
from reno_sweeps.corpora._digest import file_digest
from reno_sweeps.embeddings.address import address
from reno_sweeps.embeddings.heard import Heard
from reno_sweeps.embeddings.store import Store
from reno_sweeps.encoders import encoder_facts, load_encoder
from reno_sweeps.encoders import file as precomputed
from reno_sweeps.records import Corpus, Skipped, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reno_sweeps.encoders._facts import Encoder

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]  # clips done, clips in all, what is being done
CHUNK = 32  # recordings held in memory at a time


@dataclass(frozen=True, slots=True)
class Extraction:
    """The clips that could be used and their embeddings, row by row."""

    corpus: Corpus  # with --skip-broken: without the broken clips, which are listed in `skipped`
    arrays: Mapping[str, NDArray[np.float32]]  # encoder id → [clips, dim]
    computed: Mapping[str, int]  # encoder id → how many vectors were not in the cache


def extract(
    corpus: Corpus,
    encoders: Sequence[str],
    cache: Path,
    *,
    weights: Mapping[str, str] | None = None,
    device: str = "cpu",
    skip_broken: bool = False,
    progress: Progress | None = None,
    download: bool = False,
) -> Extraction:
    """The embeddings of a corpus by each of `encoders`; nothing is computed that `cache` holds.

    Precomputed encoders ('file:') need no recordings, and none is decoded for them. Every clip is tried before broken
    ones are refused (UserError), so that what could be encoded is kept; with `skip_broken` they are left out.
    """
    given = {name: weights.get(name) if weights else None for name in encoders}
    heard = [name for name in encoders if not name.startswith(precomputed.PREFIX)]
    facts = {name: encoder_facts(name, given[name], download) for name in encoders}
    ids = [clip.path for clip in corpus.clips]
    arrays = {n: precomputed.vectors(precomputed.path_of(n), ids) for n in encoders if n not in heard}
    if not heard:
        return Extraction(corpus, arrays, dict.fromkeys(encoders, 0))
    loaders = {name: _Lazy(name, given[name], device, download) for name in heard}
    work = _Work(corpus, {name: facts[name] for name in heard}, loaders, cache)
    work.run(progress)
    kept = _without_broken(corpus, work.broken, skip_broken)
    rows = [row for row, clip in enumerate(corpus.clips) if clip.path not in work.broken]
    found = {name: work.vectors(name, rows) if name in heard else arrays[name][rows] for name in encoders}
    return Extraction(kept, found, {name: work.computed.get(name, 0) for name in encoders})


class _Lazy:
    """An encoder that is loaded when it is first needed: a full cache needs none."""

    def __init__(self, name: str, weights: str | None, device: str, download: bool) -> None:
        self._how = (name, weights, device, "float32", download)
        self._encoder: Encoder | None = None

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors [n, dim]."""
        if self._encoder is None:
            self._encoder = load_encoder(*self._how)
        return self._encoder.embed(clips)


@dataclass
class _Work:
    """One pass over the clips of a corpus."""

    corpus: Corpus
    facts: Mapping[str, Mapping[str, Any]]
    encoders: Mapping[str, _Lazy]
    cache: Path
    broken: dict[str, str] = field(default_factory=dict)  # path → fault
    computed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._store, self._index = Store(self.cache / "embeddings"), Heard(self.cache)
        self._vectors: dict[str, NDArray[np.float32]] = {}  # by address
        self._digests: dict[str, str] = {}  # path → digest of its samples
        self.computed = dict.fromkeys(self.facts, 0)

    def run(self, progress: Progress | None) -> None:
        """Find or compute the vector of every clip that can be decoded."""
        prepare(self.corpus)
        paths, what = [clip.path for clip in self.corpus.clips], ", ".join(self.facts)
        try:
            for start in range(0, len(paths), CHUNK):
                chunk = paths[start : start + CHUNK]
                self._encode({path: samples for path in chunk if (samples := self._new_samples(path)) is not None})
                if progress:
                    progress(start + len(chunk), len(paths), what)
        finally:
            self._index.flush()
        logger.info("embeddings of %d clips: %s computed", len(paths), self.computed)

    def vectors(self, encoder: str, rows: Sequence[int]) -> NDArray[np.float32]:
        """The vectors [rows, dim] of an encoder."""
        import numpy as np

        facts, clips = self.facts[encoder], self.corpus.clips
        return np.stack([self._vectors[address(self._digests[clips[row].path], facts)] for row in rows])

    def _new_samples(self, path: str) -> NDArray[np.float32] | None:
        """The decoded recording where an encoder lacks it; None where the cache holds all, or it is broken."""
        try:
            content = file_digest(self.corpus.root / path)
        except OSError as fault:
            self.broken[path] = fault.strerror or type(fault).__name__
            return None
        known = self._index.get(content)
        if known and not self._missing(known):
            self._digests[path] = known
            return None
        return self._decoded(path, content)

    def _decoded(self, path: str, content: str) -> NDArray[np.float32] | None:
        file = self.corpus.root / path
        try:
            samples = audio.decode(file)
        except audio.AudioError as fault:
            self.broken[path] = str(fault).removeprefix(f"{file}: ")
            return None
        self._digests[path] = audio.samples_digest(samples)
        self._index.add(content, self._digests[path])
        return samples

    def _missing(self, sound: str) -> list[str]:
        """Encoders whose vector of a sound is neither at hand nor in the cache."""
        return [name for name in self.facts if not self._find(address(sound, self.facts[name]))]

    def _find(self, place: str) -> bool:
        if place not in self._vectors:
            vector = self._store.get(place)
            if vector is None:
                return False
            self._vectors[place] = vector
        return True

    def _encode(self, chunk: Mapping[str, NDArray[np.float32]]) -> None:
        """Encode and keep what is missing; a sound that several clips share is encoded once."""
        sounds = {self._digests[path]: (path, samples) for path, samples in chunk.items()}
        for name, facts in self.facts.items():
            lacking = [sound for sound in sounds if not self._find(address(sound, facts))]
            if not lacking:
                continue
            with _all_threads():
                vectors = self.encoders[name].embed([sounds[sound][1] for sound in lacking])
            _refuse_strange(name, [sounds[sound][0] for sound in lacking], vectors)
            places = [address(sound, facts) for sound in lacking]
            known = [{"audio": sound, **facts} for sound in lacking]
            self._store.put_all(list(zip(places, vectors, known, strict=True)))
            self._vectors |= dict(zip(places, vectors, strict=True))
            self.computed[name] += len(lacking)


def _refuse_strange(encoder: str, paths: Sequence[str], vectors: NDArray[np.float32]) -> None:
    import numpy as np

    strange = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if strange.size:
        raise UserError(
            f"encoder {encoder}: its embedding of {paths[int(strange[0])]} holds NaN or infinity "
            f"({strange.size} of {len(paths)} clips so far)\ncheck its weights, or use another encoder"
        )


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
def _all_threads() -> Iterator[None]:
    """Torch on every core that this process may use; OMP_NUM_THREADS has the last word."""
    import os

    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
