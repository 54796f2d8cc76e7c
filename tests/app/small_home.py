"""A home with a sweep that nobody trained: real files, a real study, probabilities drawn from a hat."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from reno_sweeps.app import nested, opening, stored
from reno_sweeps.config.settings import gather
from reno_sweeps.config.sweep_file import Overrides, open_space
from reno_sweeps.folds import make_splits
from reno_sweeps.records import FoldResult, FoldScore, Key, Split
from reno_sweeps.search.fold_files import FoldFiles
from reno_sweeps.search.ledger import Ledger
from reno_sweeps.training.configuration import search_of

SPACE = """
name: small
head: linear
corpus: demo
encoders: [mfcc, log-mel]
search:
  training.weight_decay: {{type: float, low: 0.01, high: 3.0, log: true}}
  training.class_weights: {{type: categorical, choices: [none, balanced]}}
protocol: {{n_folds: 3, selection: {selection}}}
budget: {{trials: 4, sampler: random}}
"""


def make_home(
    home: Path, *, name: str = "small", selection: str = "validation", space: str | None = None, **options: Any
) -> opening.Opened:
    """A finished sweep of 4 trials (complete, complete, failed, waiting) on the demo corpus; the second is the best."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / "small.yaml"
    file.write_text(space or SPACE.format(selection=selection))
    read = open_space(str(file), Overrides())
    opened = opening.open_sweep(read.sweep, gather({"home": home, "name": name, **options}), read.text)
    folds = make_splits(opened.corpus, opened.sweep.protocol)
    stored.write_data(opened.folder, opened.corpus, folds, opened.sweep.protocol)
    facts = {"ahead": 8, "identity": opened.identity}
    url, way = opened.settings.storage, opened.sweep.objective.direction
    ledger = Ledger(url, name, direction=way, facts=facts)
    fill(ledger, opened, opened.folder, folds.splits)
    ledger.keep("lease", None)
    ledger.keep("parent_run_id", "0" * 32)
    ledger.keep("asked", 4)
    owner = Key("refit 1", 0, 0)
    score = FoldFiles(opened.folder).write(owner, result(folds.splits[0], len(opened.corpus.classes)), folds.splits[0])
    ledger.keep("extra:refit 1:0:0", score.to_dict())
    if selection == "nested":
        study = nested.study_of(name, 0, 1)
        facts = {"ahead": 8, "identity": nested.identity_of(opened.identity, 0, 1)}
        inner = Ledger(url, study, direction=way, facts=facts)
        fill(inner, opened, opened.folder / nested.folder_of(0, 1), folds.splits[:2])
    return opened


def fill(ledger: Ledger, opened: opening.Opened, folder: Path, splits: tuple[Split, ...]) -> None:
    """Four trials with their files."""
    search, classes = search_of(opened.sweep, opened.sweep.cells[0]), len(opened.corpus.classes)
    files = FoldFiles(folder)
    for number in range(4):
        ledger.add(0, {"training.weight_decay": 0.1 + number / 3, "training.class_weights": "none"}, search)
        if number == 3:
            continue
        ledger.claim(number, time.time())
        for fold, split in enumerate(splits):
            drawn = result(split, classes, seed=number)
            ledger.keep_fold(number, files.write(Key(f"trial {number}", 0, fold), drawn, split))
        if number == 2:
            ledger.tell(2, "failed", now=time.time(), reason=f"FileNotFoundError: {folder}/secret place/x.wav is gone")
        else:
            ledger.tell(number, "complete", now=time.time(), objective=0.25 + number / 3, curve=(0.1, 1 / 3))


def result(split: Split, classes: int, seed: int = 0) -> FoldResult:
    """What a fold might leave."""
    draw = np.random.default_rng(seed)

    def answers(rows: tuple[int, ...]) -> Any:
        return draw.dirichlet(np.ones(classes), len(rows)).astype(np.float32)

    metrics = {"accuracy": 0.5, "macro_f1": 1 / 3, "uar": 0.25, "cross_entropy": 1.5}
    return FoldResult(
        best_epoch=2,
        epochs=3,
        seed=2**62 + 1,
        sizes={"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        validation=metrics,
        test=metrics,
        test_f1=(0.5,) * classes,
        test_confusion=((1,) * classes,) * classes,
        curves={"val_macro_f1": (0.1, 1 / 3, 0.2), "loss": (1.0, 0.5, 0.25)},
        parameters=12,
        seconds=0.1,
        finished=1.7e9 + 1 / 3,
        validation_probabilities=answers(split.validation),
        test_probabilities=answers(split.test),
        weights={"weight": draw.normal(size=(4, 3)).astype(np.float32)},
    )


def scores(ledger: Ledger) -> list[tuple[FoldScore, ...]]:
    """Trial by trial."""
    return [trial.scores for trial in ledger.trials]
