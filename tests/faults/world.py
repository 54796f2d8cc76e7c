"""A small real sweep in a world of its own: home, cache, temporary folder, and processes that bear its mark."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile

REPOSITORY = Path(__file__).parents[2]
NAME = "faulty"
MARK = "RENO_FAULTS_WORLD"
PATIENCE = 400.0  # seconds in which anything that is waited for happens, on a busy machine too
DISK, TRIAL = 40, 2  # MB of the small disk that a home may lie on: at first, and for each trial
SPACE = """
name: faulty
head: linear
corpus: {corpus}
encoders: [log-mel]
search:
  training.weight_decay: {{type: float, low: 0.001, high: 10.0, log: true}}
  training.lr: {{type: float, low: 1e-4, high: 1e-1, log: true}}
fixed: {{training.epochs: 400, training.patience: 150, training.precision: float64}}
protocol: {{n_folds: 3}}
budget: {{trials: 12, sampler: random, seed: 7}}
"""


@dataclass(frozen=True)
class Told:
    """A trial as the study has it, to the letter."""

    state: str
    objective: float | None
    params: tuple[tuple[str, float], ...]
    folds: dict[str, str]  # 'fold:0:1' → the stored JSON

    @property
    def ended(self) -> bool:
        return self.state not in {"RUNNING", "WAITING"}

    @property
    def scores(self) -> list[tuple[Any, ...]]:
        """What a fold found, without its times."""
        kept = [json.loads(text) for _, text in sorted(self.folds.items())]
        return [(s["validation"], s["test"], s["best_epoch"], s["epochs"], s["seed"], s["sha256"]) for s in kept]


Picture = dict[int, Told]


def write_question(folder: Path) -> Path:
    """A corpus of 36 short noisy tones of three kinds, and a space file that asks about it."""
    draw = np.random.default_rng(0)
    for label, pitch in (("anger", 200), ("fear", 400), ("joy", 800)):
        (folder / "clips" / label).mkdir(parents=True)
        for number in range(12):
            tone = np.sin(2 * np.pi * pitch * (1 + 0.5 * draw.normal()) * np.arange(4800) / 16_000)
            noisy = 0.2 * tone + 0.3 * draw.normal(size=4800)
            soundfile.write(folder / "clips" / label / f"{number:02d}.wav", noisy.astype(np.float32), 16_000)
    space = folder / "faulty.yaml"
    space.write_text(SPACE.format(corpus=folder / "clips"))
    return space


@dataclass
class World:
    """`with World(folder, space, trials) as world`: a home with its stores in it, and the driver's process."""

    folder: Path
    space: Path
    trials: int
    small_disk: bool = False
    kind: str = "local"
    prefix: tuple[str, ...] = ()  # of a driver's command line: where it runs
    driver: subprocess.Popen[bytes] | None = None
    starts: int = 0
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def sweep(self) -> Path:
        return self.home / "sweeps" / NAME

    @property
    def study(self) -> Path:
        return self.home / "studies.db"

    @property
    def mlflow(self) -> Path:
        """The SQLite file of MLflow's store."""
        return self.home / "mlflow.db"

    @property
    def clock(self) -> Path:
        return self.folder / "clock"

    @property
    def log(self) -> Path:
        """What the last driver said."""
        return self.folder / f"driver-{self.starts:03d}.log"

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def __enter__(self) -> World:
        self.home.mkdir(parents=True)
        if self.small_disk:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK + TRIAL * self.trials}m", "tmpfs", str(self.home)]
            subprocess.run(mount, check=True, capture_output=True)
        self.temporary = Path(tempfile.mkdtemp(prefix="f", dir="/tmp"))  # short: Ray's sockets lie below it
        return self

    def __exit__(self, *_: object) -> None:
        self.end_all()
        shutil.rmtree(self.temporary, ignore_errors=True)
        if self.small_disk:
            subprocess.run(["umount", "--lazy", str(self.home)], check=False, capture_output=True)

    # --- processes ---

    def environment(self) -> dict[str, str]:
        """Of drivers; whatever they begin inherits the mark."""
        path = [str(Path(__file__).parent / "clock"), str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RENO_", "MLFLOW_", "RAY_ADDRESS"))}
        own = {
            "RENO_HOME": str(self.home), "RENO_CACHE": str(self.cache), "TMPDIR": str(self.temporary), MARK: self.mark,
            "RENO_FAULTS_CLOCK": str(self.clock), "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true",
        }  # fmt: skip
        return {**kept, **own}

    def line(self, *arguments: str) -> list[str]:
        """A command of ours."""
        return [*self.prefix, sys.executable, "-m", "reno_sweeps.cli", *arguments]

    def start(self) -> subprocess.Popen[bytes]:
        """Begin the sweep, or go on with it, as the leader of a session of its own."""
        asked = ["--trials", str(self.trials)]
        run = ["run", "--space", str(self.space), "--name", NAME, "--no-baselines", "--cohort", "1", *asked]
        command = ["resume", NAME, *asked] if (self.sweep / "sweep.json").exists() else run
        self.starts += 1
        with self.log.open("wb") as log:
            self.driver = subprocess.Popen(
                self.line(*command), stdout=log, stderr=log, env=self.environment(), start_new_session=True
            )
        return self.driver

    @property
    def driven(self) -> bool:
        """Whether the driver lives."""
        return self.driver is not None and self.driver.poll() is None

    def wait(self, seconds: float = PATIENCE) -> int:
        """The driver's exit code, once it has ended."""
        assert self.driver is not None
        return self.driver.wait(seconds)

    def kill(self) -> None:
        """kill -9 of the driver alone."""
        assert self.driver is not None
        self.driver.kill()
        self.driver.wait()

    def processes(self) -> list[psutil.Process]:
        """All that live and bear the mark: drivers, and whatever these began, wherever it went since."""
        mark, found = f"{MARK}={self.mark}".encode(), []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, psutil.Error):
                if mark in (place / "environ").read_bytes().split(b"\0"):
                    process = psutil.Process(int(place.name))
                    if process.status() != psutil.STATUS_ZOMBIE:
                        found.append(process)
        return found

    def rays(self) -> list[psutil.Process]:
        """The processes that Ray began: workers, raylet, its store of the cluster, agents."""
        drivers = {self.driver.pid} if self.driver else set()
        return [process for process in self.processes() if process.pid not in drivers]

    def workers(self) -> list[psutil.Process]:
        """Those that train."""
        return [process for process in self.rays() if "Trainable" in named(process)]

    def end_all(self) -> None:
        """kill -9 of everything of this world."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.driver is not None:
            self.driver.wait()

    # --- the study ---

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the study's storage, which nobody here writes to."""
        if not self.study.exists():
            return []
        for _ in range(100):
            try:
                with closing(sqlite3.connect(f"file:{self.study}?mode=ro", uri=True, timeout=5)) as study:
                    return study.execute(query).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                if not self.driven:
                    return self._rows_of_copy(query)
                time.sleep(0.02)
        raise TimeoutError(f"{self.study} cannot be read")

    def _rows_of_copy(self, query: str) -> list[tuple[Any, ...]]:
        """A killed writer leaves a journal, which a reader has to play back: in a copy."""
        with tempfile.TemporaryDirectory() as folder:
            for file in self.home.glob("studies.db*"):
                shutil.copy(file, folder)
            with closing(sqlite3.connect(Path(folder) / "studies.db")) as study:
                return study.execute(query).fetchall()

    def told(self) -> Picture:
        """Every trial, to the letter."""
        trials = self.rows(
            "select t.number, t.state, v.value from trials t left join trial_values v on v.trial_id = t.trial_id"
        )
        params: dict[int, list[tuple[str, float]]] = {}
        for number, name, value in self.rows(
            "select t.number, p.param_name, p.param_value from trials t"
            " join trial_params p on p.trial_id = t.trial_id order by p.param_name"
        ):
            params.setdefault(number, []).append((name, value))
        folds: dict[int, dict[str, str]] = {}
        for number, key, value in self.rows(
            "select t.number, a.key, a.value_json from trials t"
            " join trial_user_attributes a on a.trial_id = t.trial_id where a.key like 'fold:%'"
        ):
            if value != "null":
                folds.setdefault(number, {})[key] = value
        return {n: Told(state, v, tuple(params.get(n, ())), folds.get(n, {})) for n, state, v in trials}

    def folds(self) -> int:
        """How many folds are stored."""
        found = self.rows("select count(*) from trial_user_attributes where key like 'fold:%' and value_json <> 'null'")
        return int(found[0][0]) if found else 0

    def left(self) -> int:
        """How many trials are still to end."""
        return self.trials - sum(told.ended for told in self.told().values())


def named(process: psutil.Process) -> str:
    """Its command line; '' where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def until(true: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.02)


# --- stores that are servers, behind a cable -----------------------------------------------------------------


class Cable:
    """A network namespace for drivers, joined with this machine by two virtual interfaces."""

    def __init__(self) -> None:
        self.name = f"rf{os.getpid()}"
        block = os.getpid() % 200
        self.here, self.there = f"10.213.{block}.1", f"10.213.{block}.2"

    def __enter__(self) -> Cable:
        one, two = f"{self.name}a", f"{self.name}b"
        with contextlib.ExitStack() as undone:
            _ip("netns", "add", self.name)
            undone.callback(_ip, "netns", "del", self.name)
            _ip("link", "add", one, "type", "veth", "peer", "name", two, "netns", self.name)
            _ip("addr", "add", f"{self.here}/30", "dev", one)
            _ip("link", "set", one, "up")
            _ip("-n", self.name, "addr", "add", f"{self.there}/30", "dev", two)
            _ip("-n", self.name, "link", "set", two, "up")
            _ip("-n", self.name, "link", "set", "lo", "up")
            undone.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        _ip("link", "del", f"{self.name}a")
        _ip("netns", "del", self.name)

    def cut(self) -> None:
        """Nothing passes: what is sent is lost without a word."""
        _ip("link", "set", f"{self.name}a", "down")

    def mend(self) -> None:
        """What is sent arrives again."""
        _ip("link", "set", f"{self.name}a", "up")


def cable_is_permitted() -> bool:
    """Whether this user may make network namespaces."""
    if shutil.which("ip") is None:
        return False
    try:
        with Cable():
            return True
    except subprocess.CalledProcessError:
        return False


def disk_is_permitted() -> bool:
    """Whether this user may mount a small disk."""
    if shutil.which("mount") is None or os.geteuid():
        return False
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=False, capture_output=True)
        if done.returncode:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
