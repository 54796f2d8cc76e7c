"""The metrics of stacked models where their logits are: equal to `reno_sweeps.metrics`, model by model."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

NAMES = ("accuracy", "macro_f1", "uar", "cross_entropy")


def score(logits: Tensor, labels: Tensor, present: Tensor) -> Tensor:
    """NAMES of each model, float64 [models, 4]: logits [models, n, classes], labels [models, n].

    `present` bool [models, n]: which clips are the model's own (n is that of the model with most); one at least.
    """
    classes, there = logits.shape[-1], present.double()
    truth = functional.one_hot(labels, classes).double() * there[..., None]
    counts = truth.transpose(1, 2) @ functional.one_hot(logits.argmax(-1), classes).double()  # [models, truth, said]
    hits, truths = counts.diagonal(dim1=1, dim2=2), counts.sum(2)
    either = truths + counts.sum(1)
    entropies = -logits.double().log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    entropy = torch.where(present, entropies, 0).sum(1)
    clips = there.sum(1)
    return torch.stack((hits.sum(1) / clips, _mean(2 * hits, either), _mean(hits, truths), entropy / clips), dim=1)


def _mean(above: Tensor, below: Tensor) -> Tensor:
    """Mean of above/below over the classes [models, classes] in which there is something below."""
    present = below > 0
    return torch.where(present, above / below.clamp(min=1), 0).sum(1) / present.sum(1)
