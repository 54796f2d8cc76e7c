"""Workers that encode: Ray actors on this machine's cores or GPUs, or on a cluster's. They see samples, no files."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from reno_sweeps import cluster

cluster.prepare()  # before ray is imported; extract has prepared already where an address was given

import numpy as np  # noqa: E402
import ray  # noqa: E402
from ray.exceptions import ObjectLostError, RayActorError, RayTaskError, WorkerCrashedError  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

from reno_sweeps.audio import RATE  # noqa: E402
from reno_sweeps.embeddings import _parcel, _room  # noqa: E402
from reno_sweeps.embeddings._jobs import Job  # noqa: E402
from reno_sweeps.embeddings._load import Load  # noqa: E402
from reno_sweeps.embeddings._pace import Listener  # noqa: E402
from reno_sweeps.records import UserError  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reno_sweeps.encoders._facts import Encoder

logger = logging.getLogger(__name__)

ATTEMPTS = 3  # a job whose worker died is given to others so often before the extraction ends
GONE = (RayActorError, WorkerCrashedError, ObjectLostError)  # what Ray says of a worker that died
DEPTH = {"cpu": 1, "cuda": 2}  # jobs of a worker at once: a GPU's next one lies ready beside it
PATIENCE = 20.0  # seconds without news after which it is said that no worker can start
GLANCE = 0.2  # seconds between two looks at whether it was interrupted
CLEARED = 5.0  # seconds in which a cluster's nodes remove what lay there for us


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker needs to load an encoder."""

    load: Load
    parcel: _parcel.Parcel | None = None  # its weights, where the worker may be on a machine that lacks them


class Worker:
    """One process. Each encoder is loaded when it is first asked for."""

    def __init__(self, orders: Mapping[str, Order], device: str) -> None:
        self._orders, self._device = orders, device
        self._encoders: dict[str, Encoder] = {}
        self._unpacked: list[_parcel.Unpacked] = []  # each holds a lock while this process lives

    def hello(self) -> tuple[str, str, int]:
        """Machine, version of reno-sweeps, process id."""
        return platform.node(), metadata.version("reno-sweeps"), os.getpid()

    def embed(self, encoder: str, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors [n, dim]; on a CPU by one thread."""
        import torch

        if self._device == "cpu":
            torch.set_num_threads(1)
        if encoder not in self._encoders:
            self._encoders[encoder] = self._opened(self._orders[encoder])
        return self._encoders[encoder].embed([np.array(clip) for clip in clips])  # Ray's arrays cannot be written to

    def _opened(self, order: Order) -> Encoder:
        load = order.load
        if order.parcel is not None:
            unpacked = _parcel.Unpacked(order.parcel, ray.get)
            self._unpacked.append(unpacked)
            load = replace(load, weights=str(unpacked.path))
        return load.open(self._device)


@dataclass
class _Hand:
    """A worker as the driver sees it."""

    actor: Any
    hello: Any  # the reference of its first words
    jobs: deque[tuple[Any, Job]] = field(default_factory=deque)  # under way: the first is being encoded


class Crew:
    """Workers on a Ray of their own, or on the cluster at `address`. Close it: `with Crew(…) as crew`.

    Jobs are handed out one by one as workers become free; the job of a worker that dies goes to another, three times
    at most. What a worker cannot load or encode rises here as it did there.
    """

    def __init__(
        self,
        loads: Sequence[Load],
        device: str,
        workers: int | None,
        gpus: int | None,
        address: str | None,
        *,
        listener: Listener,
    ) -> None:
        self._ray, self._listener = cluster.Ray(address), listener
        self._starting: dict[Any, _Hand] = {}  # by the reference of their first words
        self._free: list[_Hand] = []  # that said hello
        self._flying: dict[Any, _Hand] = {}  # by the reference of their job
        self._again: deque[Job] = deque()  # jobs that waited behind one whose worker died
        self._last: deque[Job] = deque()  # jobs whose workers died: tried again when all others are done
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._failed_starts = 0
        self._exhausted = self._wondered = False
        self._hired = self._look = 0.0  # when the last worker was, and when Ray is looked for again
        self._parcels = address is not None
        try:
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self.device = _room.settled(device, self._ray.resources)
            self.size = _room.workers(nodes, self.device, _room.need(loads), asked=workers, gpus=gpus)
            with cluster.explained():
                self._orders = {load.id: _order(load, parcel=self._parcels) for load in loads}
            for _ in range(self.size):
                self._hire()
        except BaseException:
            self.close()
            raise

    def run(self, jobs: Iterator[Job], obey: Callable[[], None]) -> Iterator[tuple[Job, NDArray[np.float32]]]:
        """Every job with its vectors [clips, dim], as they come; before an error, those that lie ready.

        `obey` is called a few times a second: it raises KeyboardInterrupt where somebody asked for the end.
        """
        try:
            while not self._is_done(jobs):
                obey()
                ready, _ = ray.wait([*self._flying, *self._starting], num_returns=1, timeout=GLANCE)
                if not ready:
                    self._wonder()
                elif ready[0] in self._starting:
                    self._welcome(self._starting.pop(ready[0]))
                elif (result := self._collected(ready[0])) is not None:
                    self._deal(jobs)  # before the caller takes its time
                    yield result
        except (UserError, KeyboardInterrupt):
            yield from self._lying_ready()
            raise

    def close(self) -> None:
        """End the workers at once, and leave nothing behind on any machine."""
        with contextlib.suppress(ray.exceptions.RayError):  # a cluster that is gone has nothing left of ours
            if self._parcels and ray.is_initialized() and self._ray.answers():
                self._clear()
        self._ray.close()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- workers ---

    def _hire(self) -> None:
        there = self._ray.resources
        cpus = min(1.0, there.get("CPU", 1.0) / self.size)  # as many workers as were asked for, whatever is there
        gpus = min(1.0, there.get("GPU", 0.0) / self.size) if self.device == "cuda" else 0.0
        actor = ray.remote(Worker).options(num_cpus=cpus, num_gpus=gpus).remote(self._orders, self.device)
        hand, self._hired = _Hand(actor, actor.hello.remote()), time.monotonic()
        self._starting[hand.hello] = hand

    def _welcome(self, hand: _Hand) -> None:
        """A worker has begun, or could not."""
        try:
            machine, version, _ = ray.get(hand.hello)
        except GONE as error:
            self._ray.expect(after=True)
            self._failed_starts += 1
            if self._failed_starts >= ATTEMPTS:
                last = str(error).strip().splitlines()[-1]
                raise UserError(f"workers cannot start: {last}\ninstall reno-sweeps on every machine") from error
            self._hire()
            return
        if version != (ours := metadata.version("reno-sweeps")):
            raise UserError(f"{machine} has reno-sweeps {version}, this machine {ours}\ninstall the same on both")
        self._free.append(hand)

    def _wonder(self) -> None:
        """No news: is Ray there? Said once, where nobody has begun for long."""
        if time.monotonic() > self._look:
            self._look = time.monotonic() + cluster.ANSWERS
            self._ray.expect()
        if not self._free and not self._wondered and time.monotonic() - self._hired > PATIENCE:
            self._wondered = True
            self._listener.say(f"waiting for one of {len(self._starting)} workers to start")

    def _bury(self, hand: _Hand) -> None:
        """A worker died: another is hired. The job that it was at comes last, so that all others are stored by then."""
        self._ray.expect(after=True)
        if hand in self._free:
            self._free.remove(hand)
        ray.kill(hand.actor)  # where only the way to it is lost
        job, *behind = (job for _, job in hand.jobs)
        for reference, _ in hand.jobs:
            del self._flying[reference]
        hand.jobs.clear()
        self._last.append(job)
        self._again.extend(behind)
        key = (job.encoder, job.recordings[0].sound)
        self._attempts[key] += 1
        if self._attempts[key] >= ATTEMPTS:
            raise UserError(_deadly(job))
        self._listener.say(
            f"a worker died; attempt {self._attempts[key] + 1} of {ATTEMPTS} for {len(job.recordings)} clips "
            f"from {job.recordings[0].path}"
        )
        self._hire()

    def _clear(self) -> None:
        """On a cluster: end the workers, then let every node remove the weights that were unpacked for them."""
        for hand in [*self._free, *self._starting.values()]:
            ray.kill(hand.actor)
        tasks = [
            ray.remote(_swept)
            .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
            .remote()
            for node in ray.nodes()
            if node["Alive"]
        ]
        ray.wait(tasks, num_returns=len(tasks), timeout=2 * CLEARED)

    # --- jobs ---

    def _is_done(self, jobs: Iterator[Job]) -> bool:
        """Hand out what can be handed out; whether nothing is left."""
        self._deal(jobs)
        return self._exhausted and not (self._flying or self._again or self._last)

    def _deal(self, jobs: Iterator[Job]) -> None:
        """A job to every worker that has none, then the next ones."""
        for depth in range(DEPTH[self.device]):
            for hand in self._free:
                if len(hand.jobs) == depth and (job := self._next(jobs)) is not None:
                    with cluster.explained():
                        reference = hand.actor.embed.remote(job.encoder, job.clips)
                    hand.jobs.append((reference, job))
                    self._flying[reference] = hand

    def _next(self, jobs: Iterator[Job]) -> Job | None:
        if self._again:
            return self._again.popleft()
        job = None if self._exhausted else next(jobs, None)
        self._exhausted = job is None
        return self._last.popleft() if job is None and self._last and not self._flying else job

    def _collected(self, reference: Any) -> tuple[Job, NDArray[np.float32]] | None:
        """The job that has ended and its vectors; None where its worker died."""
        hand = self._flying[reference]
        try:
            vectors = np.array(ray.get(reference))  # a copy: Ray's own memory goes when Ray ends
        except GONE:
            self._bury(hand)
            return None
        except RayTaskError as error:
            if isinstance(error.cause, UserError | OSError):
                raise _plain(error.cause) from None
            raise
        del self._flying[reference]
        job = next(job for other, job in hand.jobs if other == reference)
        hand.jobs = deque(pair for pair in hand.jobs if pair[0] != reference)
        return job, vectors

    def _lying_ready(self) -> Iterator[tuple[Job, NDArray[np.float32]]]:
        """What had ended when something else went wrong."""
        ready, _ = ray.wait([*self._flying], num_returns=len(self._flying), timeout=0) if self._flying else ([], [])
        for reference in ready:
            with contextlib.suppress(UserError, *GONE, RayTaskError):  # one fault is said; this is not it
                if (result := self._collected(reference)) is not None:
                    yield result


def _order(load: Load, *, parcel: bool) -> Order:
    """What workers are given: on this machine the place of the weights, for others their bytes."""
    place = load.place()
    if place is None:
        return Order(load)
    return Order(replace(load, weights=str(place)), _parcel.pack(place, ray.put) if parcel else None)


def _swept() -> None:
    """On a node: remove the weights that nobody uses; those of workers that just end are waited for."""
    end = time.monotonic() + CLEARED
    while _parcel.sweep() and time.monotonic() < end:
        time.sleep(0.1)


def _deadly(job: Job) -> str:
    return (
        f"encoder {job.encoder}: its worker died {ATTEMPTS} times at {len(job.recordings)} clips "
        f"({job.sound / RATE:.0f} s), the first {job.recordings[0].path}\n"
        "it was killed from outside, or ran out of memory: fewer workers (--workers 1) need less"
    )


def _plain(fault: UserError | OSError) -> UserError:
    """A worker's fault in this process; its files are another machine's, so it is no OSError here."""
    return fault if isinstance(fault, UserError) else UserError(f"a worker cannot go on: {fault}")
