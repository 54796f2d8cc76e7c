"""A feature that holds the label is found, whatever it is written as; honest features are let alone."""

from __future__ import annotations

import numpy as np
import pytest

from reno_sweeps.compare.telltale import LEAST, SUSPICIOUS, telltale
from reno_sweeps.records import UserError

LABELS = np.array(["anger", "fear", "joy", "sadness"])[np.arange(80) % 4]


def honest(seed: int = 0, dim: int = 600) -> np.ndarray:
    """Every feature knows something of the label: as far apart as strong real ones."""
    dice = np.random.default_rng(seed)
    return 0.6 * dice.standard_normal((4, dim))[np.arange(80) % 4] + dice.standard_normal((80, dim))


@pytest.mark.parametrize(
    "column",
    [np.arange(80) % 4, -(np.arange(80.0) % 4), (np.arange(80) % 4 == 2) * 1.0, 100 * (np.arange(80) % 4) + 0.1],
    ids=["number", "negated", "one class", "scaled"],
)
def test_a_label_in_a_feature_is_found(column: np.ndarray) -> None:
    vectors = honest()
    vectors[:, 411] = column
    found = telltale(vectors, LABELS)

    assert found is not None
    assert (found.feature, found.area) == (411, 1.0)


def test_honest_features_are_not_suspicious() -> None:
    areas = [found.area for seed in range(5) if (found := telltale(honest(seed, 64), LABELS)) is not None]

    assert len(areas) == 5
    assert max(areas) < SUSPICIOUS


def test_the_area_is_mann_and_whitneys() -> None:
    from sklearn.metrics import roc_auc_score

    vectors = honest(1, 3).round(1)  # with ties
    found = telltale(vectors, LABELS)
    assert found is not None
    area = roc_auc_score(found.label == LABELS, vectors[:, found.feature])

    assert found.area == pytest.approx(max(area, 1 - area), abs=1e-12)


def test_few_clips_are_parted_by_chance_and_say_nothing() -> None:
    labels = np.array(["a"] * (LEAST - 1) + ["b"] * (LEAST - 1))

    assert telltale(np.arange(2.0 * (LEAST - 1))[:, None], labels) is None


def test_vectors_must_be_of_the_labels() -> None:
    with pytest.raises(UserError, match="3 vectors for 80 labels"):
        telltale(np.zeros((3, 2)), LABELS)
