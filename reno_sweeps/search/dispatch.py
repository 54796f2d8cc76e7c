"""Ray Tune: one Tune trial trains one cohort on its share of a device; a mailbox carries events up, stops down."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.search import _ray_environment

_ray_environment.prepare()  # before ray is imported; app has prepared already where an address was given

import ray  # noqa: E402
from ray import tune  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

from reno_sweeps.records import Event, FoldFailed, FoldFinished, Key, Model, UserError  # noqa: E402
from reno_sweeps.search.mailbox import ATTEMPTS, CLOSED, Mailbox  # noqa: E402

if TYPE_CHECKING:
    from reno_sweeps.training.trainer import Data

logger = logging.getLogger(__name__)

BATCH = 0.3  # seconds of news that a worker sends at once; so late may a stop be heard
TOKEN = secrets.token_hex(32)  # one a process: Ray reads it once, also where a second sweep starts another Ray
POLL = 0.05  # seconds between two looks into an empty mailbox
WORKERS_PER_GPU = 4  # while models train in a plain loop one process cannot fill a GPU
TEMPORARY = "reno-ray-"  # Ray's own folder; AF_UNIX paths must stay below 107 bytes, so it lies in the system's temp


@dataclass(frozen=True, slots=True)
class Share:
    """What every worker gets, and how many work at once."""

    device: str  # cpu, cuda
    workers: int
    gpu: float = 0.0  # share of a GPU for each worker

    def resources(self) -> dict[str, float]:
        """In Tune's words."""
        return {"cpu": 1, "gpu": self.gpu} if self.gpu else {"cpu": 1}


def share(device: str, gpus: int | None, resources: Mapping[str, float]) -> Share:
    """One worker a core, or a few on each GPU; never silently another device than asked for.

    `resources` are the cluster's, in Ray's words; `gpus` limits how many are used (None: all).
    """
    cores, there = max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0))
    if device == "cuda" and not there:
        raise UserError("--device cuda: no GPU is visible to Ray on this machine\nuse --device cpu or --device auto")
    if gpus is not None and gpus > there:
        raise UserError(f"--gpus {gpus}: {there} GPUs are visible\nuse --gpus auto, or --device cpu")
    used = there if gpus is None else gpus
    if device == "cpu" or used == 0:
        return Share("cpu", cores)
    workers = min(cores, used * WORKERS_PER_GPU)
    return Share("cuda", workers, gpu=min(1.0, used / workers))


class CohortTrainable(tune.Trainable):
    """One Tune trial: trains a cohort to its end in one step. The process is reused for the next cohort."""

    def setup(self, config: dict[str, Any], data: Data, mailbox: Any, device: str) -> None:  # noqa: ARG002, D102
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
        return {"done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:  # noqa: ARG002, D102  # finished folds are the checkpoint
        return None

    def load_checkpoint(self, checkpoint: Any) -> None:  # noqa: ARG002, D102
        return None

    def _train(self, cohort: str, models: Sequence[Model]) -> None:
        from reno_sweeps.training.trainer import train_cohort

        stops: set[Key] = set()
        news: list[Event] = []
        posted = time.monotonic()
        for event in train_cohort(models, self._data, device=self._device, told_to_stop=stops.copy):
            news.append(event)
            if isinstance(event, FoldFinished | FoldFailed) or time.monotonic() - posted > BATCH:
                self._post(cohort, news)
                stops |= ray.get(self._mailbox.stops.remote())
                news, posted = [], time.monotonic()
        self._post(cohort, news)

    def _post(self, cohort: str, news: Sequence[Event]) -> None:
        ray.get(self._mailbox.post.remote(cohort, list(news)))  # waits: an event that was posted is not lost with us


class CohortSearcher(Searcher):
    """Hands Tune the ids of waiting cohorts; holds nothing else."""

    def __init__(self, mailbox: Any) -> None:
        super().__init__()
        self._mailbox = mailbox

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # noqa: ARG002, D102  # Tune's signature
        cohort = ray.get(self._mailbox.next.remote())
        if cohort == CLOSED:
            return Searcher.FINISHED
        return None if cohort is None else {"cohort": cohort}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:  # noqa: D102
        pass

    def save(self, checkpoint_path: str) -> None:  # noqa: D102
        pass

    def restore(self, checkpoint_path: str) -> None:  # noqa: D102
        pass


class _Obituaries(tune.Callback):
    """Tells the mailbox of cohorts whose workers died too often."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        reason = f"its worker process died {ATTEMPTS} times (killed from outside, or out of memory)"
        ray.get(self._mailbox.abandon.remote(trial.config["cohort"], reason))


class Dispatcher:
    """Workers that train the cohorts they are sent. Close it: `with Dispatcher(…) as dispatcher`."""

    def __init__(self, data: Data, *, address: str | None, device: str, gpus: int | None) -> None:
        self._folder = _start_ray(address)
        try:
            self.share = share(device, gpus, ray.cluster_resources())
        except UserError:
            self._stop_ray()
            raise
        self._mailbox: Any = ray.remote(num_cpus=0, max_concurrency=64)(Mailbox).remote()
        self._sent = 0
        self._closing = False
        self._died: BaseException | None = None
        self._tune = threading.Thread(target=self._run_tune, args=(data,), name="tune", daemon=True)
        self._tune.start()

    @property
    def capacity(self) -> int:
        """How many cohorts train at once."""
        return self.share.workers

    def send(self, models: Sequence[Model]) -> None:
        """Queue a cohort; workers take cohorts in the order in which they were sent."""
        cohort = f"cohort-{self._sent:05d}"
        self._sent += 1
        ray.get(self._mailbox.put.remote(cohort, list(models)))

    def take(self, wait: float) -> list[Event]:
        """News from the workers; waits at most `wait` seconds for some."""
        end = time.monotonic() + wait
        while True:
            if self._died is not None:
                raise RuntimeError("Ray Tune ended unexpectedly") from self._died
            for note in ray.get(self._mailbox.notes.remote()):
                logger.warning(note)
            news: list[Event] = ray.get(self._mailbox.take.remote())
            if news or time.monotonic() >= end:
                return news
            time.sleep(POLL)

    def stop(self, keys: Collection[Key]) -> None:
        """Tell models to leave at the end of their epoch; each answers with an event of its end."""
        ray.get(self._mailbox.stop.remote(set(keys)))

    def close(self, patience: float = 10.0) -> None:
        """End the workers, at once after `patience` seconds, and remove Ray's temporary folder."""
        self._closing = True
        ray.get(self._mailbox.close.remote())
        self._tune.join(timeout=patience)
        self._stop_ray()

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_tune(self, data: Data) -> None:
        try:
            _tuner(data, self._mailbox, self.share, self._folder).fit()
        except BaseException as error:  # noqa: BLE001  # a thread's death must reach the driver, whatever its cause
            if not self._closing:
                self._died = error

    def _stop_ray(self) -> None:
        ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)  # Ray never cleans its temporary folder


def _tuner(data: Data, mailbox: Any, part: Share, folder: Path) -> tune.Tuner:
    trainable = tune.with_parameters(CohortTrainable, data=data, mailbox=mailbox, device=part.device)
    return tune.Tuner(
        tune.with_resources(trainable, part.resources()),
        tune_config=tune.TuneConfig(search_alg=CohortSearcher(mailbox), num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            name="cohorts",
            storage_path=str(folder / "tune"),
            failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
            callbacks=[_Obituaries(mailbox)],
            verbose=0,
        ),
    )


def _start_ray(address: str | None) -> Path:
    """Start a private Ray on this machine, or join the cluster at `address`; returns the folder of temporary files."""
    _sweep_temporary()
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # its tracebacks of died workers; we say it in one line
    folder = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{os.getpid()}-"))  # mode 0700
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if address is not None:
        ray.init(address=address, **quiet)
        return folder
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)  # not ~/.ray: nothing is written outside home and cache
    ray.init(include_dashboard=False, _temp_dir=str(folder), **quiet)
    return folder


def _sweep_temporary() -> None:
    """Remove what killed drivers of this user left in the system's temporary folder."""
    import psutil

    for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*"):
        owner = folder.name.removeprefix(TEMPORARY).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)) and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)
