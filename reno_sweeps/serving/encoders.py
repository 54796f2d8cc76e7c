"""The encoders that a model hears with: what is kept of them at registration, and how they are found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reno_sweeps import audio
from reno_sweeps.encoders import encoder_facts, load_encoder
from reno_sweeps.encoders._checkpoint import parse
from reno_sweeps.encoders._facts import Encoder
from reno_sweeps.encoders._hub import cached, weights_digest
from reno_sweeps.encoders._open import given_for
from reno_sweeps.records import UserError
from reno_sweeps.serving import bundle

ABOUT = ("id", "folder", "sha256", "audio")  # what a description has beside the facts of the encoder's address


def described(encoder: str, facts: Mapping[str, Any], weights: str | None = None) -> dict[str, Any]:
    """What a model folder keeps of an encoder: its facts, where its weights lay, their hash, how audio was decoded."""
    folder = _folder(encoder, facts, weights)
    known = weights_digest(folder) if folder and facts["encoder"] == "huggingface" else facts["weights"]
    place = None if folder is None else str(folder)
    return {**facts, "id": encoder, "folder": place, "sha256": known, "audio": audio.VERSION}


def _folder(encoder: str, facts: Mapping[str, Any], weights: str | None) -> Path | None:
    """Where the weights lie on this machine; None for an encoder that has none."""
    if weights is not None:
        return Path(weights).expanduser().absolute()
    if facts["encoder"] != "huggingface":
        return None
    source, at, _ = str(facts["weights"]).rpartition("@")
    if at:  # 'owner/name@revision', from the hub's cache
        return cached(source)
    return Path(parse(encoder).base.removeprefix("hf:")).expanduser().absolute()


def opened(
    known: Sequence[Mapping[str, Any]], weights: Mapping[str, str], device: str, folder: Path | None = None
) -> list[Encoder]:
    """The encoders of a model, loaded; `weights` (id → folder) say where they lie now, else the model's `folder` may
    hold them, else they are looked for where they lay.

    A UserError where one is missing, is not the model's, or would hear otherwise than the model learnt.
    """
    _refuse_incomplete(known)
    _refuse_strangers(known, weights)
    return [_opened(facts, given_for(facts["id"], weights), device, folder) for facts in known]


def _refuse_incomplete(known: Sequence[Mapping[str, Any]]) -> None:
    """A description from elsewhere may lack what `described` writes."""
    for facts in known:
        lacking = [name for name in ("weights", "sha256", "audio") if not isinstance(facts.get(name), str)]
        if lacking:
            raise UserError(
                f"encoder {facts['id']}: the model's description lacks {', '.join(lacking)}\n"
                "copy the model's folder again, or register the model again"
            )


def _refuse_strangers(known: Sequence[Mapping[str, Any]], weights: Mapping[str, str]) -> None:
    mine = [str(facts["id"]) for facts in known]
    allowed = {*mine, *(encoder.partition("@")[0] for encoder in mine)}
    for encoder in weights:
        if encoder not in allowed:
            raise UserError(f"--weights {encoder}=…: the model has no such encoder\nit hears with {', '.join(mine)}")


def _opened(known: Mapping[str, Any], given: str | None, device: str, folder: Path | None) -> Encoder:
    encoder = str(known["id"])
    weights = given or (bundle.unpacked(known, folder) if folder else None) or _lasting(known)
    try:
        found = encoder_facts(encoder, weights)
    except UserError as fault:
        if given:
            raise
        first = str(fault).splitlines()[0]
        raise UserError(
            f"{first}\nthe model was trained with weights {known['sha256']}\n"
            f"say where they lie: --weights {encoder.partition('@')[0]}=DIR; "
            "or register it where they are with --bundle-encoders"
        ) from fault
    _refuse_others(known, found)
    return load_encoder(encoder, weights, device)


def _lasting(known: Mapping[str, Any]) -> str | None:
    """The folder or file in which the weights lay at registration, where it is still there."""
    folder = known.get("folder")
    return folder if isinstance(folder, str) and folder and Path(folder).exists() else None


def _refuse_others(known: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Other weights or another way of hearing give other vectors: the head's answers would mean nothing."""
    encoder = known["id"]
    if found["weights"] not in {known["weights"], known["sha256"]}:
        raise UserError(
            f"encoder {encoder}: its weights here are {found['weights']}, the model's are {known['sha256']}\n"
            f"say where the model's own lie: --weights {str(encoder).partition('@')[0]}=DIR"
        )
    mine = {**found, "audio": audio.VERSION}
    other = [name for name in mine if name != "weights" and mine[name] != known.get(name)]
    if other:
        was, here = (", ".join(f"{name} {facts.get(name)}" for name in other) for facts in (known, mine))
        raise UserError(
            f"encoder {encoder} hears otherwise here ({here}) than the model learnt ({was})\n"
            "use the reno-sweeps that the model was registered with, or register it again"
        )
