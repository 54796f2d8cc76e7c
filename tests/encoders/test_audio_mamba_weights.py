"""Audio-Mamba's weights: every honest file is read alike, every other one is answered in words, none is run."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import pickle
import random
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reno_sweeps.encoders import _mamba_weights as weights
from reno_sweeps.encoders import audio_mamba
from reno_sweeps.encoders._mamba_archive import opened
from reno_sweeps.encoders._mamba_pickle import INERT, Refused, tables
from reno_sweeps.encoders._mamba_random import random_state
from reno_sweeps.encoders._mamba_sizes import needed
from reno_sweeps.records import UserError

TINY, SMALL = "audio-mamba-tiny", "audio-mamba-small"
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """A whole tiny model, random; exact in half precision."""
    return {key: tensor.half().float() for key, tensor in random_state(TINY, seed=3).items()}


@pytest.fixture(scope="module")
def right(state, tmp_path_factory) -> str:
    """The digest that all files of these weights have."""
    file = tmp_path_factory.mktemp("right") / "model.safetensors"
    save_file(state, file)
    return weights.digest(TINY, file)


def settings() -> argparse.Namespace:
    """Training settings as the official files hold them: a class of a package that is not installed here."""
    package = types.ModuleType("ml_collections")
    kind = type("ConfigDict", (), {"__module__": "ml_collections", "__qualname__": "ConfigDict"})
    package.ConfigDict = kind
    sys.modules["ml_collections"] = package
    config = kind()
    config.__dict__.update(model="ssam", sizes=(4, 16), nested={"lr": 1e-3}, path=Path("run"))
    return argparse.Namespace(config=config, workdir="run", seed=7)


def official(state: State, file: Path, **more: Any) -> Path:
    """A checkpoint as training writes it."""
    moments = {0: {"step": torch.tensor(9.0), "exp_avg": torch.ones(3, 4), "exp_avg_sq": torch.ones(3, 4)}}
    groups = [{"lr": 1e-4, "betas": (0.9, 0.95), "eps": 1e-8, "amsgrad": False, "foreach": None, "params": [0, 1]}]
    table = OrderedDict(state)
    table._metadata = {"": {"version": 1}}  # as Module.state_dict sets it
    content = {
        "model": table,
        "optimizer": {"state": moments, "param_groups": groups},
        "epoch": 99,
        "scaler": {"scale": 65536.0},
        "args": settings(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content | more, file)
    del sys.modules["ml_collections"]
    return file


def _packed(file: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)


def deflated(file: Path) -> Path:
    """The same archive with packed members, as some published files have them."""
    with zipfile.ZipFile(file) as old, _packed(file.with_suffix(".new")) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    return file.with_suffix(".new").rename(file)


def parallel(state: State, file: Path) -> None:
    torch.save({f"module.{key}": tensor for key, tensor in state.items()}, file)


def transposed(state: State, file: Path) -> None:
    torch.save({key: x.transpose(0, -1).contiguous().transpose(0, -1) for key, x in state.items()}, file)


def shared_storage(state: State, file: Path) -> None:
    flat = torch.cat([tensor.flatten() for tensor in state.values()])
    parts = flat.split([tensor.numel() for tensor in state.values()])
    torch.save({key: part.view(state[key].shape) for key, part in zip(state, parts, strict=True)}, file)


HONEST: dict[str, Callable[[State, Path], object]] = {
    "official.pth": official,
    "deflated.pth": lambda state, file: deflated(official(state, file)),
    "bare.pth": torch.save,
    "parallel.pth": parallel,
    "parameters.pth": lambda s, f: torch.save({k: torch.nn.Parameter(x) for k, x in s.items()}, f),
    "transposed.pth": transposed,
    "protocol4.pth": lambda s, f: torch.save({"model": s}, f, pickle_protocol=4),
    "half.pth": lambda s, f: torch.save({k: x.half() for k, x in s.items()}, f),
    "features-only.pth": lambda s, f: torch.save({k: s[k] for k in needed(192)}, f),
    "half.safetensors": lambda s, f: save_file({k: x.half() for k, x in s.items()}, f),
    "bare.safetensors": lambda s, f: save_file(s, f, metadata={"format": "pt"}),
}


@pytest.mark.parametrize("kind", HONEST)
def test_every_honest_file_gives_the_same_weights_and_the_same_digest(state, right, tmp_path, kind):
    file = tmp_path / kind
    HONEST[kind](state, file)
    found = weights.load(TINY, file)

    assert weights.digest(TINY, file) == found.digest == right
    assert found.arrays.keys() == needed(192).keys()
    assert all(np.array_equal(array, state[key].numpy()) for key, array in found.arrays.items())


def test_one_storage_for_all_tensors_is_read_at_its_places(tmp_path):
    state = random_state(TINY, seed=3, depth=1)
    shared_storage(state, tmp_path / "x.pth")
    found = weights.read(TINY, tmp_path / "x.pth", depth=None).arrays

    assert all(np.array_equal(array, state[key].numpy()) for key, array in found.items())


def test_brain_floats_are_widened_exactly(tmp_path, state):
    brain = {key: tensor.bfloat16() for key, tensor in state.items()}
    torch.save(brain, tmp_path / "brain.pth")
    found = weights.load(TINY, tmp_path / "brain.pth").arrays

    assert all(np.array_equal(array, brain[key].float().numpy()) for key, array in found.items())


def test_another_value_is_another_digest(state, right, tmp_path):
    other = state | {"encoder_norm.bias": state["encoder_norm.bias"] + 1e-3}
    unneeded = state | {"mask_token": state["mask_token"] + 1.0}
    save_file(other, tmp_path / "other.safetensors")
    save_file(unneeded, tmp_path / "unneeded.safetensors")

    assert weights.digest(TINY, tmp_path / "other.safetensors") != right
    assert weights.digest(TINY, tmp_path / "unneeded.safetensors") == right


def test_a_file_that_changed_is_read_again(state, right, tmp_path):
    file = tmp_path / "model.safetensors"
    save_file(state | {"encoder_norm.bias": state["encoder_norm.bias"] + 1e-3}, file)
    os.utime(file, ns=(1, 1))
    first = weights.digest(TINY, file)
    save_file(state, file)

    assert first != right
    assert weights.digest(TINY, file) == right


def test_the_fixtures_two_files_hold_the_same_weights(shared_data):
    place = shared_data / "audio-mamba"
    run, safe = weights.locate(TINY, place / "ssam_dev"), place / "ssam_dev.safetensors"

    assert run.name == "checkpoint-99.pth"
    assert weights.read(TINY, run, None).digest == weights.read(TINY, safe, None).digest


# --- where they are looked for --------------------------------------------------------------------------------


def test_the_last_epoch_counts_as_a_number(tmp_path):
    for epoch in (9, 99, 100, 20):
        (tmp_path / "run" / "checkpoints").mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / "checkpoints" / f"checkpoint-{epoch}.pth").touch()

    assert weights.locate(TINY, tmp_path / "run").name == "checkpoint-100.pth"
    assert weights.locate(TINY, tmp_path / "run" / "checkpoints").name == "checkpoint-100.pth"


def test_converted_weights_come_before_the_checkpoint_beside_them(tmp_path):
    for name in ("model.safetensors", "other.safetensors", "checkpoint-99.pth"):
        (tmp_path / name).touch()

    assert weights.locate(TINY, tmp_path).name == "model.safetensors"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), r"no weights in .*\ngive an official run's folder"),
        (("a.safetensors", "b.safetensors"), r"holds 2 \.safetensors files\ngive the one"),
        (("a.pth", "b.pth"), r"holds 2 \.pth files, none numbered"),
        (("ssam_tiny/checkpoints/checkpoint-99.pth",), "it holds the runs ssam_tiny: give one of them"),
    ],
)
def test_a_folder_without_one_answer_is_asked_back(tmp_path, files, message):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()

    with pytest.raises(UserError, match=message):
        weights.locate(TINY, tmp_path)


def test_a_place_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no .*nowhere"):
        weights.digest(TINY, tmp_path / "nowhere")


# --- files that are something else ------------------------------------------------------------------------------


def without(state: State, key: str) -> State:
    return {name: tensor for name, tensor in state.items() if name != key}


def cut(file: Path, share: float = 0.6) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])


def cut_safetensors(state: State, file: Path) -> None:
    save_file(state, file)
    cut(file)


def cut_torch(state: State, file: Path) -> None:
    torch.save(state, file)
    cut(file)


def damaged_torch(state: State, file: Path) -> None:
    torch.save(state, file)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def no_number(state: State, file: Path) -> None:
    save_file(state | {"blocks.3.mixer.D": torch.full((576,), torch.nan)}, file)


BAD: dict[str, tuple[Callable[[State, Path], object], str]] = {
    "missing": (
        lambda s, f: save_file(without(s, "blocks.7.mixer.D"), f),
        "lacks 1 of 138 weights, .* blocks.7.mixer.D",
    ),
    "shallow": (lambda s, f: save_file(random_state(TINY, 0, depth=2), f), "lacks 110 of 138 weights"),
    "deep": (
        lambda s, f: save_file(random_state(TINY, 0, depth=13), f),
        "holds 11 weights that audio-mamba-tiny has not",
    ),
    "wrong size": (lambda s, f: save_file(random_state(SMALL, 0, depth=1), f), "the weights of audio-mamba-small"),
    "another width": (lambda s, f: save_file({"cls_token": torch.zeros(1, 1, 256)}, f), "a model of width 256"),
    "wrong shape": (lambda s, f: save_file(s | {"blocks.3.mixer.D": torch.zeros(5)}, f), r"D is \[5\]; .* has \[576\]"),
    "another model": (lambda s, f: torch.save({"conv.weight": torch.zeros(3)}, f), "weights of another model"),
    "double": (lambda s, f: save_file({k: x.double() for k, x in s.items()}, f), "stored as F64; on offer: float32"),
    "not finite": (no_number, "blocks.3.mixer.D holds NaN or infinity"),
    "a list": (lambda s, f: torch.save([1, 2], f), "holds no state dict, neither as 'model' nor bare"),
    "no tensors": (lambda s, f: torch.save({"model": {}}, f), "holds no state dict"),
    "legacy": (lambda s, f: torch.save(s, f, _use_new_zipfile_serialization=False), "format of before 2020"),
    "cut": (cut_torch, "damaged or was cut short in downloading"),
    "cut safetensors": (cut_safetensors, "cut short in downloading: tensors lie beyond its end"),
    "damaged": (damaged_torch, "damaged or was cut short in downloading"),
    "web page": (
        lambda s, f: f.write_text("<!DOCTYPE html><title>Google Drive - Virus scan"),
        "a web page saved in place",
    ),
    "text": (lambda s, f: f.write_text("hello, these are no weights"), "neither a torch file"),
    "empty": (lambda s, f: f.touch(), "it is empty"),
    "long header": (lambda s, f: f.write_bytes((1 << 60).to_bytes(8, "little") + b"{}"), "longer than the file"),
    "bad header": (lambda s, f: f.write_bytes((9).to_bytes(8, "little") + b'{"a": [1]'), "list of tensors is damaged"),
}


@pytest.mark.parametrize("kind", BAD)
def test_another_file_is_answered_in_words(state, tmp_path, kind):
    file = tmp_path / "given.pth"
    write, message = BAD[kind]
    write(state, file)

    with pytest.raises(UserError, match=message) as told:
        audio_mamba.load(TINY, weights=str(file))
    assert str(file) in str(told.value)
    assert str(told.value).count("\n") <= 2


# --- files that mean harm -----------------------------------------------------------------------------------------


class Harm:
    """Unpickled in the usual way, it writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.file}",)


def test_code_beside_the_weights_is_not_run_and_the_weights_are_read(state, right, tmp_path):
    trace = tmp_path / "harmed"
    file = official(state, tmp_path / "x.pth", note=Harm(trace), more=[{"deep": (Harm(trace),)}])

    assert weights.digest(TINY, file) == right
    assert not trace.exists()


def test_code_in_place_of_the_weights_is_not_run(state, tmp_path):
    trace = tmp_path / "harmed"
    torch.save(state | {"encoder_norm.bias": Harm(trace)}, tmp_path / "x.pth")

    with pytest.raises(UserError, match=r"lacks 1 of 138 weights, the first: encoder_norm\.bias"):
        weights.digest(TINY, tmp_path / "x.pth")
    assert not trace.exists()


def rewritten(file: Path, name: str, content: bytes) -> Path:
    """An archive with one member replaced, everything packed."""
    with zipfile.ZipFile(file) as old:
        members = {member.filename: old.read(member) for member in old.infolist()}
    with _packed(file) as new:
        for key, old_content in members.items():
            new.writestr(key, content if key.partition("/")[2] == name else old_content)
    return file


@pytest.mark.parametrize(
    ("member", "message"),
    [("data.pkl", r"data\.pkl unpacks to 100000000 bytes"), ("data/0", r"data/0 unpacks to 100000000 bytes; at most")],
)
def test_a_bomb_is_not_unpacked(tmp_path, member, message):
    torch.save(random_state(TINY, seed=0, depth=1), tmp_path / "x.pth")
    file = rewritten(tmp_path / "x.pth", member, bytes(100_000_000))

    assert file.stat().st_size < 4_000_000
    with pytest.raises(UserError, match=message):
        weights.read(TINY, file, depth=None)


def test_a_storage_shorter_than_promised_is_noticed(tmp_path):
    torch.save(random_state(TINY, seed=0, depth=1), tmp_path / "x.pth")
    file = rewritten(tmp_path / "x.pth", "data/0", bytes(8))

    with pytest.raises(UserError, match=r"data/0 holds 8 bytes of"):
        weights.read(TINY, file, depth=None)


def test_a_tensor_beyond_its_storage_is_noticed(tmp_path):
    state = random_state(TINY, seed=0, depth=1)
    torch.save(state, tmp_path / "x.pth")
    with zipfile.ZipFile(tmp_path / "x.pth") as archive:
        list_of_tensors = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    longer = list_of_tensors.replace(b"K\xc0\x87", b"K\xc1\x87")  # (1, 1, 192) → (1, 1, 193)
    file = rewritten(tmp_path / "x.pth", "data.pkl", longer)

    assert longer != list_of_tensors
    with pytest.raises(UserError):
        weights.read(TINY, file, depth=None)


HOSTILE = {
    "a huge memory": b"\x80\x02}r\xff\xff\xff\xff.",
    "a module by its name": b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
    "an unknown opcode": b"\x80\x02(ios\nsystem\n.",
    "an empty stack": b"\x80\x02R.",
    "no end": b"\x80\x02}",
    "a mark that is not there": b"\x80\x02t.",
    "keys that are lists": b"\x80\x02}]K\x01s.",
    "a tuple of itself, for ever": b"\x80\x02}" + b")\x85" + b"q\x00h\x00\x86" * 60 + b"K\x01s.",
    "a negative storage": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ\xff\xff\xff\xfftQ.",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_lists_of_tensors_do_nothing(kind):
    try:
        found = tables(HOSTILE[kind])
    except Refused:
        found = {}

    assert found in ({}, INERT)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of escapes in a changed word
def test_a_file_with_any_bytes_changed_is_read_or_refused(tmp_path):
    some = {key: torch.ones(4) for key in ("cls_token", "a")}
    file, dice = tmp_path / "x", random.Random(0)
    for save in (torch.save, save_file):
        save(some, file)
        honest = file.read_bytes()
        for _ in range(300):
            changed = bytearray(honest)
            for _ in range(dice.randint(1, 6)):
                changed[dice.randrange(len(changed))] = dice.choice((0, 255, dice.randrange(256)))
            file.write_bytes(changed)
            with contextlib.suppress(Refused), opened(file) as source:
                assert all(len(source.read(key)) < 1_000 for key in source.entries)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of escapes in a changed word
def test_a_list_of_tensors_with_any_bytes_changed_is_read_or_refused():
    honest = pickle.dumps({"model": OrderedDict(a=(1, 2.5, "x"), b=[True, None, b"y"]), "args": settings()}, protocol=2)
    sys.modules.pop("ml_collections")
    dice = random.Random(0)
    for _ in range(2_000):
        changed = bytearray(honest)
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        try:
            tables(bytes(changed))
        except Refused:
            continue

    assert tables(honest)["args"] is INERT
    assert tables(honest)["model"] == {"a": (1, 2.5, "x"), "b": [True, None, INERT]}


# --- converting -----------------------------------------------------------------------------------------------------


def test_a_converted_checkpoint_has_the_weights_and_the_address_of_its_source(state, right, tmp_path):
    source = official(state, tmp_path / "run" / "checkpoints" / "checkpoint-99.pth")
    told = audio_mamba.convert(TINY, tmp_path / "run", tmp_path / "out")
    written = tmp_path / "out" / "model.safetensors"

    assert told == {
        "encoder": TINY,
        "file": str(written),
        "sha256": hashlib.sha256(written.read_bytes()).hexdigest(),
        "weights": right,
        "source": "checkpoint-99.pth",
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "parameters": 4_808_704 - (192 + 192 * 192 + 192 + 64 * 192 + 64),
        "bytes": written.stat().st_size,
    }
    assert weights.digest(TINY, tmp_path / "out") == right
    assert all(torch.equal(tensor, state[key]) for key, tensor in load_file(written).items())


def test_the_same_source_gives_the_same_bytes(state, tmp_path):
    torch.save(state, tmp_path / "a.pth")
    told = [audio_mamba.convert(TINY, tmp_path / "a.pth", tmp_path / place)["sha256"] for place in ("one", "two")]

    assert told[0] == told[1]


def test_converting_twice_writes_once_and_other_weights_are_never_overwritten(state, tmp_path):
    torch.save(state, tmp_path / "a.pth")
    torch.save(state | {"encoder_norm.bias": torch.ones(192)}, tmp_path / "b.pth")
    first = audio_mamba.convert(TINY, tmp_path / "a.pth", tmp_path / "out")
    before = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    again = audio_mamba.convert(TINY, tmp_path / "a.pth", tmp_path / "out")

    assert again == first
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="holds other weights\ngive another folder"):
        audio_mamba.convert(TINY, tmp_path / "b.pth", tmp_path / "out")


def test_a_conversion_that_fails_leaves_nothing(state, tmp_path, monkeypatch):
    torch.save(state, tmp_path / "a.pth")
    monkeypatch.setattr(weights, "_write", full_disk)

    with pytest.raises(OSError, match="No space left"):
        audio_mamba.convert(TINY, tmp_path / "a.pth", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def full_disk(file: Path, *_: object) -> None:
    file.write_bytes(b"half")
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "shape", ["9" * 4_000 + (",9" * 9) + (f",{'9' * 4_000}" * 500), ",".join("1" * 9), str(1 << 41), "1.0", "true,-1"]
)
def test_a_shape_that_no_tensor_has_is_refused_at_once(tmp_path, shape):
    """The product of many long numbers would take minutes."""
    header = f'{{"cls_token":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,4]}}}}'.encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))

    with pytest.raises(UserError, match="its list of tensors is damaged"):
        weights.digest(TINY, tmp_path / "x.safetensors")


def test_brackets_without_end_are_refused(tmp_path):
    header = b'{"a":' + b"[" * 100_000
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)

    with pytest.raises(UserError, match="its list of tensors is damaged"):
        weights.digest(TINY, tmp_path / "x.safetensors")
