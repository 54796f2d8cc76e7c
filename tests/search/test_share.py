"""Shares of a device: every worker a core, no GPU asked for more than it has, never silently another device."""

from __future__ import annotations

import pytest

from reno_sweeps.records import UserError
from reno_sweeps.search.share import GPU_COHORT, Share, cohort_size, share


@pytest.mark.parametrize(
    ("device", "gpus", "resources", "expected"),
    [
        ("cpu", None, {"CPU": 2.0}, Share("cpu", 2)),
        ("auto", None, {"CPU": 2.0}, Share("cpu", 2)),
        ("auto", None, {}, Share("cpu", 1)),
        ("auto", None, {"CPU": 0.5}, Share("cpu", 1)),
        ("cpu", None, {"CPU": 8.0, "GPU": 1.0}, Share("cpu", 8)),
        ("auto", 0, {"CPU": 8.0, "GPU": 1.0}, Share("cpu", 8)),
        ("auto", None, {"CPU": 16.0, "GPU": 1.0}, Share("cuda", 1, 1.0)),
        ("cuda", None, {"CPU": 3.0, "GPU": 1.0}, Share("cuda", 1, 1.0)),
        ("cuda", 1, {"CPU": 16.0, "GPU": 4.0}, Share("cuda", 1, 1.0)),
        ("cuda", 2, {"CPU": 3.0, "GPU": 2.0}, Share("cuda", 2, 1.0)),
        ("cuda", None, {"CPU": 2.0, "GPU": 8.0}, Share("cuda", 2, 1.0)),
        ("cuda", None, {"CPU": 64.0, "GPU": 8.0}, Share("cuda", 8, 1.0)),
    ],
)
def test_a_share_is_one_worker_a_core_or_one_on_each_gpu(device, gpus, resources, expected):
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


# --- --cohort auto ---


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("ahead", [1, 8, 32])
@pytest.mark.parametrize("seconds", [None, 0.0, 0.01, 0.3, 5.0, 1e4])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_no_cohort_takes_what_another_worker_could_train(device, seconds, ahead, workers):
    size = cohort_size(device, ahead=ahead, workers=workers, seconds=seconds)

    assert size >= 1
    assert size * workers <= max(ahead, workers)


@pytest.mark.parametrize(
    ("seconds", "size"), [(None, 1), (0.0, 16), (0.05, 16), (0.5, 4), (1.0, 2), (2.0, 1), (60.0, 1)]
)
def test_on_a_cpu_light_trainings_go_together_and_heavy_ones_alone(seconds, size):
    assert cohort_size("cpu", ahead=32, workers=2, seconds=seconds) == size


def test_a_gpu_gets_all_that_may_be_tried_at_once():
    assert cohort_size("cuda", ahead=GPU_COHORT, workers=1, seconds=60.0) == GPU_COHORT
