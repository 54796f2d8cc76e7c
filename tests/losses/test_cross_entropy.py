"""Cross-entropy of stacked models equals torch's own, model by model."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from reno_sweeps.losses.cross_entropy import cross_entropy

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(3, 7, 5, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.randint(5, (3, 7), generator=GENERATOR)
WEIGHTS = torch.rand(3, 5, generator=GENERATOR, dtype=torch.float64) + 0.1


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_stacked_models_agree_with_torch(smoothing, weights):
    expected = [
        functional.cross_entropy(
            LOGITS[m], LABELS[m], weight=None if weights is None else weights[m], label_smoothing=smoothing
        )
        for m in range(3)
    ]

    torch.testing.assert_close(cross_entropy(LOGITS, LABELS, smoothing, weights), torch.stack(expected))


def test_every_model_may_smooth_by_its_own_share():
    shares = torch.tensor([0.0, 0.2, 0.5])
    alone = [cross_entropy(LOGITS[m : m + 1], LABELS[m : m + 1], float(shares[m])) for m in range(3)]

    torch.testing.assert_close(cross_entropy(LOGITS, LABELS, shares), torch.cat(alone), rtol=1e-7, atol=0)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_give_a_finite_loss(size):
    logits = (LOGITS.sign() * size).requires_grad_()
    loss = cross_entropy(logits, LABELS)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)

    assert loss.isfinite().all()
    assert gradient.isfinite().all()


def test_a_spoiled_model_leaves_its_neighbours_alone():
    spoiled = LOGITS.clone()
    spoiled[1] = float("nan")

    assert torch.equal(cross_entropy(spoiled, LABELS)[[0, 2]], cross_entropy(LOGITS, LABELS)[[0, 2]])
