"""Real overlap of training sets, cheaply: nearest-mean classifiers on Gaussian clips, many data sets at once."""

from __future__ import annotations

import numpy as np


def cross_validated(
    datasets: int,
    *,
    signals: tuple[float, float],
    repeats: int = 1,
    folds: int = 5,
    clips: int = 100,
    width: int = 5,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies [datasets, repeats, folds] of two classifiers on the same folds of the same clips.

    Each hears `width` features of its own; `signals` is the distance of the two classes in each of them. With equal
    signals the two are equally good over data sets: exactly the null of Nadeau & Bengio.
    """
    generator = np.random.default_rng(seed)
    truth = np.arange(clips) % 2
    noise = generator.normal(size=(2, datasets, clips, width))
    heard = noise + np.array(signals)[:, None, None, None] * (truth - 0.5)[:, None]
    scores = np.empty((2, datasets, repeats, folds))
    for repeat in range(repeats):
        order = generator.permuted(np.tile(np.arange(clips // 2) % folds, (datasets, 2, 1)), axis=-1)
        fold = order.transpose(0, 2, 1).reshape(datasets, clips)  # stratified: as many of each class in every fold
        for number in range(folds):
            scores[:, :, repeat, number] = _accuracy(heard, truth, fold == number)
    return scores[0], scores[1]


def _accuracy(heard: np.ndarray, truth: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """[2, datasets]: trained on the clips outside `tested` [datasets, clips]."""
    learned = (~tested[..., None]) & (truth[:, None] == np.arange(2))  # [datasets, clips, classes]
    means = np.einsum("xdcw,dck->xdkw", heard, learned) / learned.sum(1)[..., None]
    axis = means[:, :, 1] - means[:, :, 0]
    middle = means.mean(2)
    said = np.einsum("xdcw,xdw->xdc", heard - middle[:, :, None], axis) > 0
    right = said == truth.astype(bool)
    return (right & tested).sum(-1) / tested.sum(-1)
