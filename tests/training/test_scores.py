"""Stacked metrics equal those of one model at a time."""

from __future__ import annotations

import pytest
import torch

from reno_sweeps import metrics
from reno_sweeps.training import scores


@pytest.mark.parametrize("spread", [0.0, 1.0, 1e3])
def test_each_models_scores_are_those_it_has_alone(spread):
    source = torch.Generator().manual_seed(0)
    models, most, classes = 5, 40, 4
    logits = torch.randn(models, most, classes, generator=source) * spread
    labels = torch.randint(classes, (models, most), generator=source)
    labels[1] = 2  # one class alone
    labels[2] %= 3  # a class that never occurs, but may be said
    clips = [40, 39, 1, 17, 25]
    present = torch.arange(most) < torch.tensor(clips)[:, None]
    found = scores.score(logits, labels, present)
    alone = [metrics.score(logits[m, :n].numpy(), labels[m, :n].numpy()) for m, n in enumerate(clips)]

    assert list(scores.NAMES) == list(alone[0])
    for m, expected in enumerate(alone):
        assert found[m].tolist() == pytest.approx(list(expected.values()), rel=1e-12)


def test_what_is_not_a_models_own_never_counts():
    logits = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(1))
    spoiled = torch.cat((logits, torch.full((1, 2, 3), float("nan"))), 1)
    labels = torch.tensor([[0, 1, 2, 0, 1, 2, 0, 0]])
    present = torch.tensor([[True] * 6 + [False] * 2])

    assert torch.equal(scores.score(spoiled, labels, present), scores.score(logits, labels[:, :6], present[:, :6]))
