"""The stacked optimizer equals torch's, model by model."""

from __future__ import annotations

import pytest
import torch

from reno_sweeps.training import optimizer

SHAPES = {"dense.weight": (4, 3), "dense.bias": (3,), "norm.weight": (5,), "conv.weight": (3, 2, 4)}


def drawn(seed: int, models: int) -> dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return {n: torch.randn(models, *s, generator=source, dtype=torch.float64) for n, s in SHAPES.items()}


@pytest.mark.slow  # the class torch.optim.AdamW imports torch's compiler: seconds
def test_each_model_steps_as_torchs_adamw_with_its_own_rate_and_decay():
    rates, decays = [1e-3, 0.2], [0.0, 0.3]
    ours = drawn(0, 2)
    theirs = {n: [w[m].clone() for m in range(2)] for n, w in ours.items()}
    peers = [_torchs(theirs, m, rates[m], decays[m]) for m in range(2)]
    stacked = optimizer.AdamW(ours, decays)
    for step in range(20):
        gradients = drawn(step + 1, 2)
        stacked.step([_strided(g) for g in gradients.values()], rates)
        for m, peer in enumerate(peers):
            for name, g in gradients.items():
                theirs[name][m].grad = g[m]
            peer.step()

    assert all(torch.allclose(ours[n], torch.stack(theirs[n]), rtol=0, atol=1e-12) for n in ours)


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
    optimizer.clip(list(gradients.values()), [0.5, 1e9, None])

    torch.testing.assert_close(gradients, expected, rtol=1e-12, atol=0)


def test_without_limits_no_gradient_is_touched():
    gradients = drawn(0, 2)
    optimizer.clip(list(gradients.values()), [None, None])

    assert all(torch.equal(gradients[n], g) for n, g in drawn(0, 2).items())


def test_a_gradient_that_is_not_finite_stays_with_its_model():
    gradients = drawn(0, 2)
    gradients["dense.bias"][0] = float("nan")
    optimizer.clip(list(gradients.values()), [1.0, 1e9])

    assert all(torch.equal(gradients[n][1], g[1]) for n, g in drawn(0, 2).items())


def test_weights_scattered_in_memory_are_refused():
    with pytest.raises(ValueError, match="contiguous"):
        optimizer.AdamW({"w": torch.zeros(1, 3, 4).transpose(1, 2)}, [0.0])


def test_the_learning_rate_rises_linearly_and_stays():
    assert [optimizer.warmed(1.0, epoch, 3) for epoch in range(1, 7)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert optimizer.warmed(0.5, 1, 0) == 0.5
