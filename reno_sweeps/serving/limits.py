"""What a served model takes from whoever asks: how much, and which files it opens by name. The operator sets it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reno_sweeps.records import UserError

SERVER = "__pyfunc_model_path__"  # MLflow's scoring server has it in its environment, and nothing else of MLflow has
ROOT, CLIPS, SECONDS, MEGABYTES, AT_ONCE = (
    f"RENO_SERVE_{name}" for name in ("ROOT", "CLIPS", "SECONDS", "MB", "AT_ONCE")
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one request, and of how many are in work at a time."""

    root: Path | None = None  # the folder whose files may be named; None: none may
    clips: int = 256
    seconds: float = 1_800.0  # of sound, all clips of a request together
    megabytes: int = 64  # of a request's body
    at_once: int = 8  # requests in work; more are told to come again

    def file(self, row: int, name: str) -> Path:
        """The file that a client's `path` means. A UserError unless it lies below the root, links followed.

        The refusal is the same whether such a file exists or not.
        """
        if self.root is None:
            raise UserError(
                f"row {row}: this server opens no file by `path`\n"
                f"send the file's bytes as `audio`, in base64; its operator may offer a folder ({ROOT})"
            )
        try:
            place = (self.root / name).resolve()
        except (OSError, ValueError, RuntimeError):  # too long, a zero byte, links in a circle
            place = Path("/")
        if self.root not in place.parents:
            raise UserError(
                f"row {row}: `path` lies outside of the folder that this server offers\n"
                "name a file in that folder, relative to it, or send its bytes as `audio`"
            )
        return place


def of(environment: Mapping[str, str] | None = None) -> Limits | None:
    """The limits where a server asks, or where the operator named a root; None where nobody but the user does.

    MLflow tells a model nothing of who asks; a server of another make is known by `RENO_SERVE_ROOT` alone.
    A UserError for a setting that is none.
    """
    said = os.environ if environment is None else environment
    if SERVER not in said and not said.get(ROOT):
        return None
    usual = Limits()
    return Limits(
        _folder(said[ROOT]) if said.get(ROOT) else None,
        int(_number(said, CLIPS, usual.clips)),
        _number(said, SECONDS, usual.seconds),
        int(_number(said, MEGABYTES, usual.megabytes)),
        int(_number(said, AT_ONCE, usual.at_once)),
    )


def _folder(said: str) -> Path:
    place = Path(said).expanduser()
    if not place.is_dir():
        raise UserError(f"{ROOT}={said}: there is no such folder\nname the folder whose recordings clients may ask for")
    return place.resolve()


def _number(said: Mapping[str, str], name: str, usual: float) -> float:
    try:
        number = float(said.get(name) or usual)
    except ValueError:
        number = math.nan
    if not 1 <= number < 1e9:
        raise UserError(f"{name}={said[name]}: a number from 1 on is needed; without it {usual:g} holds")
    return number
