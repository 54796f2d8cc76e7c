"""A speech checkpoint's small files: whatever they hold is answered in words."""

from __future__ import annotations

import json

import pytest

from reno_sweeps.encoders import _safetensors
from reno_sweeps.encoders._checkpoint import described, inspect, parse
from reno_sweeps.records import UserError

DEEP = "[" * 100_000


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", [DEEP, "9" * 5_000, "{", "[]", "\ud800"])
def test_a_description_that_is_no_json_is_refused(tmp_path, name, content):
    config = {"model_type": "wavlm", "hidden_size": 8, "num_hidden_layers": 1, "conv_kernel": [3], "conv_stride": [2]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogatepass"))

    with pytest.raises(UserError, match=rf"{name} is not"):
        inspect("hf:x", parse("hf:x"), tmp_path)


@pytest.mark.parametrize("kind", [{}, {"model_type": None}, {"model_type": ["wavlm"]}, {"model_type": "bert"}])
def test_a_model_that_does_not_say_what_it_is_hears_nothing(tmp_path, kind):
    config = {"hidden_size": 8, "num_hidden_layers": 1, "conv_kernel": [3], "conv_stride": [2]}
    if kind.get("model_type") == "bert":
        del config["conv_kernel"]
    (tmp_path / "config.json").write_text(json.dumps(config | kind))

    for ask in (lambda: described("hf:x", tmp_path), lambda: inspect("hf:x", parse("hf:x"), tmp_path)):
        with pytest.raises(UserError, match="no speech encoder that is known here"):
            ask()


@pytest.mark.parametrize("header", [DEEP, '{"a": ' + DEEP, '{"a": 1}', "{}", '{"a": {"data_offsets": [0, "x"]}}'])
def test_a_header_that_is_none_is_said(tmp_path, header):
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"1234")
    (tmp_path / "model.safetensors.index.json").write_text(DEEP)

    assert "model.safetensors" in str(_safetensors.fault(tmp_path))


def test_a_header_beyond_the_formats_limit_is_not_read(tmp_path):
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write((200_000_000).to_bytes(8, "little"))
        file.truncate(300_000_000)  # a sparse file: it takes no room

    assert "more than the format allows" in str(_safetensors.fault(tmp_path))
