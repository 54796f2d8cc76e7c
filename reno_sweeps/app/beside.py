"""What is trained beside the search, on the same folds: the linear and the majority baseline, the winner's refit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

from reno_sweeps.records import Key, Model, Split, Trial, seed_from
from reno_sweeps.reports import summary

if TYPE_CHECKING:
    from reno_sweeps.search.plan import Plan
    from reno_sweeps.training.data import Data

# The linear baseline's own settings: enough decay and patience that early stopping is not what regularises it.
# gpvad + silero on emogator6, given folds, validation protocol: macro-F1 54.9
# (scikit-learn's on as many clips: 53.6–55.2)
LINEAR = {"training.lr": 1e-3, "training.weight_decay": 3.0, "training.epochs": 300, "training.patience": 20}


def linear_models(plan: Plan, best: Trial) -> list[Model]:
    """The linear baseline on the winner's encoders, fold by fold."""
    from reno_sweeps.training.configuration import cell_of, resolve

    encoders = cell_of(plan.sweep.cells[best.cell], best.proposal).encoders
    owner, values = summary.linear_owner(encoders), resolve("linear", LINEAR, {})
    places = [(plan.place(index), split) for index, split in enumerate(plan.splits)]
    return [Model(Key(owner, *p), "linear", encoders, values, plan.seed(*p), split) for p, split in places]


def refit_models(plan: Plan, best: Trial) -> list[Model]:
    """The winner on training and validation parts together, for the median of its best epochs."""
    from reno_sweeps.folds import refit_split

    epochs = max(1, round(median(score.best_epoch for score in best.scores)))
    owner = f"refit {best.number}"
    return [
        replace(model, key=replace(model.key, owner=owner), split=refit_split(model.split), epochs=epochs)
        for model in plan.models(best)
    ]


SHUFFLED = "#shuffled"  # behind an encoder's id: the same embeddings, each at another clip


def control_models(plan: Plan, best: Trial) -> list[Model]:
    """The winner once more, every clip with another one's embeddings: what it reaches then is chance, or a leak."""
    owner = summary.control_owner(best.number)
    return [
        replace(
            model,
            key=replace(model.key, owner=owner),
            encoders=tuple(f"{encoder}{SHUFFLED}" for encoder in model.encoders),
        )
        for model in plan.models(best)
    ]


def shuffled(arrays: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Embeddings [clips, dim] of every encoder in one other order of the clips, under names of their own."""
    import numpy as np

    clips = len(next(iter(arrays.values())))
    order = np.random.default_rng(seed_from(seed, "shuffled")).permutation(clips)
    return {f"{encoder}{SHUFFLED}": vectors[order] for encoder, vectors in arrays.items()}


def aligned(arrays: Mapping[str, Any], labels: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Every encoder's rows against the labels, and every two encoders' against each other: agreement, chance, p.

    Embeddings whose rows are another clip's know nothing of the labels, nor of other embeddings.
    """
    import itertools

    import numpy as np

    from reno_sweeps.compare.alignment import alignment, one_hot

    columns = {**arrays, "labels": one_hot(np.array(labels))}
    pairs = [(encoder, "labels") for encoder in arrays] + list(itertools.combinations(arrays, 2))
    found = []
    for a, b in pairs:
        one = alignment(columns[a], columns[b], np.random.default_rng(seed_from(seed, "alignment", a, b)))
        found.append({"a": a, "b": b, "agreement": one.agreement, "shuffled": one.shuffled, "p": one.p})
    return found


def telltales(arrays: Mapping[str, Any], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Of every encoder the feature that tells a class from the others best: one that does so wholly holds the label."""
    import numpy as np

    from reno_sweeps.compare.telltale import telltale

    own = np.array(labels)
    found = [(encoder, telltale(vectors, own)) for encoder, vectors in arrays.items()]
    return [
        {"encoder": encoder, "feature": one.feature, "label": one.label, "area": one.area}
        for encoder, one in found
        if one is not None
    ]


def majority(data: Data, splits: Sequence[Split]) -> dict[str, Any]:
    """Test metrics of always saying the most frequent class of the training part: what deaf ears reach."""
    import numpy as np

    from reno_sweeps import metrics

    found: dict[str, list[float]] = {metric: [] for metric in summary.TEST}
    for split in splits:
        frequent = np.bincount(data.labels[list(split.train)], minlength=len(data.classes)).argmax()
        labels = data.labels[list(split.test)]
        counts = metrics.confusion(np.full(len(labels), frequent), labels, len(data.classes))
        for metric, folds in found.items():
            folds.append(float(getattr(metrics, metric)(counts)))
    return {metric: {**summary.spread(folds), "folds": folds} for metric, folds in found.items()}
