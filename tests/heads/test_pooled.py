"""Convolutions with their pools equal torch's own, forward and back, model by model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from reno_sweeps.heads import _pooled

MODELS, BATCH, IN, OUT = 2, 3, 4, 6


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


def convolved(x: Tensor, weight: Tensor) -> Tensor:
    """x [batch, channels, n], weight [3, in, out] as ours has it."""
    return functional.conv1d(x, weight.permute(2, 1, 0), padding=1)


def halved(x: Tensor) -> Tensor:
    return x if x.shape[2] == 1 else functional.max_pool1d(x, 2)


def pooled(x: Tensor, weight: Tensor, positions: int | None) -> Tensor:
    """Torch's own: x [models, batch, n, in]."""
    found = [halved(convolved(one.transpose(1, 2), w)) for one, w in zip(x, weight, strict=True)]
    if positions is not None:
        found = [functional.adaptive_max_pool1d(y, positions) for y in found]
    return torch.stack(found).transpose(2, 3)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 41, 64])
def test_one_channel_convolved_and_halved_is_torchs_own(n):
    x, weight = drawn(MODELS, BATCH, n), drawn(MODELS, 3, 1, OUT).requires_grad_()
    expected = torch.stack([halved(convolved(x[m][:, None], weight[m])) for m in range(MODELS)]).transpose(2, 3)
    ours = _pooled.first(x, weight)
    slopes = [torch.autograd.grad(y.square().sum(), weight)[0] for y in (ours, expected)]

    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("positions", [None, 1, 7, 24, 28])
@pytest.mark.parametrize("n", [1, 2, 3, 20, 41, 48, 130, 300])
def test_many_channels_convolved_and_pooled_are_torchs_own(n, positions, dense, monkeypatch):
    monkeypatch.setattr(_pooled, "DENSE", 10**6 if dense else 0)
    x, weight = drawn(MODELS, BATCH, n, IN).requires_grad_(), drawn(MODELS, 3, IN, OUT).requires_grad_()
    expected, ours = pooled(x, weight, positions), _pooled.second(x, weight, positions)
    slopes = [torch.autograd.grad(y.square().sum(), (x, weight)) for y in (ours, expected)]

    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-10)


def test_without_gradients_the_values_are_the_same():
    x, weight = drawn(MODELS, BATCH, 41, IN), drawn(MODELS, 3, IN, OUT).requires_grad_()
    with torch.no_grad():
        evaluated = _pooled.second(x, weight, 7)

    assert torch.equal(evaluated, _pooled.second(x, weight, 7))


def test_float32_is_as_good_as_its_digits():
    x, weight = drawn(MODELS, 32, 384, 32), drawn(MODELS, 3, 32, 64)
    exact = [torch.autograd.grad(_pooled.second(x, w, 24).sum(), w)[0] for w in (weight.requires_grad_(),)]
    single = weight.detach().float().requires_grad_()
    found = torch.autograd.grad(_pooled.second(x.float(), single, 24).sum(), single)[0]

    torch.testing.assert_close(found.double(), exact[0], rtol=1e-4, atol=1e-3)


def through(x: Tensor, positions: int | None = 3) -> Tensor:
    """Pooled by a convolution that lets every channel pass as it is."""
    weight = torch.zeros(1, 3, x.shape[3], x.shape[3], dtype=x.dtype)
    weight[0, 1] = torch.eye(x.shape[3])
    return _pooled.second(x, weight, positions)


def test_of_equal_values_the_first_has_the_gradient_as_in_torch():
    x = torch.zeros(1, 1, 24, 2, requires_grad=True)
    expected = functional.adaptive_max_pool1d(functional.max_pool1d(x[0].transpose(1, 2), 2), 5)
    slopes = [torch.autograd.grad(y.sum(), x)[0] for y in (through(x, 5), expected)]

    assert torch.equal(*slopes)


def test_a_number_that_is_none_is_never_pooled_away():
    x = torch.zeros(1, 1, 24, 1)
    x[0, 0, 12] = float("nan")
    nothing = torch.full((1, 1, 10, 1), float("nan"), requires_grad=True)
    through(nothing, 4).sum().backward()  # windows of two widths: the way back has somewhere to go

    assert through(x)[0, 0, :, 0].isnan().tolist() == [False, True, False]
    assert through(nothing, 5).isnan().all()
    assert through(x, None)[0, 0, :, 0].isnan().nonzero().tolist() == [[5], [6]]  # of rows 11 to 13


def test_a_model_whose_numbers_are_none_spoils_no_other():
    x, weight = drawn(MODELS, BATCH, 48, IN), drawn(MODELS, 3, IN, OUT)
    clean, spoiled = weight.clone().requires_grad_(), weight.clone()
    spoiled[1] = float("nan")
    spoiled.requires_grad_()
    slopes = [torch.autograd.grad(_pooled.second(x, w, 2).sum(), w)[0] for w in (clean, spoiled)]

    assert torch.equal(slopes[0][0], slopes[1][0])
