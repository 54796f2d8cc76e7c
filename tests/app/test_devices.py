"""Devices and clusters that are not there are refused at once, before anything begins."""

from __future__ import annotations

import pytest
import torch

from reno_sweeps.app import devices
from reno_sweeps.config.settings import gather
from reno_sweeps.records import UserError


def test_more_gpus_than_there_are_are_refused() -> None:
    with pytest.raises(UserError, match=r"--gpus 999: \d+ GPUs are visible"):
        devices.refuse_absent(gather({"gpus": 999}))


@pytest.mark.parametrize("address", ["127.0.0.1:9", "[::1]:9", "127.0.0.1:99999"])
def test_a_cluster_that_does_not_answer_is_refused_at_once(address: str) -> None:
    with pytest.raises(UserError, match="nothing answers there"):
        devices.refuse_absent(gather({"ray_address": address}))


def test_nothing_asked_is_nothing_refused() -> None:
    devices.refuse_absent(gather())

    assert devices.settle("cpu") == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert devices.settle("auto") == "cpu"
    with pytest.raises(UserError, match="--device cpu"):
        devices.settle("cuda")
