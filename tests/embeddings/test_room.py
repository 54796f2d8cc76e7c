"""How many workers: as asked, or as cores, GPUs and memory allow; and where an encoder's weights lie."""

from __future__ import annotations

import pytest

from reno_sweeps.embeddings import _room
from reno_sweeps.embeddings._load import Load
from reno_sweeps.encoders import encoder_facts
from reno_sweeps.records import UserError

GB = 1e9
NODES = [{"CPU": 8.0, "memory": 16 * GB}, {"CPU": 2.0, "memory": 64 * GB, "GPU": 2.0}]


@pytest.mark.parametrize(
    ("device", "memory", "asked", "gpus", "found"),
    [
        ("cpu", 1 * GB, None, None, 10),
        ("cpu", 4 * GB, None, None, 6),  # four fit on the first machine
        ("cpu", 100 * GB, None, None, 1),
        ("cpu", 1 * GB, 3, None, 3),
        ("cpu", 1 * GB, 30, None, 30),
        ("cuda", 1 * GB, None, None, 2),
        ("cuda", 1 * GB, None, 1, 1),
        ("cuda", 1 * GB, 4, None, 4),
    ],
)
def test_one_worker_a_core_or_gpu_as_far_as_memory_goes(device, memory, asked, gpus, found):
    assert _room.workers(NODES, device, memory, asked=asked, gpus=gpus) == found


@pytest.mark.parametrize(
    ("device", "gpus", "found"), [("cpu", 2, "cpu"), ("auto", 2, "cuda"), ("auto", 0, "cpu"), ("cuda", 1, "cuda")]
)
def test_the_device_follows_what_is_there(device, gpus, found):
    assert _room.settled(device, {"CPU": 4, "GPU": gpus}) == found


def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="no GPU is visible"):
        _room.settled("cuda", {"CPU": 4})


def load(name, weights=None):
    return Load(name, weights, download=False, facts=encoder_facts(name, weights))


def test_memory_follows_the_weights(wavlm):
    file = wavlm / "model.safetensors"

    assert _room.need([load("mfcc")]) == _room.PROCESS
    assert _room.need([load("mfcc"), load(f"hf:{wavlm}")]) == _room.PROCESS + _room.COPIES * file.stat().st_size


def test_this_machine_has_room_for_one_at_least():
    assert _room.here("cpu", 1e15, None) == 1
    assert 1 <= _room.here("cpu", 1.0, None) <= _room.cores()


def test_weights_lie_where_they_were_given_where_the_id_says_or_nowhere(wavlm, tmp_path, monkeypatch):
    shelf = tmp_path / "shelf" / "wavlm-base"
    shelf.mkdir(parents=True)
    (shelf / "config.json").write_text("{}")
    facts = encoder_facts("mfcc")

    assert load(f"hf:{wavlm}").place() == load(f"hf:{wavlm}@layer=1").place() == wavlm
    assert load("hf:owner/name", str(wavlm)).place() == wavlm
    assert Load("hf:owner/name", None, download=False, facts=facts).place() is None
    assert Load("mfcc", None, download=False, facts=facts).place() is None
    monkeypatch.setenv("RENO_WEIGHTS", str(shelf.parent))
    assert Load("wavlm-base", None, download=False, facts=facts).place() == shelf


def test_a_relative_folder_is_made_absolute(wavlm, monkeypatch):
    monkeypatch.chdir(wavlm.parent)

    assert load("hf:./wavlm").place() == wavlm


def test_an_encoder_of_other_code_is_refused_where_it_is_loaded():
    other = Load("mfcc", None, download=False, facts=encoder_facts("mfcc") | {"code": "0"})

    with pytest.raises(UserError, match="its code is '1' where it is loaded, and was '0'"):
        other.open("cpu")
