"""What selects never sees the test fold, and shuffled labels teach nothing: the way that sweeps take, from clips on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from reno_sweeps.folds import make_splits
from reno_sweeps.records import Cell, Clip, Corpus, FoldFinished, FoldResult, Model, Protocol, Sweep, Trial
from reno_sweeps.search.plan import Plan
from reno_sweeps.training.trainer import Data, train_cohort

LABELS = ("anger", "fear", "joy")
SPEAKERS, TAKES, FOLDS = 10, 4, 5
FIXED = {
    "training.epochs": 6,
    "training.patience": 1,
    "training.lr": 5e-3,
    "training.class_weights": "balanced",
    "trunk.positions": 4,
    "align.width": 16,
}


def toy() -> Corpus:
    """Ten speakers utter three emotions, unequally often; speaker s has fold s mod 5."""
    clips = [
        Clip(f"{label}/s{s}_{take}.wav", label, f"s{s}", s % FOLDS)
        for number, label in enumerate(LABELS)
        for s in range(SPEAKERS)
        for take in range(TAKES - number % 2)
    ]
    return Corpus("toy", Path("nowhere"), tuple(sorted(clips, key=lambda clip: clip.path)))


def numbers(corpus: Corpus) -> np.ndarray:
    return np.array([LABELS.index(clip.label) for clip in corpus.clips])


def heard(corpus: Corpus) -> Data:
    """Embeddings of two encoders: a cluster an emotion."""
    source, labels = np.random.default_rng(0), numbers(corpus)
    embeddings = {}
    for name, width in (("a", 20), ("b", 12)):
        centres, noise = source.normal(size=(3, width)), source.normal(size=(len(labels), width))
        embeddings[name] = (centres[labels] + noise).astype(np.float32)
    return Data(embeddings, labels, LABELS)


def models(corpus: Corpus, protocol: Protocol, head: str = "reno", **fixed: object) -> list[Model]:
    """A trial's models, one a fold, as the driver sends them."""
    sweep = Sweep("toy", "toy", (Cell(head, ("a", "b")),), {}, {**FIXED, **fixed}, protocol)
    plan = Plan(sweep, make_splits(corpus, protocol).splits, Path("nowhere"), ahead=1)
    return plan.models(Trial(0, 0, "running", {}))


def trained(found: list[Model], data: Data) -> list[FoldResult]:
    """Results in the models' order; they end in the order in which they stop."""
    results = {event.key: event.result for event in train_cohort(found, data) if isinstance(event, FoldFinished)}
    return [results[model.key] for model in found]


def spoiled(data: Data, rows: list[int]) -> Data:
    """The data with noise for features and labels of these rows."""
    source = np.random.default_rng(9)
    embeddings, labels = {name: x.copy() for name, x in data.embeddings.items()}, data.labels.copy()
    for x in embeddings.values():
        x[rows] = 1e6 * source.normal(size=(len(rows), x.shape[1]))
    labels[rows] = source.integers(0, len(LABELS), len(rows))
    return Data(embeddings, labels, data.classes)


def selects(result: FoldResult) -> tuple[object, ...]:
    """Everything of a fold but its test and its clock, bit for bit."""
    weights = {name: weight.tobytes() for name, weight in (result.weights or {}).items()}
    probabilities = result.validation_probabilities.tobytes()
    return result.curves, result.best_epoch, result.epochs, result.validation, probabilities, weights


@pytest.mark.parametrize("kind", ["given", "speaker", "stratified"])
def test_noise_in_the_test_clips_of_a_fold_changes_nothing_of_that_fold_but_its_test(kind):
    corpus = toy()
    data, found = heard(corpus), models(corpus, Protocol(kind))
    true = trained(found, data)

    for model, result in zip(found, true, strict=True):
        (noisy,) = trained([model], spoiled(data, list(model.split.test)))
        assert selects(noisy) == selects(result)
        assert noisy.test != result.test
    assert {name for name in true[0].weights if name.startswith("standardize")}
    assert any(result.best_epoch < result.epochs for result in true)  # some had to go back to their best


def test_labels_of_a_given_fold_do_not_decide_who_trains_and_who_stops():
    corpus, protocol = toy(), Protocol("given")
    data, splits = heard(corpus), make_splits(corpus, protocol).splits

    for fold, split in enumerate(splits):
        labels = spoiled(data, list(split.test)).labels
        clips = [dataclasses.replace(c, label=LABELS[n]) for c, n in zip(corpus.clips, labels, strict=True)]
        again = make_splits(dataclasses.replace(corpus, clips=tuple(clips)), protocol).splits
        assert again[fold] == split


@pytest.mark.parametrize("head", ["linear", "concat"])
def test_shuffled_labels_give_chance_where_true_ones_are_learned(head):
    corpus, source, hits = toy(), np.random.default_rng(4), []
    data, fixed = heard(corpus), {"training.lr": 2e-3, "training.epochs": 12, "training.patience": 12}
    for _ in range(2):
        mixed = source.permutation(data.labels)
        clips = [dataclasses.replace(c, label=LABELS[n]) for c, n in zip(corpus.clips, mixed, strict=True)]
        found = models(dataclasses.replace(corpus, clips=tuple(clips)), Protocol("stratified"), head, **fixed)
        hits += [r.test["accuracy"] for r in trained(found, dataclasses.replace(data, labels=mixed))]
    true = [r.test["accuracy"] for r in trained(models(corpus, Protocol("stratified"), head, **fixed), data)]

    assert np.mean(hits) == pytest.approx(1 / 3, abs=0.12)  # 220 answers: almost four standard deviations
    assert np.mean(true) > 0.6
