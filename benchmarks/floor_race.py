"""Time to a score on the training floor alone: cohorts that race against plain torch, one trial after another.

python benchmarks/floor_race.py [--device cpu|cuda] [--trials 16] [--more 4] [--seeds 0,1,2,3,4] [--epochs 20]
                                [--clips 1085] [--folds 5] [--precision float32|tf32|bf16] [--data DIR]
                                [--output results.json]

Both sides take random configurations from one list, in its order, train with patience 10 and select on the fifth fold.
The peer: one process, `--trials` of them, each trial after the other. Ours: `--more` times as many in one cohort, of
which the worse half is told to stop after each quarter of the epochs, by the mean over folds of their best validation
macro-F1 so far. The clock runs from warm processes to the first whole trial that is as good as the peer's best.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import floor
import material
import naive
import torch
from machine import machine, show

from reno_sweeps.records import EpochEnded, Event, FoldFinished, FoldStopped, Key, Model
from reno_sweeps.training.configuration import resolve
from reno_sweeps.training.trainer import train_cohort

PATIENCE = 10
Ended = list[tuple[float, float]]  # seconds after the start, validation macro-F1: a pair a whole trial


@dataclass(frozen=True)
class Heard:
    """What one side did: its whole trials, its seconds in all, how many trials it gave up."""

    ended: Ended
    seconds: float
    pruned: int = 0


class Halving:
    """Successive halving: after every quarter of the epochs the worse half of the trials is told to stop."""

    def __init__(self, models: Sequence[Model], epochs: int) -> None:
        self._keys: defaultdict[str, set[Key]] = defaultdict(set)
        for model in models:
            self._keys[model.key.owner].add(model.key)
        self._rungs = sorted({max(1, epochs * quarter // 4) for quarter in (1, 2, 3)} - {epochs})
        self._best: dict[Key, float] = {}
        self._round = 0
        self._alive = set(self._keys)

    def hear(self, event: Event) -> None:
        """Take in a fold's epoch."""
        if isinstance(event, EpochEnded):
            self._round = max(self._round, event.epoch)
            value = event.metrics["val_macro_f1"]
            self._best[event.key] = max(self._best.get(event.key, 0.0), value)

    def stops(self) -> set[Key]:
        """Every model whose trial was given up; asked between rounds."""
        if self._rungs and self._round >= self._rungs[0]:
            del self._rungs[0]
            ranked = sorted(self._alive, key=self._mean, reverse=True)
            self._alive = set(ranked[: math.ceil(len(ranked) / 2)])
        return {key for owner, keys in self._keys.items() if owner not in self._alive for key in keys}

    @property
    def pruned(self) -> int:
        """How many trials were given up."""
        return len(self._keys) - len(self._alive)

    def _mean(self, owner: str) -> float:
        return statistics.fmean(self._best.get(key, 0.0) for key in self._keys[owner])


def ours(asked: floor.Asked, seed: int, count: int) -> Heard:
    """One cohort of so many configurations, racing."""
    given = asked.material()
    data, splits = given.data(), given.splits()
    fixed: dict[str, Any] = {
        "training.epochs": asked.epochs,
        "training.patience": PATIENCE,
        "training.precision": asked.precision,
    }
    models = [
        Model(Key(f"trial {n}", 0, fold), "reno", tuple(given.vectors), resolve("reno", values, fixed), fold, split)
        for n, values in enumerate(material.configurations(count, seed))
        for fold, split in enumerate(splits)
    ]
    warm = floor.configured(given, [floor.brief(splits[0])], replace(asked, epochs=1), 1)
    floor.trained(warm, data, asked.device)
    halving, scores, ended = Halving(models, asked.epochs), defaultdict(list), []
    began = time.perf_counter()
    for event in train_cohort(models, data, device=asked.device, told_to_stop=halving.stops):
        halving.hear(event)
        if isinstance(event, FoldFinished):
            scores[event.key.owner].append(event.result.validation["macro_f1"])
            if len(scores[event.key.owner]) == len(splits):
                ended.append((time.perf_counter() - began, statistics.fmean(scores[event.key.owner])))
        elif not isinstance(event, EpochEnded | FoldStopped):
            raise ValueError(f"{event.key} failed: {event.reason}")  # noqa: TRY004  # an event, not a type
    return Heard(ended, time.perf_counter() - began, halving.pruned)


def peer(asked: floor.Asked, seed: int) -> Heard:
    """The first configurations of the same list, one after another, their folds in turn."""
    torch.set_num_threads(1)
    task, given = floor.task_of(asked)
    task, splits = replace(task, patience=PATIENCE), given.splits()
    configurations = material.configurations(asked.trials, seed)
    first = floor.brief(splits[0])
    naive.fit(replace(task, epochs=1), first.train, first.validation, configurations[0], seed=0)
    ended: Ended = []
    began = time.perf_counter()
    for values in configurations:
        folds = [naive.fit(task, s.train, s.validation, values, seed=fold) for fold, s in enumerate(splits)]
        score = statistics.fmean(one.scores["val_macro_f1"] for one in folds)
        ended.append((time.perf_counter() - began, score))
    return Heard(ended, time.perf_counter() - began)


def compared(theirs: Heard, own: Heard) -> dict[str, Any]:
    """When each side had the peer's best; a score that ours never reached makes the ratios 0."""
    best = max(score for _, score in theirs.ended)
    found = min(seconds for seconds, score in theirs.ended if score >= best)
    reached = min((seconds for seconds, score in own.ended if score >= best), default=None)
    return {
        "score": round(best, 4),
        "peer_found_seconds": round(found, 2),
        "peer_seconds": round(theirs.seconds, 2),
        "ours_seconds": None if reached is None else round(reached, 2),
        "ours_all_seconds": round(own.seconds, 2),
        "ratio_when_found": 0.0 if reached is None else round(found / reached, 2),
        "ratio_to_end": 0.0 if reached is None else round(theirs.seconds / reached, 2),
        "pruned": own.pruned,
    }


def race(asked: floor.Asked, seeds: Sequence[int], more: int) -> dict[str, Any]:
    """Both sides for every seed, each in a process of its own; medians."""
    rows = []
    for seed in seeds:
        theirs = floor.in_process(peer, asked, seed)
        rows.append(compared(theirs, floor.in_process(ours, asked, seed, asked.trials * more)))
    medians = {
        name: round(statistics.median(r[name] for r in rows), 2) for name in ("ratio_when_found", "ratio_to_end")
    }
    return {**medians, "seeds": rows}


def main() -> None:
    """Print the figures; write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--trials", type=int, default=16, help="the peer's")
    parser.add_argument("--more", type=int, default=4, help="ours may try so many times as many")
    parser.add_argument("--seeds", type=floor.numbers, default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--clips", type=int, default=material.CLIPS)
    parser.add_argument("--folds", type=int, default=material.FOLDS)
    parser.add_argument("--precision", choices=["float32", "tf32", "bf16"], default="float32", help="of both sides")
    parser.add_argument("--data", type=Path, help="real embeddings: manifest.csv, embeddings_*.npz")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    asked = floor.Asked(**{name: getattr(options, name) for name in floor.Asked.__dataclass_fields__})
    given = asked.material()
    asked = replace(asked, folds=given.n_folds)
    sizes = {**given.facts(), **{n: v for n, v in asdict(asked).items() if n not in {"data", "clips", "folds"}}}
    sizes |= {"more": options.more, "seeds": options.seeds}
    before = machine()
    found = race(asked, options.seeds, options.more)
    show({"benchmark": "floor_race", "machine": before, "sizes": sizes, "race": found}, options.output)


if __name__ == "__main__":
    main()
