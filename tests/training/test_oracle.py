"""The trainer against the plain reference: whole trainings in float64, every head and trunk, alone and together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from reno_sweeps.records import FoldFinished, FoldResult, Key, Model, Split
from reno_sweeps.training.data import Data
from reno_sweeps.training.trainer import train_cohort
from tests.training import oracle
from tests.training.families import KINDS, SETTINGS, Kind, changed, family, material

KNOWN = tuple(kind for kind in KINDS if kind.head in oracle.NETWORKS)
DATA = material()


def finished(models: list[Model], data: Data = DATA) -> dict[Key, FoldResult]:
    return {e.key: e.result for e in train_cohort(models, data) if isinstance(e, FoldFinished)}


def assert_as_the_reference(result: FoldResult, model: Model, data: Data = DATA) -> None:
    """Curves to a millionth, the same best epoch, the same predictions, probabilities to float32."""
    expected = oracle.train(model, data)
    assert set(result.curves) == set(expected.curves)
    for name, values in expected.curves.items():
        np.testing.assert_allclose(result.curves[name], values, rtol=1e-6, atol=1e-12, err_msg=f"{model.key} {name}")
    assert result.best_epoch == expected.best_epoch
    for ours, theirs in (
        (result.validation_probabilities, expected.validation),
        (result.test_probabilities, expected.test),
    ):
        assert (ours.argmax(1) == theirs.argmax(1)).all()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("kind", KNOWN, ids=str)
def test_a_family_trained_together_is_as_many_plain_trainings(kind: Kind, settings: str) -> None:
    models = family(kind, DATA, **SETTINGS[settings])
    results = finished(models)

    for model in models if settings == "plain" else models[1::2]:
        assert_as_the_reference(results[model.key], model)


@pytest.mark.parametrize("kind", KNOWN, ids=str)
def test_one_model_alone_is_one_plain_training(kind: Kind) -> None:
    model = family(kind, DATA, **SETTINGS["plain"])[1]

    assert_as_the_reference(finished([model])[model.key], model)


@pytest.mark.parametrize("positions", ["auto", None, 1, 7])
@pytest.mark.parametrize("head", ["cnn", "concat", "reno"])
def test_every_number_of_positions_pools_as_torch_does(head: str, positions: str | int | None) -> None:
    kind = next(k for k in KNOWN if k.head == head and k.trunk in {None, "conv"})
    models = family(kind, DATA, **{"trunk.positions": positions, "training.epochs": 1, "training.batch_size": 40})[:2]
    results = finished(models)

    for model in models:
        assert_as_the_reference(results[model.key], model)


@pytest.mark.parametrize("kind", KNOWN, ids=str)
def test_a_fixed_number_of_epochs_keeps_the_last_weights(kind: Kind) -> None:
    member = family(kind, DATA)[0]
    refit = replace(member, split=Split(member.split.train, (), member.split.test), epochs=3)

    assert_as_the_reference(finished([refit])[refit.key], refit)


def test_patience_is_spent_as_in_the_reference() -> None:
    impatient = {"training.epochs": 12, "training.patience": 1, "training.lr": 2e-2}
    models = [changed(m, f"trial {n}", **impatient) for n, m in enumerate(family(Kind("fcn", 1, None), DATA))]
    results = finished(models)

    assert len({result.epochs for result in results.values()}) > 2
    for model in models:
        assert_as_the_reference(results[model.key], model)


def test_the_reference_attends_as_torch_does() -> None:
    torch.manual_seed(0)
    ours, theirs = oracle.Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    weights = {"in_proj_": ours.inner, "out_proj.": ours.outer}
    theirs.load_state_dict({f"{name}{k}": w for name, layer in weights.items() for k, w in layer.state_dict().items()})
    x = torch.randn(4, 5, 12)
    expected = nn.functional.layer_norm(x + theirs(x, x, x)[0], (12,))

    torch.testing.assert_close(ours(x, oracle.keep), expected)


def test_the_reference_diverges_to_kullback_and_leibler_as_the_order_nears_one() -> None:
    za, zb = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    near, at = (oracle.divergence(za, zb, order, 0.01) for order in (1 + 1e-6, 1.0))

    torch.testing.assert_close(near, at, rtol=1e-5, atol=0)
