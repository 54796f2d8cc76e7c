"""The stacked optimizer equals torch's, model by model."""

from __future__ import annotations

import pytest
import torch

from reno_sweeps.training import optimizer
from reno_sweeps.training.weights import Weights

SHAPES = {"dense.weight": (4, 3), "dense.bias": (3,), "norm.weight": (5,), "conv.weight": (3, 2, 4)}


def drawn(seed: int, models: int) -> dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return {n: torch.randn(models, *s, generator=source, dtype=torch.float64) for n, s in SHAPES.items()}


def stacked(seed: int, models: int) -> Weights:
    return Weights.stacked([{n: w[m] for n, w in drawn(seed, models).items()} for m in range(models)], "cpu")


@pytest.mark.slow  # the class torch.optim.AdamW imports torch's compiler: seconds
@pytest.mark.parametrize("together", [True, False])
def test_each_model_steps_as_torchs_adamw_with_its_own_rate_and_decay(together, monkeypatch):
    monkeypatch.setattr(optimizer, "SMALL", 10**9 if together else 0)
    rates, decays = torch.tensor([1e-3, 0.2], dtype=torch.float64), [0.0, 0.3]
    ours = stacked(0, 2)
    theirs = {n: [w[m].clone() for m in range(2)] for n, w in drawn(0, 2).items()}
    peers = [_torchs(theirs, m, rates[m].item(), decays[m]) for m in range(2)]
    adam = optimizer.AdamW(ours, optimizer.Moments.of(ours), decays)
    for step in range(20):
        gradients = drawn(step + 1, 2)
        active = torch.tensor([True, step % 3 > 0])
        adam.step([_strided(gradients[n]) for n in ours.shapes], rates, None if active.all() else active)
        for m, peer in enumerate(peers):
            for name, g in gradients.items():
                theirs[name][m].grad = g[m] if active[m] else None  # torch leaves a weight without gradient alone
            peer.step()

    assert all(torch.allclose(w, torch.stack(theirs[n]), rtol=0, atol=1e-12) for n, w in ours.views().items())


def _torchs(weights, m, rate, decay):
    """torch's own, with decay on matrices alone."""
    groups = [
        {"params": [w[m] for n, w in weights.items() if n in {"dense.weight", "conv.weight"}], "weight_decay": decay},
        {"params": [w[m] for n, w in weights.items() if n in {"dense.bias", "norm.weight"}], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, foreach=False)


def _strided(x: torch.Tensor) -> torch.Tensor:
    """The same numbers in another order of memory, as matrix products leave them."""
    return x.transpose(1, -1).contiguous().transpose(1, -1) if x.dim() > 2 else x


def test_gradients_are_clipped_to_each_models_own_norm():
    gradients = drawn(0, 3)
    expected = {n: g.clone() for n, g in gradients.items()}
    for m, limit in ((0, 0.5), (1, 1e9)):
        leaves = [torch.zeros_like(g[m]).requires_grad_() for g in expected.values()]
        for leaf, g in zip(leaves, expected.values(), strict=True):
            leaf.grad = g[m]  # a view: clipped in place
        torch.nn.utils.clip_grad_norm_(leaves, limit)
    optimizer.clip(list(gradients.values()), optimizer.limits([0.5, 1e9, None]))

    torch.testing.assert_close(gradients, expected, rtol=1e-12, atol=0)


def test_without_limits_no_gradient_is_touched():
    gradients = drawn(0, 2)
    optimizer.clip(list(gradients.values()), optimizer.limits([None, None]))

    assert all(torch.equal(gradients[n], g) for n, g in drawn(0, 2).items())


def test_a_gradient_that_is_not_finite_stays_with_its_model():
    gradients = drawn(0, 2)
    gradients["dense.bias"][0] = float("nan")
    optimizer.clip(list(gradients.values()), optimizer.limits([1.0, 1e9]))

    assert all(torch.equal(gradients[n][1], g[1]) for n, g in drawn(0, 2).items())


def test_the_learning_rate_rises_linearly_and_stays():
    assert [optimizer.warmed(1.0, epoch, 3) for epoch in range(1, 7)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert optimizer.warmed(0.5, 1, 0) == 0.5
