"""Options in an encoder's id: what they say, and what is answered to those that do not exist."""

from __future__ import annotations

import pytest

from reno_sweeps.encoders._options import Asked, agreed, parse
from reno_sweeps.records import UserError


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("wavlm-base", Asked("wavlm-base")),
        ("wavlm-base@layer=9", Asked("wavlm-base", layer=9)),
        ("hf:a/b@normalize=no@layer=0", Asked("hf:a/b", layer=0, normalize=False)),
        ("hf:a@pooling=mean-std", Asked("hf:a", pooling="mean+std")),
        ("hf:a@pooling=mean", Asked("hf:a")),
        ("hf:a@precision=bf16", Asked("hf:a", precision="bfloat16")),
        ("hf:/data/2024@home/model@layer=1", Asked("hf:/data/2024@home/model", layer=1)),
    ],
)
def test_an_id_says_what_is_asked(name, asked):
    assert parse(name) == asked


@pytest.mark.parametrize(
    "option",
    ["pool=max", "layer=x", "layer=-1", "layer=", "normalize=1", "pooling=mean+std", "precision=int8", "=", "x="],
)
def test_an_unknown_option_is_answered_with_what_is_on_offer(option):
    with pytest.raises(UserError, match=f"no option @{option}".replace("+", r"\+")) as refusal:
        parse(f"wavlm-base@{option}")
    assert "@layer=N, @normalize=yes|no, @pooling=mean|mean-std, @precision=fp32|bf16|fp16" in str(refusal.value)


@pytest.mark.parametrize("name", ["wavlm-base@", "wavlm-base@fast", "wavlm-base@fast@layer=1"])
def test_only_a_folder_s_name_may_hold_the_sign(name):
    with pytest.raises(UserError, match=r"no option @(fast)?\non offer"):
        parse(name)


def test_an_option_stands_once():
    with pytest.raises(UserError, match="@layer is given twice"):
        parse("wavlm-base@layer=1@layer=2")


@pytest.mark.parametrize(
    ("option", "given", "settled"),
    [
        (None, "float32", "float32"),
        (None, "bf16", "bfloat16"),
        ("bfloat16", "float32", "bfloat16"),
        ("float16", "float16", "float16"),
        ("float32", "float32", "float32"),
    ],
)
def test_argument_and_option_agree(option, given, settled):
    assert agreed("x", option, given, "cuda:0") == settled


def test_argument_and_option_that_differ_are_refused():
    with pytest.raises(UserError, match="its id asks for float32, the precision given is float16"):
        agreed("x", "float32", "float16", "cuda")
    with pytest.raises(UserError, match="precision int8: x offers float32, bfloat16, float16"):
        agreed("x", None, "int8", "cuda")
