"""An encoder's id taken apart: 'wavlm-base@layer=9@pooling=mean-std@precision=bf16'."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from reno_sweeps.records import UserError

POOLINGS = {"mean": "mean", "mean-std": "mean+std"}  # as an option (no '+' in an id: pairs are split there), as a fact
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
OFFER = "@layer=N, @normalize=yes|no, @pooling=mean|mean-std, @precision=fp32|bf16|fp16"


@dataclass(frozen=True, slots=True)
class Asked:
    """An id's base and its options."""

    base: str  # without its options
    layer: int | None = None  # hidden layer; None: the last
    normalize: bool | None = None  # None: as the checkpoint says
    pooling: str = "mean"  # over time: mean, or mean+std (mean first, then the deviation; the width doubles)
    precision: str | None = None  # None: not said in the id


def parse(name: str) -> Asked:
    """The id's base and options; a UserError for options that do not exist, or that stand there twice."""
    base, *options = name.split("@")
    chosen: dict[str, Any] = {}
    for option in options:
        if "=" not in option and not chosen:  # a folder's name may hold the sign
            base = f"{base}@{option}"
            continue
        word, _, value = option.partition("=")
        if word in chosen:
            raise UserError(f"encoder {name}: @{word} is given twice\nsay it once")
        chosen[word] = _value(name, word, value)
    return Asked(base, **chosen)


def agreed(name: str, asked: Asked, given: str, device: str) -> str:
    """The precision that id and argument agree on; a UserError where they do not, or where the device lacks it."""
    said = PRECISIONS.get(given, given)
    if said not in PRECISIONS.values():
        raise UserError(f"precision {given}: {name} offers {', '.join(PRECISIONS.values())}")
    settled = asked.precision or said
    if said not in {"float32", settled}:  # float32 is the argument's default: it asks for nothing
        raise UserError(f"encoder {name}: its id asks for {settled}, the precision given is {said}\nsay one of them")
    if settled != "float32" and device.startswith("cpu"):
        raise UserError(f"encoder {name}: {settled} needs a GPU, this device is the CPU; leave @precision away")
    return settled


def _value(name: str, word: str, value: str) -> Any:
    if word == "layer" and re.fullmatch(r"\d{1,4}", value):
        return int(value)
    if word == "normalize" and value in {"yes", "no"}:
        return value == "yes"
    for option, offered in (("pooling", POOLINGS), ("precision", PRECISIONS)):
        if word == option and value in offered:
            return offered[value]
    raise UserError(f"encoder {name}: no option @{word}={value}\non offer: {OFFER}")
