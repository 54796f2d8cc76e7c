"""The bound's count of operations is torch's own of the same network."""

from __future__ import annotations

import bound
import naive
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

CONFIG = {"renyi.beta": 2.0, "renyi.delta": 0.2, "loss.lambda": 0.4}


@pytest.mark.parametrize(("dims", "batch", "classes", "heads"), [((768, 960), 32, 6, 2), ((80, 160), 7, 3, 8)])
def test_operations_are_those_that_torch_counts(dims: tuple[int, int], batch: int, classes: int, heads: int) -> None:
    model = naive.Reno(classes, heads=heads)
    x, y = (torch.randn(batch, dim) for dim in dims)
    labels = torch.arange(batch) % classes

    with FlopCounterMode(display=False) as forward:
        loss = naive.objective(model, x, y, labels, CONFIG)
    with FlopCounterMode(display=False) as backward:
        loss.backward()

    counted = bound.step_operations(dims, batch, classes)
    assert counted.forward == forward.get_total_flops()
    assert counted.backward == backward.get_total_flops()
    assert counted.gathered < counted.backward


def test_a_step_moves_at_least_ten_times_its_weights() -> None:
    weights = sum(p.numel() for p in naive.Reno(6).parameters())

    assert bound.step_bytes() - 40 * weights == 4 * 32 * (768 + 960)


def test_every_width_is_measured_beside_the_peer() -> None:
    found = bound.measure([1, 2], steps=1, epochs=2, rounds=1, device="cpu", precision="float32")

    assert set(found["ours"]) == {"1", "2"}
    for row in (found["peer"], *found["ours"].values()):
        assert row["ms_per_step"] > 0
        assert row["share_of_gathered_bound"] <= row["share_of_bound"]
