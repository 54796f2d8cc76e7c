"""Weights from others: Audio-Mamba's torch archives and safetensors, and the folders of speech encoders."""

from __future__ import annotations

import functools
import io
import json
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.embeddings import unsafe
from tests.fuzz.kind import Kind, written
from tests.fuzz.mutations import EDGES, as_json, bent, nested_json, spoilt

MINI, WIDTH = "audio-mamba-mini", 16  # a size of our own: files of some 40 kB
OPCODES = (
    b"cos\nsystem\nX\x04\x00\x00\x00true\x85R", b"c__builtin__\neval\n", b"(lp0\n", b"I9\n", b"L99L\n", b"F1e400\n", b"V\\ud800\n",
    b"S'a'\n", b"r\xff\xff\xff\xff", b"j\xff\xff\xff\xff", b"q\xff", b"h\xff", b"0", b"00000000", b"1", b"2", b"(", b"((((", b"t", b"u",
    b"s", b"e", b"a", b"b", b"R", b"\x81", b"\x92", b"\x93", b"Q", b"P1\n", b"\x94", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", b".",
    b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f", b"\x8a\xff" + b"\xff" * 255, b"\x95" + b"\xff" * 8, b"\x97", b"\x98",
    b"K\x01", b"M\xff\xff", b"J\xff\xff\xff\xff", b"]", b"}", b")", b"\x8f", b"\x85", b"\x86", b"\x87", b"N", b"\x88",
    b"]" + b"q\x00h\x00h\x00\x86" * 60, b"((((((((((tttttttttt", b"}(K\x01h\x00u", b"ctorch._utils\n_rebuild_tensor_v2\n",
)  # fmt: skip


@functools.cache
def _state() -> dict[str, Any]:
    import torch

    from reno_sweeps.encoders import _mamba_sizes

    _mamba_sizes.WIDTHS.setdefault(MINI, WIDTH)
    shapes = _mamba_sizes.needed(WIDTH, 1) | _mamba_sizes.unused(WIDTH)
    dice = torch.Generator().manual_seed(0)
    return {key: torch.randn(shape, generator=dice) for key, shape in shapes.items()}


@functools.cache
def _members() -> dict[str, bytes]:
    import torch

    out = io.BytesIO()
    torch.save({"model": _state(), "epoch": 99, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}}, out)
    with zipfile.ZipFile(out) as archive:
        return {f"archive/{name.partition('/')[2]}": archive.read(name) for name in archive.namelist()}


def _pth(dice: Random | None, folder: Path) -> Path:
    members = dict(_members())
    packing, shares = 0, ()
    if dice:
        roll = dice.random()
        name = "archive/data.pkl" if roll < 0.6 else dice.choice(list(members))
        members[name] = _pickled(dice, members[name]) if name.endswith("pkl") else _stored(dice, members[name])
        packing, shares = dice.choice((0, 0, 8, 8, 12, 14)), (members[name],)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = packing
            archive.writestr(info, content)
    content = out.getvalue()
    return written(folder, "x.pth", spoilt(dice, content, shares) if dice and dice.random() < 0.3 else content)


def _pickled(dice: Random, content: bytes) -> bytes:
    """A list of tensors with foreign opcodes, other numbers, or other words."""
    out = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 4))):
        place = dice.randrange(len(out)) if out else 0
        roll = dice.random()
        if roll < 0.5:
            out[place:place] = dice.choice(OPCODES) * dice.choice((1, 1, 1, 50))
        elif roll < 0.6:
            out[2:2] = dice.choice(OPCODES)
        elif roll < 0.7:
            out = out.replace(
                b"K\x10", dice.choice((b"K\x11", b"J\xff\xff\xff\x7f", b"K\x00", b"N", b"\x8a\x08" + b"\xff" * 8)), 1
            )
        else:
            return spoilt(dice, bytes(out))
    return bytes(out)


def _stored(dice: Random, content: bytes) -> bytes:
    if dice.random() < 0.05:
        return bytes(50_000_000)
    return spoilt(dice, content) if content else dice.randbytes(9)


def _safe(dice: Random | None, folder: Path) -> Path:
    return written(folder, "x.safetensors", _safe_content(dice) if dice else _safe_whole())


@functools.cache
def _safe_whole() -> bytes:
    from safetensors.torch import save

    content: bytes = save(_state(), metadata={"format": "pt"})
    return content


def _safe_content(dice: Random) -> bytes:
    if dice.random() < 0.9:
        return unsafe(dice, _safe_whole())
    many = dice.choice((10, 3_000))
    shape = dice.choice(("9" * 4_000, "1", "0", "18446744073709551616"))
    header = dice.choice((
        f'{{"cls_token":{{"dtype":"F32","shape":[{",".join([shape] * many)}],"data_offsets":[0,4]}}}}',
        "{" + ",".join(f'"{n}":{{"dtype":"F32","shape":[],"data_offsets":[0,4]}}' for n in range(many)) + "}",
        '{"a":' + nested_json(dice) + "}",
        '{"__metadata__":' + "[]," * many + "1}",
    )).encode()  # fmt: skip
    length = len(header) if dice.random() < 0.8 else dice.choice(EDGES)
    return struct.pack("<Q", length) + header + bytes(4)


def _read(file: Path) -> object:
    from reno_sweeps.encoders import _mamba_weights

    _state()
    found = _mamba_weights.read(MINI, file, None)
    if any(array.dtype != "float32" for array in found.arrays.values()):
        raise AssertionError("not float32")
    return found.digest


# --- folders of speech encoders ------------------------------------------------------------------------------

CONFIG = {
    "model_type": "wavlm", "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "feat_extract_norm": "layer",
    "conv_kernel": [10, 8, 4], "conv_stride": [5, 4, 2], "add_adapter": False, "output_hidden_size": 24, "squeeze_factor": 1,
}  # fmt: skip
PREPARED = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16_000, "do_normalize": True}
INDEX = {"weight_map": {"a": "model.safetensors", "b": "model.safetensors"}}


def _speech(dice: Random | None, folder: Path) -> Path:
    for name, tree in (
        ("config.json", CONFIG),
        ("preprocessor_config.json", PREPARED),
        ("model.safetensors.index.json", INDEX),
    ):
        content = json.dumps(tree).encode()
        written(
            folder, name, as_json(dice, bent(dice, tree, list(CONFIG))) if dice and dice.random() < 0.5 else content
        )
    safe = _safe_whole()
    written(folder, "model.safetensors", unsafe(dice, safe) if dice and dice.random() < 0.4 else safe)
    return folder


def _inspect(folder: Path) -> object:
    from reno_sweeps.encoders import _checkpoint

    _checkpoint.described("hf:x", folder)
    return _checkpoint.inspect("hf:x", _checkpoint.parse("hf:x@layer=1"), folder)


KINDS = (
    Kind("Audio-Mamba checkpoint (pth)", _pth, _read),
    Kind("Audio-Mamba weights (safetensors)", _safe, _read),
    Kind("speech encoder's folder", _speech, _inspect),
)
