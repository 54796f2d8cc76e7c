"""The clips of one extraction: which the cache knows, which lack an embedding, which are broken."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps import audio
from reno_sweeps.corpora._digest import file_digest
from reno_sweeps.embeddings._ahead import ahead
from reno_sweeps.embeddings._jobs import Job, Recording, cut, is_full
from reno_sweeps.embeddings._pace import Listener, Pace
from reno_sweeps.embeddings._room import cores
from reno_sweeps.embeddings.address import address
from reno_sweeps.embeddings.heard import Heard
from reno_sweeps.embeddings.store import Store
from reno_sweeps.records import Corpus, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

THREADS = 8  # that decode at most; one a core
AHEAD_CLIPS = 64  # looked at, but not yet taken
AHEAD_SOUND = 300 * audio.RATE  # samples decoded, but not yet taken: 19 MB
NAMED = 5  # broken clips that are said at once; the others are said at the end


@dataclass(frozen=True, slots=True)
class _Look:
    """What is found of one clip."""

    path: str
    content: str = ""  # digest of the file's bytes
    sound: str = ""  # digest of the samples
    samples: NDArray[np.float32] | None = None  # decoded only where the cache lacks an embedding
    fault: str | None = None


class Clips:
    """One pass over a corpus. Only the process that drives it touches cache and index; workers see samples alone.

    Clips are decoded in threads, ahead of the encoders; a sound that several clips share is encoded once.
    """

    def __init__(self, corpus: Corpus, facts: Mapping[str, Mapping[str, Any]], cache: Path, listener: Listener) -> None:
        self._corpus, self._facts, self._listener = corpus, facts, listener
        self._store, self._index = Store(cache / "embeddings"), Heard(cache)
        self._vectors: dict[str, NDArray[np.float32]] = {}  # by address
        self._waiting: dict[str, set[str]] = {}  # sound → encoders whose embedding is under way
        self._sharing: dict[str, int] = {}  # sound under way → clips that share it
        self._strange: str | None = None
        self.pace = Pace(len(corpus.clips), ", ".join(facts))
        self.asked = dict.fromkeys(facts, 0)  # encoder → samples it was given to hear
        self.computed = dict.fromkeys(facts, 0)  # encoder → vectors that were not in the cache
        self.broken: dict[str, str] = {}  # path → fault
        self.sounds: dict[str, str] = {}  # path → digest of its samples

    def jobs(self) -> Generator[Job, None, None]:
        """What there is to encode, in the order of the clips. Give each job's vectors to `keep`.

        The jobs follow from the clips and from what the cache lacks, whoever works on them.
        """
        paths = [clip.path for clip in self._corpus.clips]
        window: list[Recording] = []
        looks = ahead(self._look, paths, threads=_threads(), count=AHEAD_CLIPS, weight=AHEAD_SOUND, weigh=_samples_held)
        try:
            with contextlib.closing(looks):
                for look in looks:
                    window += self._admitted(look)
                    self._listener.stands(self.pace.standing())
                    if is_full(window):
                        yield from self._cut(window)
                        window = []
            yield from self._cut(window)
        finally:
            self._index.flush()

    def keep(self, job: Job, vectors: NDArray[np.float32]) -> None:
        """Store the vectors [clips, dim] of a job; those that hold no numbers end the extraction: `refuse_strange`."""
        import numpy as np

        facts = self._facts[job.encoder]
        good = [bool(np.isfinite(vector).all()) for vector in vectors]
        pairs = [(one, vector) for one, vector, fine in zip(job.recordings, vectors, good, strict=True) if fine]
        entries = [(address(one.sound, facts), vector, {"audio": one.sound, **facts}) for one, vector in pairs]
        self._store.put_all(entries)
        self._vectors |= {place: vector for place, vector, _ in entries}
        self.computed[job.encoder] += len(entries)
        for one, _ in pairs:
            self._settle(one.sound, job.encoder)
        self._listener.stands(self.pace.standing())
        if strange := [one.path for one, fine in zip(job.recordings, good, strict=True) if not fine]:
            self._strange = self._strange or (
                f"encoder {job.encoder}: its embedding of {min(strange)} holds NaN or infinity "
                f"({len(strange)} of {len(job.recordings)} clips of a batch)\n"
                "check its weights, or use another encoder"
            )

    def refuse_strange(self) -> None:
        """A UserError where an encoder gave no numbers; everything else that was encoded is stored."""
        if self._strange:
            raise UserError(self._strange)

    def say_broken(self) -> None:
        """Name the broken clips that were not named at once."""
        for path, fault in list(self.broken.items())[NAMED:]:
            self._listener.say(f"broken: {path}: {fault}")

    def vectors(self, encoder: str, rows: Sequence[int]) -> NDArray[np.float32]:
        """The vectors [rows, dim] of an encoder."""
        import numpy as np

        facts, clips = self._facts[encoder], self._corpus.clips
        return np.stack([self._vectors[address(self.sounds[clips[row].path], facts)] for row in rows])

    # --- looking, in threads ---

    def _look(self, path: str) -> _Look:
        """The clip's digests, and its samples where an encoder lacks it."""
        file = self._corpus.root / path
        try:
            content = file_digest(file)
        except OSError as fault:
            return _Look(path, fault=fault.strerror or type(fault).__name__)
        known = self._index.get(content)
        if known and not self._missing(known):
            return _Look(path, content, known)
        try:
            samples = audio.decode(file)
        except audio.AudioError as fault:
            return _Look(path, fault=str(fault.args[0]).removeprefix(f"{file}: "))
        return _Look(path, content, audio.samples_digest(samples), samples)

    def _missing(self, sound: str) -> list[str]:
        """Encoders whose vector of a sound is neither at hand nor in the cache."""
        return [name for name in self._facts if not self._find(address(sound, self._facts[name]))]

    def _find(self, place: str) -> bool:
        if place not in self._vectors:
            vector = self._store.get(place)
            if vector is None:
                return False
            self._vectors[place] = vector
        return True

    # --- planning, in the thread that drives ---

    def _admitted(self, look: _Look) -> list[Recording]:
        """The recording, where it lacks an embedding that is not under way; else nothing."""
        self.pace.looked += 1
        if look.fault is not None:
            self._break(look.path, look.fault)
            return []
        self.sounds[look.path] = look.sound
        if look.samples is not None:
            self._index.add(look.content, look.sound)
        if look.sound in self._waiting:
            self.pace.lacking += 1
            self._sharing[look.sound] += 1
            return []
        missing = self._missing(look.sound)
        if not missing or look.samples is None:
            self.pace.done += 1
            return []
        self.pace.lacking += 1
        self._waiting[look.sound], self._sharing[look.sound] = set(missing), 1
        return [Recording(look.path, look.sound, look.samples)]

    def _break(self, path: str, fault: str) -> None:
        self.broken[path] = fault
        self.pace.done += 1
        if len(self.broken) <= NAMED:
            self._listener.say(f"broken: {path}: {fault}")

    def _cut(self, window: Sequence[Recording]) -> Iterator[Job]:
        lacking = {name: [one for one in window if name in self._waiting[one.sound]] for name in self._facts}
        for name, recordings in lacking.items():
            self.asked[name] += sum(one.samples.size for one in recordings)
        for name, recordings in lacking.items():
            for job in cut(name, recordings):
                if self._strange:
                    return
                yield job

    def _settle(self, sound: str, encoder: str) -> None:
        self._waiting[sound].discard(encoder)
        if not self._waiting[sound]:
            del self._waiting[sound]
            self.pace.compute(self._sharing.pop(sound))


def _samples_held(look: _Look) -> int:
    return 0 if look.samples is None else int(look.samples.size)


def _threads() -> int:
    return min(THREADS, cores())
