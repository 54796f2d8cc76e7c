"""Shares of a device: every worker a core, no GPU asked for more than it has, never silently another device."""

from __future__ import annotations

import pytest

from reno_sweeps.records import UserError
from reno_sweeps.search.share import Share, share


@pytest.mark.parametrize(
    ("device", "gpus", "resources", "expected"),
    [
        ("cpu", None, {"CPU": 2.0}, Share("cpu", 2)),
        ("auto", None, {"CPU": 2.0}, Share("cpu", 2)),
        ("auto", None, {}, Share("cpu", 1)),
        ("auto", None, {"CPU": 0.5}, Share("cpu", 1)),
        ("cpu", None, {"CPU": 8.0, "GPU": 1.0}, Share("cpu", 8)),
        ("auto", 0, {"CPU": 8.0, "GPU": 1.0}, Share("cpu", 8)),
        ("auto", None, {"CPU": 16.0, "GPU": 1.0}, Share("cuda", 4, 0.25)),
        ("cuda", None, {"CPU": 3.0, "GPU": 1.0}, Share("cuda", 3, 1 / 3)),
        ("cuda", 1, {"CPU": 16.0, "GPU": 4.0}, Share("cuda", 4, 0.25)),
        ("cuda", 2, {"CPU": 3.0, "GPU": 2.0}, Share("cuda", 2, 1.0)),
        ("cuda", None, {"CPU": 2.0, "GPU": 8.0}, Share("cuda", 2, 1.0)),
        ("cuda", None, {"CPU": 64.0, "GPU": 8.0}, Share("cuda", 32, 0.25)),
    ],
)
def test_a_share_is_one_worker_a_core_or_a_few_on_each_gpu(device, gpus, resources, expected):
    assert share(device, gpus, resources) == expected


@pytest.mark.parametrize("cores", range(1, 20))
@pytest.mark.parametrize("there", [1, 2, 3, 8])
def test_no_gpu_is_asked_for_more_than_it_has_and_no_worker_lacks_a_core(cores, there):
    one = share("cuda", None, {"CPU": float(cores), "GPU": float(there)})
    each = round(1 / one.gpu)

    assert 1 <= one.workers <= cores
    assert one.workers % each == 0
    assert one.workers // each <= there
    assert one.resources() == {"cpu": 1, "gpu": one.gpu}


@pytest.mark.parametrize(
    ("device", "gpus", "resources", "why"),
    [
        ("cuda", None, {"CPU": 2.0}, "no GPU is visible"),
        ("cuda", 0, {"CPU": 2.0, "GPU": 1.0}, "--gpus 0: nothing to train on"),
        ("auto", 1, {"CPU": 2.0}, "--gpus 1: 0 GPUs are visible"),
        ("cuda", 2, {"CPU": 2.0, "GPU": 1.0}, "--gpus 2: 1 GPUs are visible"),
    ],
)
def test_what_was_asked_for_and_is_not_there_is_refused(device, gpus, resources, why):
    with pytest.raises(UserError, match=why):
        share(device, gpus, resources)
