"""Early stopping, standardisation and the objective's settings, seen through whole trainings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reno_sweeps import metrics
from reno_sweeps.records import Key
from reno_sweeps.training.data import FLOOR, Data, measure
from reno_sweeps.training.export import load, save
from reno_sweeps.training.objective import balanced

ONE = Key("trial 0")
FAST = {"training.epochs": 40, "training.patience": 3, "training.lr": 2e-2}


@pytest.mark.parametrize("head", ["cnn", "reno"])
def test_the_kept_weights_are_those_of_the_best_epoch(head, data, model, finish, tmp_path):
    learner = model(head, values=FAST)
    result = finish([learner], data)[ONE]
    entropy = result.curves["val_cross_entropy"]
    facts = [{"id": encoder} for encoder in learner.encoders]
    dims = data.dims(learner.encoders)
    save(
        tmp_path / "m",
        weights=result.weights,
        head=head,
        values=learner.values,
        encoders=facts,
        classes=data.classes,
        dims=dims,
    )
    rows = list(learner.split.validation)
    again = load(tmp_path / "m").probabilities({name: x[rows] for name, x in data.embeddings.items()})

    assert result.best_epoch == int(np.argmin(entropy)) + 1
    assert again.tobytes() == result.validation_probabilities.tobytes()
    assert metrics.score(np.log(again), data.labels[rows])["cross_entropy"] == pytest.approx(min(entropy), rel=1e-5)
    assert {f"val_{n}": v for n, v in result.validation.items()} == pytest.approx(
        {n: values[result.best_epoch - 1] for n, values in result.curves.items() if n.startswith("val_")}, rel=1e-12
    )


def test_training_stops_once_patience_is_spent(data, model, finish):
    result = finish([model(values=FAST)], data)[ONE]

    assert result.epochs == result.best_epoch + 3 < 40


def test_what_comes_after_the_best_epoch_leaves_no_trace(data, model, finish):
    stopped = finish([model(values=FAST)], data)[ONE]
    exact = finish([model(values=FAST, epochs=stopped.best_epoch)], data)[ONE]

    assert all(exact.weights[name].tobytes() == w.tobytes() for name, w in stopped.weights.items())
    assert exact.test == stopped.test


def test_standardisation_is_the_training_clips_own_and_saved(data, model, finish):
    result = finish([model()], data)[ONE]
    seen = data.embeddings["a"][:66].astype(np.float64)

    np.testing.assert_allclose(result.weights["standardize.0.mean"], seen.mean(0), rtol=1e-12)
    np.testing.assert_allclose(result.weights["standardize.0.std"], seen.std(0), rtol=1e-12)


def test_standardised_values_have_a_floor_and_a_limit():
    x = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0], [1.0, 1e-9, 2.0]], np.float32)
    scaled = measure(x, [0, 1, 2])(torch.tensor([[1.0, 1e-9, 1e9], [1.0, 0.0, 1.0], [2.0, 0.0, -1e9]]))
    deviation = FLOOR  # of the first two entries: they hardly move

    assert scaled[:, 2].tolist() == [10.0, 0.0, -10.0]
    assert scaled[:, 0].tolist() == [0.0, 0.0, 10.0]
    assert scaled[0, 1].item() == pytest.approx((1e-9 - 1e-9 / 3) / deviation, rel=1e-6)


def test_the_scale_of_an_encoder_does_not_matter_where_it_is_standardised(data, model, finish):
    larger = Data({n: x * 1024 for n, x in data.embeddings.items()}, data.labels, data.classes)
    plain, large = (finish([model()], d)[ONE] for d in (data, larger))

    assert large.curves == plain.curves


def test_without_standardisation_embeddings_enter_as_they_are(data, model, finish):
    results = [finish([model(values={"training.standardize": s})], data)[ONE] for s in ("train", "none")]

    assert results[0].curves != results[1].curves
    assert not [name for name in results[1].weights if name.startswith("standardize")]


def test_class_weights_are_of_the_training_clips_alone(data, model, finish):
    rare = data.labels.copy()
    rare[:60] = 0
    changed = rare.copy()
    changed[93:] = 0  # the test clips
    outcomes = [
        finish([model(values={"training.class_weights": "balanced"})], Data(data.embeddings, labels, data.classes))[ONE]
        for labels in (rare, changed)
    ]

    assert balanced(torch.tensor([0, 0, 0, 1]), 3).tolist() == [4 / 9, 4 / 3, 0.0]
    assert outcomes[0].curves == outcomes[1].curves


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("training.label_smoothing", 0.2),
        ("training.class_weights", "balanced"),
        ("training.weight_decay", 10.0),
        ("training.grad_clip", 1e-3),
        ("training.warmup_epochs", 3),
        ("training.dropout", 0.6),
        ("training.batch_size", 5),
        ("loss.lambda", 0.9),
        ("renyi.beta", 20.0),
        ("renyi.delta", 1e-6),
        ("renyi.symmetric", True),
        ("attention.heads", 4),
        ("attention.fusion_heads", 8),
        ("trunk.kind", "linear"),
        ("trunk.positions", 3),
        ("align.width", 16),
    ],
)
def test_every_setting_changes_what_is_learned(name, value, data, model, finish):
    uneven = Data(data.embeddings, np.where(np.arange(120) % 5 == 0, 0, data.labels), data.classes)
    base, turned = (finish([model("reno", values=values)], uneven)[ONE] for values in ({}, {name: value}))

    assert turned.curves["val_cross_entropy"] != base.curves["val_cross_entropy"]


def test_label_smoothing_never_enters_the_validation_score(data, model, curves):
    still = {"training.lr": 1e-30}
    plain, smooth = (
        curves([model(values=still | extra)], data)[ONE][0] for extra in ({}, {"training.label_smoothing": 0.5})
    )

    assert smooth["loss"] != plain["loss"]
    assert smooth["val_cross_entropy"] == plain["val_cross_entropy"]
