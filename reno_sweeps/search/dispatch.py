"""Ray Tune: one Tune trial trains one cohort on its share of a device; a mailbox carries events up, stops down."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps import cluster

cluster.prepare()  # before ray is imported; app has prepared already where an address was given

import ray  # noqa: E402
from ray import tune  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from reno_sweeps.records import Event, Key, Model, UserError  # noqa: E402
from reno_sweeps.search.mailbox import ATTEMPTS, CLOSED, Mailbox  # noqa: E402
from reno_sweeps.search.share import Share, share, workers_now  # noqa: E402

if TYPE_CHECKING:
    from reno_sweeps.training.trainer import Data

logger = logging.getLogger(__name__)

BATCH = 0.3  # seconds of news that a worker sends at once; so late may a stop be heard
POLL = 0.05  # seconds between two looks into an empty mailbox
LONG_POLL = 0.25  # likewise while everybody trains and nothing comes: each look costs the workers their time
LAST = 30.0  # seconds in which Tune's thread hears that it should leave; it listens between two waits for workers
LOOK = 5.0  # seconds between two looks at the nodes of a cluster
NOTICED = 60.0  # seconds in which Ray has noticed that a node is lost, and sends no worker there
PENDING = 200  # workers that a cluster may be asked for before it has room: its autoscaler sees what is wanted
REST = 0.1  # seconds between two looks of an idle worker


class CohortTrainable(tune.Trainable):
    """One Tune trial: trains a cohort to its end in one step. The process is reused for the next cohort."""

    def setup(self, config: dict[str, Any], data: Data, mailbox: Any, device: str, version: str) -> None:  # noqa: ARG002, D102
        if (here := metadata.version("reno-sweeps")) != version:
            raise RuntimeError(f"{socket.gethostname()} has reno-sweeps {here}, the driver {version}: install the same")
        self._data, self._mailbox, self._device = data, mailbox, device

    def reset_config(self, new_config: dict[str, Any]) -> bool:  # noqa: ARG002, D102  # Tune's signature
        return True

    def step(self) -> dict[str, Any]:  # noqa: D102
        cohort = self.config["cohort"]
        models = ray.get(self._mailbox.cohort.remote(cohort))
        try:
            self._train(cohort, models)
        except Exception as error:  # whatever went wrong belongs to these trials, not to the sweep
            reason = f"{type(error).__name__}: {error}"
            logger.exception("cohort %s failed", cohort)
            ray.get(self._mailbox.abandon.remote(cohort, reason))
        while not ray.get(self._mailbox.wake.remote(self.trial_id)):
            time.sleep(REST)  # Tune would end all idle workers but one, and start them anew for the next cohorts
        return {"done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: finished folds are the checkpoint."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: as above."""

    def _train(self, cohort: str, models: Sequence[Model]) -> None:
        from reno_sweeps.training.trainer import train_cohort

        stops: set[Key] = set()
        joining: list[Model] = []
        news: list[Event] = []
        posted, sent = time.monotonic(), deque[Any]()
        adopts = self._device != "cpu"  # a GPU's one worker is to stay full; what waits for a core another one takes
        events = train_cohort(
            models,
            self._data,
            device=self._device,
            told_to_stop=stops.copy,
            newcomers=lambda: [joining.pop() for _ in tuple(joining)][::-1],
            say=lambda text: ray.get(self._mailbox.note.remote(text)),
        )
        for event in events:
            news.append(event)
            if time.monotonic() - posted > BATCH:
                sent.append(self._mailbox.post.remote(cohort, news, adopts=adopts))
                news, posted = [], time.monotonic()
                if adopts or len(sent) > 1:  # who joins is waited for; who leaves is heard a batch later
                    left, joined = ray.get(sent.popleft())
                    stops |= left
                    joining += joined
        ray.get(self._mailbox.post.remote(cohort, news))  # waits: an event that was posted is not lost with us


class CohortSearcher(Searcher):
    """Hands Tune the ids of waiting cohorts; what it remembers besides is Tune's own state."""

    def __init__(self, mailbox: Any) -> None:
        super().__init__()
        self._mailbox = mailbox
        self._training: set[str] = set()
        self._free = False  # a worker has come back, and Tune keeps it for the next cohort
        self._next = 0.0  # when to look again, on a clock that is never set: Tune asks ten times a second and more

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # noqa: D102
        while not self._training or time.monotonic() >= self._next:
            cohort = ray.get(self._mailbox.next.remote(self._free))
            if cohort == CLOSED:
                return Searcher.FINISHED
            if cohort is not None:
                self._training.add(trial_id)
                self._free = False
                return {"cohort": cohort}
            self._next = time.monotonic() + LONG_POLL
            if self._training:
                return None
            time.sleep(POLL)  # wait here while nothing trains: Tune would look again after one or two seconds
        return None

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:  # noqa: ARG002, D102
        self._training.discard(trial_id)
        self._free = self._free or not error
        self._next = 0.0

    def save(self, checkpoint_path: str) -> None:  # noqa: D102
        pass

    def restore(self, checkpoint_path: str) -> None:  # noqa: D102
        pass


class _Obituaries(tune.Callback):
    """Tells the mailbox of cohorts whose workers died too often, for Tune; a lost node is forgiven for a while."""

    def __init__(self, mailbox: Any, patience: float) -> None:
        self._mailbox, self._patience = mailbox, patience

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        account = Path(trial.error_file).read_text().rpartition("Failure # ")[2] if trial.error_file else ""
        cohort, patience = trial.config["cohort"], self._patience
        reason = f"its worker process died {ATTEMPTS} times (killed from outside, or out of memory)"
        if '  File "' in account:  # a traceback: it could not start, or fell over our own code
            reason, patience = f"its worker failed {ATTEMPTS} times: {account.strip().splitlines()[-1]}", 0.0
        ray.get(self._mailbox.bury.remote(cohort, reason, patience))


class Dispatcher:
    """Workers that train the cohorts they are sent. Close it: `with Dispatcher(…) as dispatcher`."""

    def __init__(self, data: Data, *, address: str | None, device: str, gpus: int | None) -> None:
        self._joined, self._gpus, self._look = address is not None, gpus, time.monotonic() + LOOK
        self._sent = 0
        self._closing = False
        self._died: BaseException | None = None
        self._ray = cluster.Ray(address)
        try:
            self.share = share(device, gpus, self._ray.resources)
            with cluster.explained():
                tuner = self._begin(data)
        except BaseException:
            self._ray.close()
            raise
        self._tune = threading.Thread(target=self._run_tune, args=(tuner,), name="tune", daemon=True)
        self._tune.start()

    def _begin(self, data: Data) -> tune.Tuner:
        """The mailbox, and the data in Ray's object store: where that is killed meanwhile, Ray ends this process."""
        self._mailbox: Any = ray.remote(**cluster.beside_the_driver())(Mailbox).remote()
        self._there, self._nodes = self.share.workers, cluster.nodes() if self._joined else []
        fewer = self._gpus is not None and (self._joined or self._gpus < self._ray.resources.get("GPU", 0))
        limit = self.share.workers if fewer else None
        return _tuner(data, self._mailbox, self.share, self._ray.folder, limit, NOTICED * self._joined)

    @property
    def capacity(self) -> int:
        """How many cohorts train at once; on a cluster as many as its nodes of this moment hold."""
        if self._joined and time.monotonic() > self._look:
            self._look = time.monotonic() + LOOK
            self._ray.expect()
            with cluster.explained():
                self._look_around()
        return self.share.workers

    def crew(self) -> dict[str, Any]:
        """Who works: how many, on what, and on a cluster the nodes that were there at the last look."""
        return {"workers": self._there, "device": self.share.device, "nodes": self._nodes}

    def _look_around(self) -> None:
        before = self._there, self._nodes
        self._there, self._nodes = workers_now(self.share, self._gpus, ray.cluster_resources()), cluster.nodes()
        if (self._there, self._nodes) != before:
            now = f"{self._there} workers on {self.share.device}, {len(self._nodes)} nodes"
            logger.warning("the cluster has changed: %s", now if self._there else f"{now}; waiting for some")
            self.share = replace(self.share, workers=max(1, self._there))

    def send(self, models: Sequence[Model]) -> None:
        """Queue a cohort; workers take cohorts in the order in which they were sent."""
        cohort = f"cohort-{self._sent:05d}"
        self._sent += 1
        self._ask(self._mailbox.put, cohort, list(models))

    def take(self, wait: float) -> list[Event]:
        """News from the workers; waits at most `wait` seconds for some."""
        end, pause = time.monotonic() + wait, POLL
        while True:
            news: list[Event]
            news, notes = self._ask(self._mailbox.take)
            if self._died is not None:
                raise RuntimeError("Ray Tune ended unexpectedly") from self._died
            for note in notes:
                logger.warning(note)
            left = end - time.monotonic()
            if news or left <= 0:
                return news
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONG_POLL)

    def stop(self, keys: Collection[Key]) -> None:
        """Tell models to leave at the end of their epoch; each answers with an event of its end."""
        self._ask(self._mailbox.stop, set(keys))

    def _ask(self, method: Any, *words: Any) -> Any:
        """The mailbox's answer; a UserError where Ray is gone: its last words do not always come."""
        with cluster.explained():
            answer = method.remote(*words)
            while True:
                with contextlib.suppress(ray.exceptions.GetTimeoutError):
                    return ray.get(answer, timeout=cluster.ANSWERS)
                self._ray.expect()

    def close(self, patience: float = 2.0) -> None:
        """End the workers, soon after `patience` seconds, and remove Ray's temporary folder.

        Nothing of theirs is waited for: what is to be kept has been taken, and Tune would wait for starting processes.
        Only Tune's own thread is: what speaks to a Ray that has ended takes the whole process down with it.
        """
        if self._closing:
            return
        self._closing = True
        if self._ray.answers():
            with contextlib.suppress(UserError, ray.exceptions.RayError):  # a mailbox that died has nobody to tell
                self._ask(self._mailbox.close)
        self._tune.join(timeout=patience)
        if self._tune.is_alive() and self._tune.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._tune.ident), ctypes.py_object(SystemExit))
            self._tune.join(timeout=LAST if self._ray.answers() else patience)  # one that asks a dead Ray hears nothing
        self._ray.close()

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_tune(self, tuner: tune.Tuner) -> None:
        # else workers start one after another
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(PENDING * self._joined, self.share.workers))
        try:
            tuner.fit()
        except BaseException as error:  # noqa: BLE001  # a thread's death must reach the driver, whatever its cause
            if not self._closing:
                self._died = error


def _tuner(data: Data, mailbox: Any, part: Share, folder: Path, limit: int | None, patience: float) -> tune.Tuner:
    """`limit`: cohorts at once where resources alone would allow more; `patience`: as `bury` takes it."""
    trainable = tune.with_parameters(
        CohortTrainable, data=data, mailbox=mailbox, device=part.device, version=metadata.version("reno-sweeps")
    )
    return tune.Tuner(
        tune.with_resources(trainable, part.resources()),
        tune_config=tune.TuneConfig(
            search_alg=CohortSearcher(mailbox), num_samples=-1, max_concurrent_trials=limit, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name="cohorts",
            storage_path=str(folder / "tune"),
            failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
            callbacks=[_Obituaries(mailbox, patience)],
            verbose=0,
        ),
    )
