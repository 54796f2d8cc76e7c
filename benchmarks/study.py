"""A search of many small trials: where the wall time goes. Search and tracking should be a small part of it.

python benchmarks/study.py [--trials 1000] [--epochs 4] [--pruner none] [--cohort auto|K] [--output results.json]

The command's own code path (Ray, Optuna's SQLite storage, MLflow's SQLite store) on the linear head, five folds of the
demo corpus. The driver's wall time is divided into what it waited for trainings and what it did itself; MLflow is
written by a thread beside it, whose processor seconds are told apart, since on a busy machine they too are paid for.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a worker, as the sweeps train

from machine import machine, show

SPACE = """name: many
head: linear
corpus: demo
encoders: [mfcc]
search:
  training.lr:              {{type: float, low: 1e-4, high: 1e-1, log: true}}
  training.weight_decay:    {{type: float, low: 1e-4, high: 1.0, log: true}}
  training.dropout:         {{type: float, low: 0.0, high: 0.6}}
  training.label_smoothing: {{type: float, low: 0.0, high: 0.2}}
fixed: {{training.epochs: {epochs}}}
budget: {{trials: {trials}, sampler: tpe, pruner: {pruner}}}
"""


class Clock:
    """Seconds by name: of the wall where the driver calls, of the processor where the mirror's thread does."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def around(self, owner: type, method: str, name: str, now: Callable[[], float] = time.perf_counter) -> None:
        """Have every call of the method counted."""
        real = getattr(owner, method)

        def timed(*args: Any, **options: Any) -> Any:
            began = now()
            try:
                return real(*args, **options)
            finally:
                self.seconds[name] += now() - began

        setattr(owner, method, timed)


@contextlib.contextmanager
def counted(clock: Clock) -> Iterator[None]:
    """Everything that the split names is counted from now on."""
    from reno_sweeps.search.candidates import Candidates
    from reno_sweeps.search.dispatch import Dispatcher
    from reno_sweeps.search.driver import Driver
    from reno_sweeps.search.fold_files import FoldFiles
    from tracking.mirror import Mirror
    from tracking.writer import Writer

    clock.around(Driver, "search", "searching")
    clock.around(Driver, "_take_in", "search")
    clock.around(Candidates, "propose", "proposals")
    clock.around(FoldFiles, "write_all", "fold_files")
    clock.around(Dispatcher, "take", "waiting_for_trainings")
    for method in ("open_sweep", "drain", "write", "close"):
        clock.around(Writer, method, "tracking_waited_for")
    clock.around(Mirror, "write", "tracking_processor", time.thread_time)
    yield


def sweep(options: argparse.Namespace, folder: Path, clock: Clock) -> dict[str, Any]:
    """One sweep from nothing; what `run --json` would print, with the trainings' own seconds."""
    from reno_sweeps import Sweep
    from reno_sweeps.app import stored

    space = folder / "many.yaml"
    space.write_text(SPACE.format(epochs=options.epochs, trials=options.trials, pruner=options.pruner))
    where = {"home": str(folder / "home"), "cache": str(folder / "cache"), "device": options.device}
    with counted(clock):
        result = Sweep.from_yaml(space, cohort=options.cohort, **where).run(quiet=options.quiet)
    trials = stored.load(result.name, result.home).trials
    training = sum(score.seconds for trial in trials for score in trial.scores)
    epochs = [score.epochs for trial in trials for score in trial.scores]
    return {**result.summary, "training_seconds": training, "epochs": statistics.mean(epochs)}


def split(found: dict[str, Any], clock: Clock, wall: float, workers: int) -> dict[str, object]:
    """The wall time by part; `study_and_tracking` is what the search costs beside trainings."""
    seconds = clock.seconds
    search = seconds["search"]
    study = search + seconds["tracking_waited_for"]
    parts = {
        "wall": wall,
        "search": search,
        "proposals": seconds["proposals"],
        "ledger": search - seconds["proposals"] - seconds["fold_files"],
        "fold_files": seconds["fold_files"],
        "training": found["training_seconds"] / workers,
        "waiting_for_trainings": seconds["waiting_for_trainings"],
        "tracking_waited_for": seconds["tracking_waited_for"],
        "tracking_processor": seconds["tracking_processor"],
        "study_and_tracking": study,
        "rest": wall - study - seconds["waiting_for_trainings"],
    }
    return {
        "trials": found["trials"],
        "mean_epochs": round(found["epochs"], 2),
        "workers": workers,
        "trials_per_hour": round(found["trials"]["asked"] / seconds["searching"] * 3600),
        "seconds": {name: round(value, 2) for name, value in parts.items()},
        "study_and_tracking_share": round(study / wall, 4),
        "ms_a_trial": round(study / found["trials"]["asked"] * 1000, 1),
        "ms_a_trial_with_the_mirrors_processor": round(
            (search + max(seconds["tracking_processor"], seconds["tracking_waited_for"]))
            / found["trials"]["asked"]
            * 1000,
            1,
        ),
    }


def main() -> None:
    """Print the split; write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--pruner", default="none")
    parser.add_argument("--cohort", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    clock = Clock()
    before = machine()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        found = sweep(options, Path(folder), clock)
        wall = time.perf_counter() - began
    asked = {"epochs": options.epochs, "pruner": options.pruner, "cohort": options.cohort}
    workers = int(before["cores"]) if options.device == "cpu" else 1
    show({"machine": before, "asked": asked, **split(found, clock, wall, workers)}, options.output)


if __name__ == "__main__":
    main()
