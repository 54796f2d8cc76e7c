"""Real overlap of training sets, cheaply: two simple classifiers on Gaussian clips, many data sets at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Learner = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def nearest_mean(heard: np.ndarray, truth: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Whether each clip is told right, [2, datasets, clips], by the class means of the clips outside `tested`.

    `heard` is [2, datasets, clips, width], `tested` [datasets, clips]. A stable learner: a clip more hardly moves it.
    """
    learned = (~tested[..., None]) & (truth[:, None] == np.arange(2))  # [datasets, clips, classes]
    means = np.einsum("xdcw,dck->xdkw", heard, learned) / learned.sum(1)[..., None]
    axis, middle = means[:, :, 1] - means[:, :, 0], means.mean(2)
    said = np.einsum("xdcw,xdw->xdc", heard - middle[:, :, None], axis) > 0
    return said == truth.astype(bool)


def nearest_clip(heard: np.ndarray, truth: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """The same by the single nearest clip: an unstable learner, one clip more changes what it says nearby."""
    squares = (heard**2).sum(-1)
    apart = squares[:, :, None] - 2 * np.einsum("xdcw,xdkw->xdck", heard, heard)  # up to a constant a row
    return truth[np.where(tested[:, None], np.inf, apart).argmin(-1)] == truth


def cross_validated(
    datasets: int,
    *,
    signals: tuple[float, float],
    repeats: int = 1,
    folds: int = 5,
    clips: int = 100,
    width: int = 5,
    seed: int = 0,
    learner: Learner = nearest_mean,
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
            tested = fold == number
            right = learner(heard, truth, tested)
            scores[:, :, repeat, number] = (right & tested).sum(-1) / tested.sum(-1)
    return scores[0], scores[1]
