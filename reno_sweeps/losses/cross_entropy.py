"""Cross-entropy of the classifier's logits, with label smoothing and class weights: one mean per model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

METRIC = "cross_entropy"  # its name in an epoch's metrics


@dataclass(frozen=True, slots=True)
class Params:
    """Nothing of its own: smoothing and class weights belong to `training`."""


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    smoothing: Tensor | float = 0.0,
    weights: Tensor | None = None,
    present: Tensor | None = None,
) -> Tensor:
    """Mean over the rows of −Σ_c y_c log softmax(logits)_c, as torch.nn.functional.cross_entropy has it.

    logits [models, batch, classes]; labels [models, batch], class numbers; smoothing: a number or [models];
    weights [models, classes]: the mean is then weighted by each row's class; present [models, batch],
    0 or 1: rows that count, None: all; 0 for a model without any. Gives [models].
    """
    import torch

    logs = logits.log_softmax(-1)
    if weights is None:
        weights = torch.ones_like(logits[:, 0])
    each = weights.gather(-1, labels)  # the weight of each row's class
    own = logs.gather(-1, labels[..., None])[..., 0] * each
    spread = (logs * weights[:, None]).mean(-1)
    if present is not None:
        own, spread, each = own * present, spread * present, each * present
    smooth = torch.as_tensor(smoothing, dtype=logits.dtype, device=logits.device)
    total = each.sum(-1)
    if present is not None:
        total = torch.where(present.any(-1), total, 1.0)
    return -((1 - smooth) * own.sum(-1) + smooth * spread.sum(-1)) / total


def of_batch(
    dials: Mapping[str, Any],
    logits: Tensor,
    aligned: tuple[Tensor, Tensor] | None,  # noqa: ARG001  # every loss's signature
    labels: Tensor,
    present: Tensor | None = None,
) -> Tensor:
    """This loss of a batch, [models], with label smoothing [models] and class weights from the dials."""
    return cross_entropy(logits, labels, dials["training.label_smoothing"], dials["class_weights"], present)
