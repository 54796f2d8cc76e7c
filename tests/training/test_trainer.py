"""The training loop: its events, and that a model's result depends on nothing but its own."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch

from reno_sweeps import catalogue
from reno_sweeps.records import EpochEnded, FoldFailed, FoldFinished, FoldStopped, Key, Split, UserError
from reno_sweeps.training.trainer import Data, train_cohort

HEADS = catalogue.names("heads")


def same(one, other) -> bool:
    """Whether two results are equal bit for bit, their clocks aside."""
    plain = [dataclasses.asdict(dataclasses.replace(r, seconds=0.0, finished=0.0)) for r in (one, other)]
    arrays = [
        [p.pop("validation_probabilities"), p.pop("test_probabilities"), *p.pop("weights").values()] for p in plain
    ]
    return plain[0] == plain[1] and all(a.tobytes() == b.tobytes() for a, b in zip(*arrays, strict=True))


def alike(one, other) -> bool:
    """Whether two results in float64 are equal but for rounding, which saturated softmaxes amplify in weights."""
    curves = [(np.array(one.curves[name]), np.array(other.curves[name])) for name in one.curves]
    weights = [(one.weights[name], other.weights[name]) for name in one.weights]
    return (
        (one.best_epoch, one.test_confusion) == (other.best_epoch, other.test_confusion)
        and all(np.allclose(a, b, rtol=1e-6, atol=0) for a, b in curves)
        and all(np.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in weights)
    )


def test_models_advance_together_one_epoch_a_round(data, model):
    models = [model(owner="x", values={"training.epochs": 2}), model(owner="y", values={"training.epochs": 3})]
    seen = [(type(e).__name__, e.key.owner, getattr(e, "epoch", None)) for e in train_cohort(models, data)]

    assert seen == [
        ("EpochEnded", "x", 1),
        ("EpochEnded", "y", 1),
        ("EpochEnded", "x", 2),
        ("FoldFinished", "x", None),
        ("EpochEnded", "y", 2),
        ("EpochEnded", "y", 3),
        ("FoldFinished", "y", None),
    ]


def test_an_epoch_tells_the_parts_of_the_objective_and_the_validation_metrics(data, model, curves):
    validation = {"val_accuracy", "val_macro_f1", "val_uar", "val_cross_entropy"}
    plain, reno = (curves([model(head)], data)[Key("trial 0")][0] for head in ("concat", "reno"))
    weighed = 0.4 * reno["cross_entropy"] + 0.6 * reno["divergence"]

    assert set(plain) == {"loss", "cross_entropy"} | validation
    assert set(reno) == {"loss", "cross_entropy", "divergence"} | validation
    assert reno["loss"] == pytest.approx(weighed, rel=1e-5)
    assert {type(v) for v in reno.values()} == {float}


@pytest.mark.parametrize("head", HEADS)
def test_company_and_order_change_nothing_but_rounding(head, data, model, finish):
    double = {"training.precision": "float64"}
    models = [
        model(head, owner="x", values=double),
        model(head, owner="y", seed=2, values=double | {"training.lr": 1e-2}),
        model("linear", owner="z", seed=3, values=double | {"training.epochs": 2}),
    ]
    alone = {m.key: finish([m], data)[m.key] for m in models}
    together, turned = finish(models, data), finish(models[::-1], data)

    assert all(alike(alone[key], together[key]) and alike(alone[key], turned[key]) for key in alone)


@pytest.mark.parametrize("head", HEADS)
def test_a_diverging_neighbour_fails_alone_and_changes_nothing(head, data, model, finish):
    sound = model(head, values={"training.precision": "float64"})
    wild = model(head, owner="wild", values={"training.precision": "float64", "training.lr": 1e308})
    events = list(train_cohort([wild, sound], data))
    (failed,) = [e for e in events if isinstance(e, FoldFailed)]
    (finished,) = [e for e in events if isinstance(e, FoldFinished)]

    assert failed.key == wild.key
    assert "epoch 1" in failed.reason
    assert "training.lr 1e+308" in failed.reason
    assert alike(finished.result, finish([sound], data)[sound.key])


def test_embeddings_that_are_not_finite_fail_the_model_with_a_reason(data, model):
    data.embeddings["a"][5, 3] = np.nan
    *_, last = train_cohort([model()], data)

    assert isinstance(last, FoldFailed)
    assert "check that the embeddings are finite" in last.reason


def test_labels_beyond_the_classes_are_an_error_that_nobody_swallows(data, model):
    spoiled = dataclasses.replace(data, labels=data.labels + 1)

    with pytest.raises(RuntimeError, match="index 3 is out of bounds"):
        list(train_cohort([model()], spoiled))


def test_a_model_told_to_stop_leaves_between_epochs_and_its_neighbour_goes_on(data, model, finish):
    double = {"training.precision": "float64"}
    leaving, staying = model(owner="leaving", values=double), model(owner="staying", values=double)
    told: list[Key] = []
    events = []
    for event in train_cohort([leaving, staying], data, told_to_stop=lambda: told):
        events.append(event)
        if isinstance(event, EpochEnded) and event.epoch == 2:
            told.append(leaving.key)

    assert [e for e in events if e.key == leaving.key][-1] == FoldStopped(leaving.key, 2)
    assert alike(events[-1].result, finish([staying], data)[staying.key])


@pytest.mark.parametrize("head", HEADS)
def test_what_selects_never_sees_the_test_clips(head, data, model, finish):
    noise = np.random.default_rng(9)
    rows = np.array(model().split.test)
    changed = Data({name: x.copy() for name, x in data.embeddings.items()}, data.labels.copy(), data.classes)
    for x in changed.embeddings.values():
        x[rows] = noise.normal(size=(len(rows), x.shape[1])) * 1e6
    changed.labels[rows] = noise.integers(0, 3, len(rows))
    true, noisy = (finish([model(head)], d)[Key("trial 0")] for d in (data, changed))

    assert noisy.test != true.test
    assert (noisy.curves, noisy.best_epoch, noisy.epochs) == (true.curves, true.best_epoch, true.epochs)
    assert noisy.validation == true.validation
    assert noisy.validation_probabilities.tobytes() == true.validation_probabilities.tobytes()
    assert all(noisy.weights[name].tobytes() == w.tobytes() for name, w in true.weights.items())


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_clusters_within_a_few_epochs(head, data, model, finish):
    learner = model(head, small=False, values={"training.epochs": 25, "training.lr": 2e-3, "training.patience": 25})

    assert finish([learner], data)[learner.key].test["macro_f1"] > 0.9


def test_the_seed_alone_decides_what_is_drawn(data, model, finish):
    first, again, other = (finish([model("reno", seed=s)], data)[Key("trial 0")] for s in (1, 1, 2))

    assert same(first, again)
    assert first.curves != other.curves


def test_a_fixed_number_of_epochs_needs_no_validation_and_keeps_the_last_weights(data, model, finish):
    every = Split(tuple(range(90)), (), tuple(range(90, 120)))
    refit = model(split=every, epochs=3, values={"training.patience": 1})
    result = finish([refit], data)[refit.key]

    assert (result.best_epoch, result.epochs, result.validation) == (3, 3, {})
    assert set(result.curves) == {"loss", "cross_entropy"}
    assert result.validation_probabilities.shape == (0, 3)
    assert result.sizes == {"train": 90, "validation": 0, "test": 30}


def test_a_model_without_test_clips_has_no_test_scores(data, model, finish):
    registered = model(split=Split(tuple(range(120)), (), ()), epochs=1)
    result = finish([registered], data)[registered.key]

    assert (result.test, result.test_f1, result.test_confusion) == ({}, (), ())
    assert result.test_probabilities.shape == (0, 3)


def test_early_stopping_without_validation_clips_is_refused(data, model):
    with pytest.raises(ValueError, match="no validation clips"):
        list(train_cohort([model(split=Split((0, 1), (), (2,)))], data))


def test_a_result_says_everything_about_its_fold(data, model, finish):
    result = finish([model("reno")], data)[Key("trial 0")]
    predicted = result.test_probabilities.argmax(1)
    truth = data.labels[list(model().split.test)]

    assert result.test["accuracy"] == pytest.approx(np.mean(predicted == truth))
    assert np.array(result.test_confusion).sum() == result.sizes["test"] == 27
    assert np.allclose(result.test_probabilities.sum(1), 1, atol=1e-6)
    assert result.test_probabilities.dtype == np.float32
    assert result.parameters == sum(w.size for n, w in result.weights.items() if not n.startswith("standardize"))
    assert result.seconds > 0
    assert {len(values) for values in result.curves.values()} == {result.epochs}


def test_tf32_on_a_cpu_is_refused_and_not_replaced(data, model):
    with pytest.raises(UserError, match="tf32 is arithmetic of CUDA devices"):
        next(train_cohort([model(values={"training.precision": "tf32"})], data))


def test_precisions_agree_as_far_as_their_digits_go(data, model, curves):
    losses = {
        name: curves([model("reno", values={"training.precision": name, "training.lr": 1e-6})], data)[Key("trial 0")]
        for name in ("float64", "float32", "bf16")
    }
    double, single, half = (found[0]["loss"] for found in losses.values())

    assert single == pytest.approx(double, rel=1e-5)
    assert half == pytest.approx(double, rel=2e-2)
    assert len({double, single, half}) == 3


def test_training_leaves_the_number_of_threads_as_it_was(data, model):
    torch.set_num_threads(2)
    list(train_cohort([model()], data))
    now = torch.get_num_threads()
    torch.set_num_threads(1)

    assert now == 2


def test_read_only_embeddings_train_without_a_warning(data, model, finish):
    for x in data.embeddings.values():
        x.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = finish([model()], data)

    assert len(results) == 1
