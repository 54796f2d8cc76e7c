"""How an encoder is loaded: the same in the driver's process, in a worker's, and on a machine far away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reno_sweeps.embeddings.address import FACTS
from reno_sweeps.encoders import load_encoder
from reno_sweeps.encoders._facts import Encoder
from reno_sweeps.encoders._open import shelved
from reno_sweeps.records import UserError

HUB = "hf:"  # an id that may name a folder itself


@dataclass(frozen=True, slots=True)
class Load:
    """One encoder as it was asked for."""

    id: str
    weights: str | None  # folder or file; None: the id's own source
    download: bool
    facts: Mapping[str, Any]  # that its embeddings are filed under

    def open(self, device: str) -> Encoder:
        """The encoder; a UserError where it is not the one whose facts are known: other code, or other weights."""
        encoder = load_encoder(self.id, self.weights, device, download=self.download)
        for name in FACTS:
            if encoder.facts[name] != self.facts[name]:
                raise UserError(
                    f"encoder {self.id}: its {name} is {encoder.facts[name]!r} where it is loaded, and was "
                    f"{self.facts[name]!r} when the work began\nuse the same reno-sweeps and weights on every machine"
                )
        return encoder

    def place(self) -> Path | None:
        """The folder or file of its weights on this machine, absolute; None where they are computed or the hub's."""
        given = self.weights or shelved(self.id)
        if given:
            return Path(given).expanduser().absolute()
        parts = self.id.removeprefix(HUB).split("@")
        for end in range(len(parts), 0, -1) if self.id.startswith(HUB) else ():  # a folder's name may hold an '@'
            folder = Path("@".join(parts[:end])).expanduser().absolute()
            if folder.is_dir():
                return folder
        return None
