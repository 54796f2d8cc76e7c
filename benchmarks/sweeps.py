"""Whole sweeps, the naive peer and ours in one run on one machine: trials an hour, time to a score, overhead, memory.

python benchmarks/sweeps.py [throughput] [race] [--full] [--trials 4] [--epochs 3] [--clips 400] [--rounds 1]
                            [--race-trials 6] [--seeds 1] [--more 4] [--pruner median] [--apart 1.5] [--folds 5]
                            [--cohort auto|K] [--workers N] [--data DIR] [--device cpu|cuda] [--output results.json]

Both sides: the same embeddings, folds, epochs and protocol (`selection: paper`: four folds train, the fifth stops and
selects), each a process of its own, timed from its start to its exit, all start-up and tracking included.
`throughput`: the same random configurations, all trained to the end (patience = epochs), sides in alternating order.
`race`: each side searches for itself (TPE); the peer ends after `--race-trials`; ours, with a pruner, may try `--more`
times as many within the peer's wall time, and is timed to the first trial that is at least as good as the peer's best,
where it ends. Memory: resident, summed over the process tree, twice a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import material
import numpy as np
import psutil
import starts
from machine import machine, show

HERE = Path(__file__).parent
SMALL: dict[str, float] = {
    "trials": 4,
    "epochs": 3,
    "clips": 400,
    "rounds": 1,
    "race_trials": 6,
    "seeds": 1,
    "apart": 1.5,
}
FULL: dict[str, float] = {
    "trials": 4,
    "epochs": 20,
    "clips": material.CLIPS,
    "rounds": 3,
    "race_trials": 8,
    "seeds": 5,
    "apart": material.APART,
}
PATIENCE = 10  # epochs, of the race; the paper's sizes
SIDES = ("peer", "ours")


@dataclass(frozen=True)
class Sizes:
    """How much is asked of both sides."""

    trials: int
    epochs: int
    clips: int
    rounds: int
    race_trials: int
    seeds: int
    more: int
    workers: int
    device: str
    precision: str
    cohort: str
    pruner: str


# --- one side, once ------------------------------------------------------------------------------------------------


class Memory(threading.Thread):
    """Watches the resident bytes of a process and all below it, twice a second, until `done`."""

    def __init__(self, number: int) -> None:
        super().__init__(daemon=True)
        self.done, self.peak, self._number = threading.Event(), 0, number

    def run(self) -> None:
        """Who ends meanwhile counts nothing."""
        while not self.done.is_set():
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(self._number)
                self.peak = max(self.peak, sum(map(_resident, [root, *root.children(recursive=True)])))
            self.done.wait(0.5)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def watched(command: Sequence[str]) -> dict[str, float]:
    """Run a command to its end: when it began, its wall seconds, the most memory its process tree held."""
    began = time.time()
    with tempfile.TemporaryFile() as said:  # a pipe would outlive the command in processes that it leaves behind
        child = subprocess.Popen(
            command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=said
        )
        memory = Memory(child.pid)
        memory.start()
        code = child.wait()
        wall = time.time() - began
        memory.done.set()
        said.seek(0)
        if code:
            raise RuntimeError(
                f"{' '.join(command)} ended with {code}:\n{said.read()[-3000:].decode(errors='replace')}"
            )
    return {"began": began, "wall_seconds": wall, "peak_memory_mb": memory.peak / 2**20}


def run_side(side: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """One side's sweep in folders of its own: its trials, and what was watched."""
    with tempfile.TemporaryDirectory(prefix=f"{side}-", ignore_cleanup_errors=True) as folder:
        place, found = Path(folder), Path(folder) / "found.json"
        own = {"tracking_uri": f"sqlite:///{place / 'mlflow.db'}", "home": str(place), "cache": str(place / "cache")}
        (place / "job.json").write_text(json.dumps({**job, **own}))
        command = [sys.executable, str(HERE / f"{side}.py"), str(place / "job.json"), str(found)]
        return {**watched(command), **json.loads(found.read_text())}


# --- the job -----------------------------------------------------------------------------------------------------


class Bench:
    """The data laid out once, and the jobs made of it."""

    def __init__(self, given: material.Material, sizes: Sizes, folder: Path) -> None:
        self.sizes, self._given, self._folder = sizes, given, folder
        table, encoders = given.write(folder)
        x, y = given.vectors.values()
        np.savez(folder / "arrays.npz", x=x, y=y, labels=given.labels)
        splits = [{"train": list(s.train), "validation": list(s.validation)} for s in given.splits()]
        self._common: dict[str, Any] = {
            "data": str(folder / "arrays.npz"), "splits": splits, "classes": len(given.corpus.classes),
            "corpus": str(table), "encoders": encoders, "search": material.SEARCH, "epochs": sizes.epochs,
            "device": sizes.device, "precision": sizes.precision, "workers": sizes.workers, "cohort": sizes.cohort,
            "time": None, "configurations": None,
        }  # fmt: skip

    def job(self, trials: int, *, patience: int, seed: int, sampler: str, pruner: str = "none") -> dict[str, Any]:
        """What both sides read; ours as a space file."""
        changed = {"epochs": self.sizes.epochs, "patience": patience, "n_folds": self._given.n_folds, "seed": seed}
        plain = material.space(trials, sampler=sampler, pruner=pruner, **changed)
        plain["fixed"]["training.precision"] = self.sizes.precision
        file = material.write_space(self._folder / f"{sampler}-{trials}-{seed}.yaml", plain)
        own, begin = {"trials": trials, "patience": patience, "seed": seed}, self._folder / f"starts-{seed}.npz"
        if not begin.is_file():
            np.savez(begin, **starts.starts(self._given, seed, self.sizes.epochs))
        return {**self._common, **own, "space": str(file), "starts": str(begin)}


def proposals(trials: int, seed: int) -> list[dict[str, Any]]:
    """The configurations that `sampler: random` will try, to be given to the peer."""
    from reno_sweeps.records import Budget, Objective
    from reno_sweeps.search.study import Proposer
    from reno_sweeps.space import distribution_from_dict

    search = {name: distribution_from_dict({"step": None, "log": False, **one}) for name, one in sorted_search()}
    budget = Budget(trials=trials, sampler="random", seed=seed)
    proposer = Proposer(search, budget, Objective(), ahead=trials + 1, epochs=1)
    return [proposer.propose(lambda _: None) for _ in range(trials)]  # type: ignore[arg-type,return-value]


def sorted_search() -> list[tuple[str, dict[str, Any]]]:
    """SEARCH in the order in which a sweep asks for its parameters: by name."""
    return sorted(material.SEARCH.items())


# --- trials an hour ----------------------------------------------------------------------------------------------


def throughput(bench: Bench) -> dict[str, Any]:
    """The same configurations to the end on both sides, round by round, whoever begins changes."""
    sizes = bench.sizes
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number in range(sizes.rounds):
        job = bench.job(sizes.trials, patience=sizes.epochs, seed=number, sampler="random")
        job["configurations"] = proposals(sizes.trials, number)
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            found[side].append(run_side(side, job))
        refuse_unlike(job, found["peer"][-1], found["ours"][-1])
    own = sizes.workers if sizes.device == "cpu" else 1  # one worker trains on a GPU
    rows = {
        "peer": summed(found["peer"], sizes.trials, sizes.workers),
        "ours": summed(found["ours"], sizes.trials, own),
    }
    ratios = [p["wall_seconds"] / o["wall_seconds"] for p, o in zip(found["peer"], found["ours"], strict=True)]
    return {**rows, "ratio": round(statistics.median(ratios), 2), "ratios": [round(one, 2) for one in ratios]}


def summed(runs: Sequence[Mapping[str, Any]], trials: int, workers: int) -> dict[str, Any]:
    """One side's rounds as medians."""
    walls = [run["wall_seconds"] for run in runs]
    training = [sum(trial["training_seconds"] for trial in run["trials"]) for run in runs]
    outside = [1 - t / (workers * wall) for t, wall in zip(training, walls, strict=True)]
    scores = [trial["objective"] for run in runs for trial in run["trials"]]
    return {
        "trials_per_hour": round(3600 * trials / statistics.median(walls), 1),
        "wall_seconds": [round(wall, 1) for wall in walls],
        "training_seconds": [round(one, 1) for one in training],  # summed over folds, without tracking
        "outside_training": round(statistics.median(outside), 3),  # share of the workers' time
        "peak_memory_mb": round(max(run["peak_memory_mb"] for run in runs)),
        "mean_objective": round(statistics.fmean(scores), 4),
    }


def refuse_unlike(job: Mapping[str, Any], peer: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Both sides must have trained the same configurations, on as many clips, for as many epochs."""

    def work(run: Mapping[str, Any]) -> list[Any]:
        folds = [[(f["epochs"], f["clips"]) for f in trial["folds"]] for trial in run["trials"]]
        values = [sorted(trial["values"].items()) for trial in run["trials"]]
        return sorted(zip(values, folds, strict=True))

    asked = sorted(sorted(values.items()) for values in job["configurations"])
    if not work(peer) == work(ours) or asked != [values for values, _ in work(ours)]:
        raise RuntimeError(f"the sides did not train the same:\n{work(peer)}\n{work(ours)}")


# --- time to a score ---------------------------------------------------------------------------------------------


def race(asked: Sequence[Bench]) -> dict[str, Any]:
    """Seconds until the peer's final best validation score, on both sides; medians over seeds.

    A seed is one of data, folds, models and samplers. All models of a side begin alike in every trial: with one seed
    for all races, whoever is luckier with it by one clip would win every race between good configurations.
    """
    rows = [race_once(bench, seed) for seed, bench in enumerate(asked)]
    return {
        "ratio_when_found": middle([row["ratio_when_found"] for row in rows]),
        "ratio_to_end": middle([row["ratio_to_end"] for row in rows]),
        "seeds": rows,
    }


def race_once(bench: Bench, seed: int) -> dict[str, Any]:
    """One seed: the peer's search to its end, then ours until it is as good."""
    sizes = bench.sizes
    asked: dict[str, Any] = {"patience": min(PATIENCE, sizes.epochs), "seed": seed, "sampler": "tpe"}
    peer = run_side("peer", bench.job(sizes.race_trials, **asked))
    job = bench.job(sizes.race_trials * sizes.more, **asked, pruner=sizes.pruner)
    target = max(trial["objective"] for trial in peer["trials"])
    ours = run_side("ours", {**job, "time": f"{math.ceil(peer['wall_seconds'])}s", "target": target})
    row = compared(peer, ours)
    print(f"race, seed {seed}: {json.dumps(row)}", file=sys.stderr, flush=True)  # a race takes minutes
    return row


def compared(peer: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """When each side had the peer's best; a score that ours never reached makes the ratios 0."""
    best = max(trial["objective"] for trial in peer["trials"])
    found, reached = seconds_to(best, peer), seconds_to(best, ours)
    states = [trial["state"] for trial in ours["trials"]]
    return {
        "score": round(best, 4),
        "peer_found_seconds": round(found or math.nan, 1),
        "peer_wall_seconds": round(peer["wall_seconds"], 1),
        "ours_seconds": None if reached is None else round(reached, 1),
        "ratio_when_found": 0.0 if reached is None or found is None else round(found / reached, 2),
        "ratio_to_end": 0.0 if reached is None else round(peer["wall_seconds"] / reached, 2),
        "peer_trials": len(peer["trials"]),
        "ours_trials": {state: states.count(state) for state in sorted(set(states))},
        "ours_best": max((t["objective"] for t in ours["trials"] if t["objective"] is not None), default=None),
    }


def seconds_to(score: float, run: Mapping[str, Any]) -> float | None:
    """From the process's start to the end of the first trial with at least this score; None: there is none."""
    good = [t["finished"] for t in run["trials"] if t["objective"] is not None and t["objective"] >= score]
    return min(good) - run["began"] if good else None


def middle(values: Sequence[float]) -> float:
    """The median, two digits."""
    return round(statistics.median(values), 2)


# --- the command -------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    """What was asked; sizes that are not given come from SMALL or, with --full, FULL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="throughput, race; both unless named")
    parser.add_argument("--full", action="store_true", help="the published size")
    for name, value in SMALL.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value))
    parser.add_argument("--more", type=int, default=4, help="ours may try so many times the peer's trials in the race")
    parser.add_argument("--pruner", choices=["median", "hyperband"], default="median", help="of ours in the race")
    parser.add_argument("--folds", type=int, default=material.FOLDS)
    parser.add_argument("--cohort", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="the peer's trials at once on a GPU; on CPUs all cores")
    parser.add_argument("--data", type=Path, help="real embeddings: manifest.csv, embeddings_*.npz")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["float32", "tf32", "bf16"], default="float32", help="of both sides")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if unknown := [part for part in options.parts if part not in {"throughput", "race"}]:
        parser.error(f"no part {unknown[0]!r}; there are throughput, race")
    for name, value in (FULL if options.full else SMALL).items():
        setattr(options, name, value if getattr(options, name) is None else getattr(options, name))
    return options


def main() -> None:
    """Print the figures; write them where asked."""
    options = arguments()
    if options.device == "cpu":
        options.workers = os.cpu_count() or 1  # as Ray counts them, for both sides
    sizes = Sizes(**{name: getattr(options, name) for name in Sizes.__dataclass_fields__})
    parts = options.parts or ["throughput", "race"]
    seeds = range(sizes.seeds if "race" in parts else 1)
    given = [material.chosen(options.data, sizes.clips, options.folds, options.apart, seed) for seed in seeds]
    before, found = machine(), {}
    with tempfile.TemporaryDirectory() as folder:
        benches = [Bench(one, sizes, Path(folder) / str(seed)) for seed, one in enumerate(given)]
        if "throughput" in parts:
            found["throughput"] = throughput(benches[0])
        if "race" in parts:
            found["race"] = race(benches)
    said = {**vars(sizes), **given[0].facts(), "full": options.full}
    show({"benchmark": "sweeps", "machine": before, "sizes": said, **found}, options.output)


if __name__ == "__main__":
    main()
