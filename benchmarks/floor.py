"""The training floor alone, for machines without Ray, MLflow and Optuna: cohorts against plain torch processes.

python benchmarks/floor.py [--device cpu|cuda] [--cohorts 1,8,64,256] [--concurrent 1,2,4,8,16,32] [--small]
                           [--epochs 20] [--clips 1085] [--folds 5] [--rounds 1] [--trials 1]
                           [--precision float32|tf32|bf16] [--nested] [--data DIR] [--output results.json]

Reno on 768 + 960, all folds, all epochs (patience = epochs), `selection: paper`. Ours: `train_cohort` with so many
configurations times folds, a process a cohort. The peer: so many processes at once, each training `--trials`
configurations one after another, its folds in turn; none of the orchestration that a user would have beside it. More
processes are tried until more give less. Every process is warm (device opened, kernels found) before its clock runs.
--nested: what the nested protocol costs (of five folds: 5 × (8 × 4 + 1) = 165 trainings) beside the peer's 12 of the
leaky habit.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any, TypeVar

import material
import naive
import torch
from machine import machine, show

from reno_sweeps.folds import make_splits, refit_split
from reno_sweeps.records import Corpus, FoldFailed, FoldFinished, Key, Model, Protocol, Split, seed_from
from reno_sweeps.training.configuration import resolve
from reno_sweeps.training.trainer import train_cohort

T = TypeVar("T")
SEARCHED, LEAKY = 8, 12  # configurations of each outer fold; trainings of the leaky habit
_START: Any = None  # the barrier of the peer's processes


@dataclass(frozen=True)
class Asked:
    """What every process is told."""

    data: Path | None
    clips: int
    folds: int
    epochs: int
    trials: int
    device: str
    precision: str

    def material(self) -> material.Material:
        """The same in every process: it is seeded."""
        return material.chosen(self.data, self.clips, self.folds)


@dataclass(frozen=True)
class Timed:
    """What one process found."""

    began: float  # Unix time
    ended: float
    trainings: int
    host_mb: float  # most that it held
    device_mb: float
    scores: tuple[float, ...]


def timed(began: float, scores: Sequence[float], device: str) -> Timed:
    """Read the clocks and the memory."""
    ended = time.time()
    gpu = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0.0
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Timed(began, ended, len(scores), host, gpu, tuple(scores))


# --- ours --------------------------------------------------------------------------------------------------------


def configured(given: material.Material, splits: Sequence[Split], asked: Asked, count: int) -> list[Model]:
    """So many configurations on every split, all trained to the end."""
    fixed: dict[str, Any] = {
        "training.epochs": asked.epochs,
        "training.patience": asked.epochs,
        "training.precision": asked.precision,
    }
    return [
        Model(Key(f"trial {n}", 0, fold), "reno", tuple(given.vectors), resolve("reno", values, fixed), fold, split)
        for n, values in enumerate(material.configurations(count))
        for fold, split in enumerate(splits)
    ]


def ours(asked: Asked, cohort: int) -> Timed:
    """One cohort, in a process of its own."""
    given = asked.material()
    data, splits = given.data(), given.splits()
    warm = replace(asked, epochs=1)
    trained(configured(given, [brief(splits[0])], warm, 1), data, asked.device)
    began = time.time()
    found = trained(configured(given, splits, asked, cohort), data, asked.device)
    return timed(began, [score for score, _ in found.values()], asked.device)


def trained(models: Sequence[Model], data: Any, device: str) -> dict[Key, tuple[float, int]]:
    """Each model's validation macro-F1 (the test's, where it has no validation part) and best epoch."""
    found = {}
    for event in train_cohort(models, data, device=device):
        if isinstance(event, FoldFailed):
            raise ValueError(f"{event.key} failed: {event.reason}")  # noqa: TRY004  # an event, not a type
        if isinstance(event, FoldFinished):
            scores = event.result.validation or event.result.test
            found[event.key] = (scores["macro_f1"], event.result.best_epoch)
    return found


def brief(split: Split) -> Split:
    """Two steps."""
    return Split(split.train[: 2 * naive.BATCH], split.validation, split.test)


def nested(asked: Asked) -> Timed:
    """The nested protocol: all inner trainings of all outer folds together, then the winners' refits."""
    given = asked.material()
    data, outer = given.data(), given.splits()
    trained(configured(given, [brief(outer[0])], replace(asked, epochs=1), 1), data, asked.device)
    began = time.time()
    models = [model for number, split in enumerate(outer) for model in inner(given, split, asked, number)]
    found = trained(models, data, asked.device)
    refits = [refit(number, split, models, found) for number, split in enumerate(outer)]
    tested = trained(refits, data, asked.device)
    return timed(began, [score for score, _ in (*found.values(), *tested.values())], asked.device)


def inner(given: material.Material, outer: Split, asked: Asked, number: int) -> list[Model]:
    """An outer fold's search: its configurations on the other folds, each of which is held out in turn and stops."""
    rows = outer.train
    corpus = Corpus("inner", Path(), tuple(given.corpus.clips[row] for row in rows))
    folds = make_splits(corpus, Protocol(n_folds=given.n_folds - 1, selection="paper")).splits
    splits = [Split(*(tuple(rows[r] for r in part) for part in (s.train, s.validation, s.test))) for s in folds]
    return [
        replace(model, key=replace(model.key, repeat=number), seed=seed_from(number, model.seed))
        for model in configured(given, splits, asked, SEARCHED)
    ]


def refit(number: int, outer: Split, models: Sequence[Model], found: dict[Key, tuple[float, int]]) -> Model:
    """The outer fold's best configuration on all its training clips, for the median of its best epochs."""
    own = [model for model in models if model.key.repeat == number]
    trials = sorted({model.key.owner for model in own})
    of = {trial: [found[model.key] for model in own if model.key.owner == trial] for trial in trials}
    winner = max(trials, key=lambda trial: statistics.fmean(score for score, _ in of[trial]))
    model = next(model for model in own if model.key.owner == winner)
    epochs = max(1, int(statistics.median(epoch for _, epoch in of[winner])))
    return replace(model, key=Key("refit", number), split=refit_split(outer), epochs=epochs)


# --- the peer ----------------------------------------------------------------------------------------------------


def peer(asked: Asked, number: int) -> Timed:
    """One of the peer's processes: configurations one after another, their folds in turn."""
    torch.set_num_threads(1)
    try:
        task, given = task_of(asked)
        splits = given.splits()
        configurations = material.configurations(asked.trials, seed=number)
        first = brief(splits[0])
        naive.fit(replace(task, epochs=1), first.train, first.validation, configurations[0], seed=0)
        _START.wait(600)
    except BaseException:
        _START.abort()  # nobody waits for a process that cannot begin
        raise
    began = time.time()
    scores = [
        naive.fit(task, split.train, split.validation, values, seed=fold).scores["val_macro_f1"]
        for values in configurations
        for fold, split in enumerate(splits)
    ]
    return timed(began, scores, asked.device)


def task_of(asked: Asked) -> tuple[naive.Task, material.Material]:
    """Data on the device."""
    given = asked.material()
    x, y = (torch.from_numpy(v).to(asked.device) for v in given.vectors.values())
    labels = torch.from_numpy(given.labels).to(asked.device)
    classes = len(given.corpus.classes)
    return naive.Task(x, y, labels, classes, asked.epochs, asked.epochs, asked.precision), given


# --- measuring ---------------------------------------------------------------------------------------------------


def keep_start(barrier: Any) -> None:
    """In each of the peer's processes."""
    global _START  # noqa: PLW0603  # a barrier is inherited, never sent
    _START = barrier


def in_process(work: Callable[..., T], *given: Any) -> T:
    """One call in a new process: its memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def at_once(asked: Asked, count: int) -> list[Timed]:
    """So many of the peer's processes, begun together."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(count)
    with ProcessPoolExecutor(count, mp_context=context, initializer=keep_start, initargs=(start,)) as pool:
        waiting = [pool.submit(peer, asked, number) for number in range(count)]
        faults = [fault for one in waiting if (fault := one.exception()) is not None]
        for fault in sorted(faults, key=lambda fault: isinstance(fault, BrokenBarrierError)):
            raise fault  # the cause first: who waited for it broke with the barrier
        return [one.result() for one in waiting]


def summed(found: Sequence[Timed], folds: int) -> dict[str, float]:
    """Trials an hour of processes that ran together, and their memory."""
    seconds = max(one.ended for one in found) - min(one.began for one in found)
    trials = sum(one.trainings for one in found) / folds
    return {
        "trials": round(trials, 1),
        "seconds": round(seconds, 2),
        "trials_per_hour": round(3600 * trials / seconds, 1),
        "host_mb": round(sum(one.host_mb for one in found)),
        "device_mb": round(sum(one.device_mb for one in found)),
        "mean_macro_f1": round(statistics.fmean(score for one in found for score in one.scores), 4),
    }


def middle(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """The round of median speed."""
    return sorted(rounds, key=lambda one: one["trials_per_hour"])[len(rounds) // 2]


def peers(asked: Asked, counts: Sequence[int], rounds: int) -> dict[str, dict[str, float]]:
    """The peer with more and more processes, until more give less or do not fit."""
    found: dict[str, dict[str, float]] = {}
    best = 0.0
    for count in counts:
        try:
            found[str(count)] = middle([summed(at_once(asked, count), asked.folds) for _ in range(rounds)])
        except torch.OutOfMemoryError:
            break
        rate = found[str(count)]["trials_per_hour"]
        if rate < best:
            break
        best = max(best, rate)
    return found


def measure(asked: Asked, options: argparse.Namespace) -> dict[str, Any]:
    """Both sides, and their ratios."""
    theirs = peers(asked, options.concurrent, options.rounds)
    one, best = theirs[str(options.concurrent[0])], max(row["trials_per_hour"] for row in theirs.values())
    cohorts = {}
    for cohort in options.cohorts:
        row = middle([summed([in_process(ours, asked, cohort)], asked.folds) for _ in range(options.rounds)])
        row["over_one_at_a_time"] = round(row["trials_per_hour"] / one["trials_per_hour"], 2)
        row["over_peers_best"] = round(row["trials_per_hour"] / best, 2)
        cohorts[str(cohort)] = row
    found: dict[str, Any] = {"peer": theirs, "ours": cohorts}
    if options.nested:
        found["nested"] = beside_leaky(in_process(nested, asked), one["seconds"] / (one["trials"] * asked.folds))
    return found


def beside_leaky(found: Timed, seconds: float) -> dict[str, float]:
    """The nested protocol's seconds beside the peer's for 12 trainings, one at a time."""
    own, leaky = found.ended - found.began, LEAKY * seconds
    return {
        "trainings": found.trainings,
        "seconds": round(own, 1),
        "peer_seconds_for_12": round(leaky, 1),
        "share_of_peers_12": round(own / leaky, 2),
    }


def numbers(text: str) -> list[int]:
    """'1,8,64'."""
    return [int(part) for part in text.split(",")]


def settled(options: argparse.Namespace) -> argparse.Namespace:
    """What was not given, by device and size."""
    gpu = options.device == "cuda"
    epochs = (4 if gpu else 2) if options.small else 20
    options.cohorts = options.cohorts or ([1, 8, 64, 256] if gpu else [1, 2, 4])
    options.concurrent = options.concurrent or ([1, 2, 4, 8, 16, 32] if gpu else [1, 2, 4])
    options.epochs = options.epochs or epochs
    options.clips = options.clips or (300 if options.small and not gpu else material.CLIPS)
    return options


def main() -> None:
    """Print the figures; write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cohorts", type=numbers, help="1,8,64,256 on cuda, 1,2,4 on cpu")
    parser.add_argument("--concurrent", type=numbers, help="the peer's processes: 1,2,4,8,16,32 on cuda, 1,2,4 on cpu")
    parser.add_argument("--small", action="store_true", help="minutes: few epochs, on cpu few clips")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--clips", type=int)
    parser.add_argument("--folds", type=int, default=material.FOLDS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--trials", type=int, default=1, help="configurations of each of the peer's processes")
    parser.add_argument("--precision", choices=["float32", "tf32", "bf16"], default="float32", help="of both sides")
    parser.add_argument("--nested", action="store_true")
    parser.add_argument("--data", type=Path, help="real embeddings: manifest.csv, embeddings_*.npz")
    parser.add_argument("--output", type=Path)
    options = settled(parser.parse_args())
    asked = Asked(**{name: getattr(options, name) for name in Asked.__dataclass_fields__})
    given = asked.material()
    asked = replace(asked, folds=given.n_folds)
    if options.nested and given.n_folds < 3:
        parser.error(f"--nested with {given.n_folds} folds: an outer fold needs two others at least")
    before = machine()
    sizes = {**given.facts(), "epochs": asked.epochs, "device": asked.device, "precision": asked.precision}
    sizes |= {"peer_trials": asked.trials, "rounds": options.rounds}
    show({"benchmark": "floor", "machine": before, "sizes": sizes, **measure(asked, options)}, options.output)


if __name__ == "__main__":
    main()
