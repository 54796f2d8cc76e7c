"""Metrics equal scikit-learn's, and say what they do where a class is absent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from reno_sweeps import metrics


@st.composite
def folds(draw):
    """Logits [n, classes] and labels [n] of a small fold; classes may be absent."""
    classes, n = draw(st.integers(2, 7)), draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    return generator.normal(size=(n, classes)).astype(np.float32), generator.integers(0, classes, n)


@settings(max_examples=100, deadline=None)
@given(folds())
def test_scores_are_scikit_learns(fold):
    logits, labels = fold
    predicted = logits.argmax(1)
    occurring = sorted({*labels, *predicted})
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "macro_f1": sklearn_metrics.f1_score(labels, predicted, labels=occurring, average="macro", zero_division=0),
        "uar": sklearn_metrics.recall_score(labels, predicted, labels=sorted({*labels}), average="macro"),
        "cross_entropy": sklearn_metrics.log_loss(
            labels,
            np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(1, keepdims=True),
            labels=range(logits.shape[1]),
        ),
    }

    assert metrics.score(logits, labels) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(folds())
def test_confusion_and_f1_by_class_are_scikit_learns(fold):
    logits, labels = fold
    classes, predicted = logits.shape[1], logits.argmax(1)
    counts = metrics.confusion(predicted, labels, classes)
    f1 = sklearn_metrics.f1_score(labels, predicted, labels=range(classes), average=None, zero_division=0)
    absent = [c not in {*labels, *predicted} for c in range(classes)]

    assert counts.tolist() == sklearn_metrics.confusion_matrix(labels, predicted, labels=range(classes)).tolist()
    assert [0.0 if v is None else v for v in metrics.f1_by_class(counts)] == pytest.approx(f1.tolist())
    assert [v is None for v in metrics.f1_by_class(counts)] == absent


def test_a_class_that_nobody_has_or_names_is_left_out():
    counts = np.array([[2, 1, 0], [0, 3, 0], [0, 0, 0]])  # F1: 2·2/(2+3), 2·3/(4+3), absent; recall: 2/3, 1

    assert metrics.f1_by_class(counts) == (pytest.approx(0.8), pytest.approx(6 / 7), None)
    assert metrics.macro_f1(counts) == pytest.approx((0.8 + 6 / 7) / 2)
    assert metrics.uar(counts) == pytest.approx((2 / 3 + 1) / 2)


def test_a_class_predicted_but_absent_counts_in_f1_and_not_in_uar():
    counts = np.array([[3, 1], [0, 0]])

    assert metrics.macro_f1(counts) == pytest.approx((2 * 3 / 7 + 0) / 2)
    assert metrics.uar(counts) == pytest.approx(0.75)


def test_extreme_logits_have_a_finite_cross_entropy():
    logits = np.array([[1e4, -1e4], [1e4, -1e4]], np.float32)

    assert metrics.cross_entropy(logits, np.array([0, 1])) == pytest.approx(1e4)


def test_scores_are_plain_numbers():
    found = metrics.score(np.eye(3, dtype=np.float32), np.arange(3))

    assert {type(v) for v in found.values()} == {float}
