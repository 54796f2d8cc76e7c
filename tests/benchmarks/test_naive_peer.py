"""The naive peer is a fair one: the same network, objective and protocol, and scores like ours."""

from __future__ import annotations

import math
import statistics

import material
import naive
import numpy as np
import pytest
import torch

from reno_sweeps.heads import reno
from reno_sweeps.losses.renyi import renyi_divergence
from reno_sweeps.records import FoldFinished, FoldResult, Key, Model
from reno_sweeps.training.configuration import resolve
from reno_sweeps.training.trainer import train_cohort

EPOCHS, SEEDS = 4, 4
VALUES = {
    "renyi.beta": 2.0,
    "renyi.delta": 1e-3,
    "loss.lambda": 0.7,
    "attention.heads": 2,
    "training.lr": 1e-3,
}


def small() -> material.Material:
    """What the benchmarks train on, in little; a few epochs learn some of it."""
    return material.clusters(clips=180, widths=(24, 32), n_folds=3, apart=1.0)


def task(given: material.Material, patience: int = EPOCHS) -> naive.Task:
    x, y = (torch.from_numpy(v) for v in given.vectors.values())
    return naive.Task(x, y, torch.from_numpy(given.labels), len(given.corpus.classes), EPOCHS, patience)


def peers(given: material.Material, seed: int) -> list[naive.Fitted]:
    return [naive.fit(task(given), s.train, s.validation, VALUES, seed=100 * seed + f) for f, s in folds(given)]


def folds(given: material.Material) -> list[tuple[int, material.Split]]:
    return list(enumerate(given.splits()))


def ours(given: material.Material, seed: int) -> list[FoldResult]:
    values = resolve("reno", VALUES, {"training.epochs": EPOCHS, "training.patience": EPOCHS})
    models = [Model(Key("m", seed, f), "reno", ("a", "b"), values, 100 * seed + f, split) for f, split in folds(given)]
    events = list(train_cohort(models, given.data()))
    return [event.result for event in events if isinstance(event, FoldFinished)]


def test_the_peers_network_is_ours() -> None:
    for heads in (1, 8):
        network = naive.Reno(6, heads=heads)

        assert sum(p.numel() for p in network.parameters()) == reno.parameter_count(reno.Params(), (768, 960), 6)


@pytest.mark.parametrize(("beta", "delta"), [(1.05, 1.0), (2.0, 0.2), (10.0, 1e-6)])
def test_the_peers_divergence_is_the_papers_and_finite_in_the_whole_space(beta: float, delta: float) -> None:
    dice = torch.Generator().manual_seed(0)
    za, zb = (torch.randn(16, 256, generator=dice) * 3 for _ in range(2))

    found = naive.divergence(za, zb, beta, delta)

    ours = float(renyi_divergence(za, zb, beta, delta).mean())
    assert float(found) == pytest.approx(ours, rel=1e-2)  # float32, as users compute it, loses digits near zero


def test_the_peers_score_is_ours() -> None:
    from reno_sweeps import metrics

    dice = np.random.default_rng(0)
    truth, said = dice.integers(0, 5, 40), dice.integers(0, 4, 40)  # class 5 never occurs, class 4 is never said

    assert naive.macro_f1(truth, said, 6) == metrics.macro_f1(metrics.confusion(said, truth, 6))


@pytest.mark.slow
def test_both_sides_reach_the_same_scores_with_the_same_work() -> None:
    given = small()
    theirs = [one for seed in range(SEEDS) for one in peers(given, seed)]
    own = [one for seed in range(SEEDS) for one in ours(given, seed)]

    a = [one.scores["val_macro_f1"] for one in theirs]
    b = [one.validation["macro_f1"] for one in own]
    noise = math.sqrt(statistics.variance(a) / len(a) + statistics.variance(b) / len(b))

    assert {(f.epochs, f.clips) for f in theirs} == {(r.epochs, r.sizes["train"]) for r in own}
    assert statistics.fmean(a) > 0.4  # six classes: something was learned
    assert abs(statistics.fmean(a) - statistics.fmean(b)) < 3 * noise


def test_the_peer_stops_early_and_keeps_its_best_weights() -> None:
    given = small()
    heard: list[float] = []
    found = naive.fit(
        task(given, patience=1),
        *(given.splits()[0].train, given.splits()[0].validation),
        {**VALUES, "training.lr": 0.05},
        seed=0,
        told=lambda _, metrics: heard.append(metrics["val_cross_entropy"]),
    )

    assert found.epochs == len(heard)
    assert heard[found.best_epoch - 1] == min(heard)
    assert found.scores["val_cross_entropy"] == pytest.approx(min(heard))
    assert found.epochs == EPOCHS or found.epochs == found.best_epoch + 1
