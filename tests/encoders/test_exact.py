"""What surrounds an encoder while it computes, and is left as it was."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import torch

from reno_sweeps.encoders import load_encoder
from reno_sweeps.encoders._exact import exact
from reno_sweeps.records import UserError


@pytest.fixture
def allowed():
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision("highest")


def test_inside_there_are_no_gradients_and_no_shortened_products(allowed):
    with exact():
        inside = (
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.allow_tf32,
            torch.is_inference_mode_enabled(),
        )

    assert inside == ("highest", False, True)
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("high", True)


def test_threads_that_overlap_leave_what_the_first_found(allowed):
    entered, leave, seen = threading.Event(), threading.Event(), []

    def second() -> None:
        with exact():
            entered.set()
            leave.wait(10)
            seen.append(torch.get_float32_matmul_precision())

    thread = threading.Thread(target=second)
    with exact():
        thread.start()
        entered.wait(10)
    leave.set()  # the first has left, the second computes on
    thread.join()

    assert (seen, torch.get_float32_matmul_precision()) == (["highest"], "high")
    assert not torch.is_inference_mode_enabled()


def test_a_fault_inside_leaves_it_too(allowed):
    with pytest.raises(ZeroDivisionError), exact():
        1 / 0  # noqa: B018

    assert torch.get_float32_matmul_precision() == "high"
    with exact():
        assert torch.get_float32_matmul_precision() == "highest"


NEWER = """
import torch
from reno_sweeps.encoders._exact import exact
kinds = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.mkldnn.matmul)
for kind in kinds: kind.fp32_precision = "tf32"
with exact(): inside = [kind.fp32_precision for kind in kinds]
print(inside, [kind.fp32_precision for kind in kinds])
"""


@pytest.mark.skipif(not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch before 2.9")
def test_torch_s_newer_settings_are_kept_apart():
    done = subprocess.run([sys.executable, "-c", NEWER], capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["['ieee',", "'ieee',", "'ieee']", "['tf32',", "'tf32',", "'tf32']"], done.stderr


@pytest.mark.parametrize("name", ["audio-mamba-tiny", "wavlm-base", "mfcc"])
def test_a_gpu_that_is_not_there_is_refused_before_weights_are_looked_for(name, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(UserError, match="there is no CUDA device here; on offer: cpu"):
        load_encoder(name, weights="nowhere", device="cuda:0")
