"""The law of company: a model's result never depends on who trains beside it. For every head and trunk there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from reno_sweeps import catalogue
from reno_sweeps.records import Event, FoldFailed, FoldFinished, FoldResult, FoldStopped, Key, Model
from reno_sweeps.training.objective import Objective
from reno_sweeps.training.trainer import train_cohort
from tests.training.families import KINDS, LOUD, SETTINGS, SPOILED, Kind, changed, family, having, material

DATA = material()
every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
Results = dict[Key, FoldResult]


def results(events: Iterable[Event]) -> Results:
    return {event.key: event.result for event in events if isinstance(event, FoldFinished)}


def trained(models: Sequence[Model], **options: Any) -> Results:
    return results(train_cohort(models, DATA, **options))


@cache
def alone(kind: Kind, settings: str = "plain") -> tuple[list[Model], Results]:
    """A family, and what each of its models is without any company."""
    models = family(kind, DATA, **SETTINGS[settings])
    return models, {key: result for model in models for key, result in trained([model]).items()}


def assert_same(found: Results, expected: Results, rtol: float = 1e-6) -> None:
    """Every loss of every epoch to `rtol`, best epochs and predicted classes exactly, probabilities to float32."""
    assert set(found) == set(expected)
    for key, result in expected.items():
        for name, values in result.curves.items():
            told = f"{key.owner}: {name}"
            np.testing.assert_allclose(found[key].curves[name], values, rtol=rtol, atol=1e-12, err_msg=told)
        assert (found[key].best_epoch, found[key].epochs) == (result.best_epoch, result.epochs)
        ours, theirs = probabilities(found[key]), probabilities(result)
        assert (ours.argmax(1) == theirs.argmax(1)).all()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # they are kept in float32


def probabilities(result: FoldResult) -> Any:
    """Of the validation clips, then of the test clips."""
    return np.concatenate([result.validation_probabilities, result.test_probabilities])


def among(kind: Kind, neighbours: Sequence[Model], **options: Any) -> tuple[Results, Results, list[Event]]:
    """Three of a family with neighbours in their midst: their results there, their results alone, all events."""
    models, single = alone(kind)
    events = list(train_cohort([*models[:2], *neighbours, models[2]], DATA, **options))
    expected = {model.key: single[model.key] for model in models[:3]}
    return {key: result for key, result in results(events).items() if key in expected}, expected, events


# --- float64, whole trainings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS)
@every_kind
def test_a_model_in_company_is_what_it_is_alone(kind: Kind, settings: str) -> None:
    models, expected = alone(kind, settings)

    assert_same(trained(models), expected)


@every_kind
def test_the_order_of_models_changes_nothing(kind: Kind) -> None:
    models, expected = alone(kind)

    assert_same(trained([models[i] for i in (4, 2, 5, 0, 3, 1)]), expected)


@every_kind
def test_neighbours_that_diverge_change_nothing(kind: Kind) -> None:
    models, _ = alone(kind)
    wild = [changed(models[i], f"wild {lr}", **{"training.lr": lr}) for i, lr in enumerate((1e6, 1e38, 1e308))]
    found, expected, events = among(kind, wild)

    assert "wild 1e+308" in {event.key.owner for event in events if isinstance(event, FoldFailed)}
    assert_same(found, expected)


@every_kind
def test_clips_that_are_no_numbers_or_far_out_reach_none_but_the_models_that_have_them(kind: Kind) -> None:
    models, _ = alone(kind)
    spoiled = [
        having(changed(models[0], "first row trains"), "train", SPOILED[:1]),
        having(changed(models[1], "last row trains"), "train", SPOILED[1:]),
        having(changed(models[2], "validates"), "validation", SPOILED),
        having(changed(models[3], "tests"), "test", SPOILED),
    ]
    loud = having(changed(models[4], "loud"), "train", LOUD)
    found, expected, events = among(kind, [*spoiled, loud])

    assert {event.key for event in events if isinstance(event, FoldFailed)} == {model.key for model in spoiled}
    assert_same(found, expected)


@every_kind
def test_a_neighbour_that_is_told_to_stop_changes_nothing(kind: Kind) -> None:
    models, _ = alone(kind)
    leaving = [changed(models[i], f"leaving {i}", **{"training.lr": 1e-3}) for i in (0, 2)]
    told: set[Key] = set()
    after_the_first_epoch = tell({leaving[0].key}, told)
    found, expected, events = among(kind, leaving, told_to_stop=after_the_first_epoch)

    assert [event for event in events if isinstance(event, FoldStopped)] == [FoldStopped(leaving[0].key, 1)]
    assert_same(found, expected)


def tell(keys: set[Key], told: set[Key]) -> Callable[[], set[Key]]:
    """Answers nothing when first asked, before the first epoch; the keys from then on."""

    def told_to_stop() -> set[Key]:
        answer = set(told)
        told.update(keys)
        return answer

    return told_to_stop


@every_kind
def test_models_that_stop_early_leave_one_by_one_and_change_nothing(kind: Kind) -> None:
    impatient = {"training.patience": 1, "training.epochs": 5, "training.label_smoothing": 0.0}
    rates = (1e-4, 0.3, 1e-2, 1.0)
    models = [
        changed(model, f"rate {rate}", **impatient, **{"training.lr": rate})
        for model, rate in zip(family(kind, DATA), rates, strict=False)
    ]
    expected = {key: result for model in models for key, result in trained([model]).items()}

    assert len({result.epochs for result in expected.values()}) > 1
    assert_same(trained(models), expected)


def mixture(settings: str) -> tuple[list[Model], Results]:
    """Four models of every kind, and what each is alone."""
    models: list[Model] = []
    expected: Results = {}
    for kind in KINDS:
        members, single = alone(kind, settings)
        for member in members[:4]:
            models.append(changed(member, f"{kind} {member.key.owner}"))
            expected[models[-1].key] = single[member.key]
    return models, expected


@pytest.mark.parametrize("width", [1, 2, 3])  # None, as many as are best, is everywhere else
def test_all_kinds_train_side_by_side_however_many_are_stacked(width: int) -> None:
    models, expected = mixture("plain")

    assert_same(trained(models, width=width), expected)


@pytest.mark.parametrize("width", [2, None])
def test_newcomers_join_between_epochs_and_are_what_they_are_alone(width: int | None) -> None:
    models, expected = mixture("other")  # with warm-up: each has an epoch of its own
    rounds = iter([(), models[1::4], (), models[2::4] + models[3::4]])
    found = trained(models[0::4], newcomers=lambda: next(rounds, ()), width=width)

    assert_same(found, expected)


@pytest.mark.parametrize("head", catalogue.names("heads"))
def test_class_weights_that_are_no_numbers_spoil_no_neighbour(head: str) -> None:
    source = torch.Generator().manual_seed(0)
    logits, a, b = (torch.randn(2, 5, n, generator=source, dtype=torch.float64) for n in (3, 16, 16))
    weights = torch.tensor([[1.0, float("nan"), 0.0], [0.5, 1.5, 0.0]], dtype=torch.float64)
    labels, losses = torch.tensor([[0, 1, 1, 0, 1]] * 2), catalogue.load("heads", head).LOSSES
    slopes = []
    for own in (slice(0, 2), slice(1, 2)):
        objective = Objective(losses, [{}] * len(logits[own]), weights[own])
        leaf = logits[own].clone().requires_grad_()
        loss = objective(leaf, (a[own], b[own]), labels[own])["loss"]
        slopes.append((loss[-1], torch.autograd.grad(loss.sum(), leaf)[0][-1]))

    torch.testing.assert_close(*slopes)


# --- other arithmetic, one step from the same state ---------------------------------------------------------------

ARITHMETIC = [("cpu", "float32", 1e-4), ("cpu", "bf16", 1e-2)]
if torch.cuda.is_available():
    ARITHMETIC += [("cuda", "float64", 1e-6), ("cuda", "float32", 1e-4), ("cuda", "tf32", 1e-2), ("cuda", "bf16", 1e-2)]


@pytest.mark.parametrize(("device", "precision", "rtol"), ARITHMETIC)
@every_kind
def test_one_step_in_company_is_one_step_alone(kind: Kind, device: str, precision: str, rtol: float) -> None:
    one_step = {"training.precision": precision, "training.epochs": 1, "training.batch_size": 64}
    models = family(kind, DATA, **one_step, **SETTINGS["plain"])[:4]
    together = trained(models, device=device)

    for model in models:
        (single,) = trained([model], device=device).values()
        for name in ("loss", "cross_entropy", "val_cross_entropy"):
            assert together[model.key].curves[name] == pytest.approx(single.curves[name], rel=rtol)


# --- float32, a long training: distributions -----------------------------------------------------------------------


@pytest.mark.slow
def test_over_a_long_training_company_shifts_no_score_on_average() -> None:
    long = {"training.precision": "float32", "training.epochs": 10, "training.patience": 10}
    kind = next(k for k in KINDS if k.head == "reno" and k.trunk == "linear")
    models = [
        changed(model, f"{model.key.owner} again {again}", **{"training.lr": 1e-3 * (again + 1)})
        for again in range(4)
        for model in family(kind, DATA, **long)[:5]
    ]
    together = trained(models)
    single = {key: result for model in models for key, result in trained([model]).items()}
    last = np.array([[found[m.key].curves["val_cross_entropy"][-1] for m in models] for found in (together, single)])
    apart = last[0] - last[1]
    error = apart.std(ddof=1) / len(apart) ** 0.5

    assert len(apart) >= 20
    assert abs(apart.mean()) <= 2 * error + 1e-3 * last.mean()  # a thousandth of the score is nobody's concern
