"""Rows that belong together are told from rows that do not."""

from __future__ import annotations

import numpy as np
import pytest

from reno_sweeps.compare.alignment import alignment, one_hot
from reno_sweeps.records import UserError


def pair(seed: int, clips: int = 60, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    labels = np.arange(clips) % 4
    hidden = dice.standard_normal((4, 5))[labels] + noise * dice.standard_normal((clips, 5))
    a, b = (hidden @ dice.standard_normal((5, width)) for width in (12, 20))
    return a + 0.1 * dice.standard_normal(a.shape), b + 0.1 * dice.standard_normal(b.shape), labels


def test_aligned_rows_agree_more_than_any_shuffled_ones() -> None:
    a, b, labels = pair(0)

    assert alignment(a, b, np.random.default_rng(1)).p == pytest.approx(1 / 200)
    assert alignment(a, one_hot(labels), np.random.default_rng(1)).p < 0.01
    assert alignment(a, a, np.random.default_rng(1)).agreement == pytest.approx(1.0)


def test_rows_in_another_order_agree_as_shuffled_ones_do() -> None:
    found = []
    for seed in range(40):
        a, b, _ = pair(seed)
        order = np.random.default_rng(seed).permutation(len(b))
        found.append(alignment(a, b[order], np.random.default_rng(seed), permutations=99).p)

    assert 0.3 < np.mean(found) < 0.7
    assert sum(p <= 0.05 for p in found) <= 6


def test_agreement_is_symmetric_and_blind_to_scale_and_shift() -> None:
    a, b, _ = pair(3)
    one = alignment(a, b, np.random.default_rng(0)).agreement

    assert alignment(b, a, np.random.default_rng(0)).agreement == pytest.approx(one)
    assert alignment(5 * a + 3, b, np.random.default_rng(0)).agreement == pytest.approx(one)


def test_equal_clips_say_nothing_and_too_few_are_refused() -> None:
    assert alignment(np.ones((9, 3)), np.ones((9, 2)), np.random.default_rng(0)).p == 1.0
    with pytest.raises(UserError, match="at least five"):
        alignment(np.ones((4, 3)), np.ones((4, 3)), np.random.default_rng(0))
    with pytest.raises(UserError, match="9 and 8 rows"):
        alignment(np.ones((9, 3)), np.ones((8, 3)), np.random.default_rng(0))
