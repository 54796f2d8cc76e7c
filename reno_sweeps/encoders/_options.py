"""An encoder's id taken apart: 'wavlm-base@layer=9@pooling=mean-std@precision=bf16'."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reno_sweeps.records import UserError

POOLINGS = {"mean": "mean", "mean-std": "mean+std"}  # as an option (no '+' in an id: pairs are split there), as a fact
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
FOLDER = "hf:"  # behind it may stand a folder, whose name may hold an '@'
Offer = Mapping[str, Mapping[str, Any] | None]  # option → what its values mean; None: a whole number
OFFER: Offer = {
    "layer": None,
    "normalize": {"yes": True, "no": False},
    "pooling": POOLINGS,
    "precision": PRECISIONS,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """An id's base and its options."""

    base: str  # without its options
    layer: int | None = None  # hidden layer; None: the last
    normalize: bool | None = None  # None: as the checkpoint says
    pooling: str = "mean"  # over time: mean, or mean+std (mean first, then the deviation; the width doubles)
    precision: str | None = None  # None: not said in the id


def parse(name: str) -> Asked:
    """The id's base and the options of a speech encoder."""
    base, chosen = taken(name, OFFER)
    return Asked(base, **chosen)


def taken(name: str, offer: Offer) -> tuple[str, dict[str, Any]]:
    """The id's base and its options; a UserError for options that do not exist, or that stand there twice."""
    base, *options = name.split("@")
    chosen: dict[str, Any] = {}
    for option in options:
        if "=" not in option and not chosen and base.startswith(FOLDER):
            base = f"{base}@{option}"
            continue
        word = option.partition("=")[0]
        if word in chosen:
            raise UserError(f"encoder {name}: @{word} is given twice\nsay it once")
        chosen[word] = _meaning(name, option, offer)
    return base, chosen


def refuse_any(name: str) -> None:
    """Refuse options behind the id of an encoder that has none."""
    base, at, _ = name.partition("@")
    if at:
        raise UserError(f"encoder {name}: {base} has no options")


def agreed(name: str, asked: str | None, given: str, device: str) -> str:
    """The precision that the id (`asked`) and the argument agree on.

    A UserError where they do not, or where the device lacks it.
    """
    said = PRECISIONS.get(given, given)
    if said not in PRECISIONS.values():
        raise UserError(f"precision {given}: {name} offers {', '.join(PRECISIONS.values())}")
    settled = asked or said
    if said not in {"float32", settled}:  # float32 is the argument's default: it asks for nothing
        raise UserError(f"encoder {name}: its id asks for {settled}, the precision given is {said}\nsay one of them")
    if settled != "float32" and device.startswith("cpu"):
        raise UserError(f"encoder {name}: {settled} needs a GPU, this device is the CPU; leave @precision away")
    return settled


def _meaning(name: str, option: str, offer: Offer) -> Any:
    word, _, value = option.partition("=")
    values = offer.get(word, {})
    if values is None and re.fullmatch(r"[0-9]{1,4}", value):
        return int(value)
    if values and value in values:
        return values[value]
    on_offer = ", ".join(f"@{key}={'N' if known is None else '|'.join(known)}" for key, known in offer.items())
    raise UserError(f"encoder {name}: no option @{option}\non offer: {on_offer}")
