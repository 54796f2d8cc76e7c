"""A model behind a table: which columns MLflow sends and gets, and how they become recordings or embeddings."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps import audio
from reno_sweeps.records import UserError
from reno_sweeps.serving.answers import EMOTION, PATH, column
from reno_sweeps.serving.model import EmotionModel, open_model

if TYPE_CHECKING:
    from pandas import DataFrame

    from reno_sweeps.serving.answers import Table

AUDIO = "audio"
CONFIG: Mapping[str, Any] = {"weights": {}, "device": "auto"}  # what `model_config` may say when a model is loaded

Columns = list[tuple[str, str, bool]]  # name, MLflow's type, required


def opened(folder: Path, config: Mapping[str, Any]) -> EmotionModel:
    """The model of a folder; `config` may name encoders' weights on this machine, and the device."""
    said = {**CONFIG, **config}
    return open_model(folder, said["weights"] or {}, said["device"] or "auto")


def inputs(model: EmotionModel) -> Columns:
    """A file's `path` on the machine that answers, or its bytes as `audio`; or a vector per encoder."""
    if model.takes_audio:
        return [(PATH, "string", False), (AUDIO, "binary", False)]
    return [(PATH, "string", False), *((name, "array<double>", True) for name in model.inputs)]


def outputs(model: EmotionModel) -> Columns:
    """What `answered` gives."""
    labels = [(column(label), "double", True) for label in model.classes]
    return [(PATH, "string", False), (EMOTION, "string", True), *labels]


def example(model: EmotionModel, vectors: Mapping[str, Any]) -> dict[str, list[Any]]:
    """One row that the model answers: a synthetic tone; or the given vector by encoder id."""
    if model.takes_audio:
        return {PATH: ["tone.wav"], AUDIO: [_tone()]}
    return {
        PATH: ["clip"],
        **{name: [[float(number) for number in vectors[encoder]]] for name, encoder in model.inputs.items()},
    }


def answered(model: EmotionModel, given: DataFrame) -> DataFrame:
    """The answers to a table, in its order; `path` is there where it was given."""
    known = PATH in given.columns
    names = [str(name) if _is_there(name) else None for name in given[PATH]] if known else None
    if model.takes_audio:
        found = model.answer(_recordings(given, names), names or [None] * len(given))
    else:
        found = model.answer_embeddings({name: list(given[name]) for name in given.columns if name != PATH}, names)
    return _frame(found, known)


def _frame(found: Table, known: bool) -> DataFrame:
    frame = found.as_frame()
    return frame if known else frame.drop(columns=PATH)


def _recordings(given: DataFrame, names: list[str | None] | None) -> list[Any]:
    """Of every row its bytes where there are some, else the file of its path."""
    if AUDIO not in given.columns and names is None:
        offer = f"`{PATH}` (a file on the machine that answers) or `{AUDIO}` (a file's bytes)"
        raise UserError(f"the table has {', '.join(map(str, given.columns)) or 'no columns'}; the model takes {offer}")
    contents = list(given[AUDIO]) if AUDIO in given.columns else [None] * len(given)
    return [_recording(row, content, names) for row, content in enumerate(contents)]


def _recording(row: int, content: Any, names: list[str | None] | None) -> Any:
    if _is_there(content):
        return _bytes(row, content)
    name = None if names is None else names[row]
    if name is None:
        raise UserError(f"row {row} has neither `{PATH}` nor `{AUDIO}`\ngive one of them in every row")
    return Path(name)


def _bytes(row: int, content: Any) -> bytes:
    """A file's bytes; text is their base64, as tables of text carry them."""
    if not isinstance(content, str):
        return bytes(content)
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as fault:
        raise UserError(f"row {row}: `{AUDIO}` is text but no base64 of a file ({fault})") from fault


def _is_there(value: Any) -> bool:
    """Whether a cell holds something: pandas marks empty cells as None, NaN or NA."""
    return isinstance(value, str | bytes | bytearray | memoryview) and bool(len(value))


def _tone() -> bytes:
    """A quarter of a second of 220 Hz as a WAV file: nobody's voice."""
    import numpy as np
    import soundfile

    samples = 0.1 * np.sin(2 * np.pi * 220 * np.arange(audio.RATE // 4) / audio.RATE)
    file = io.BytesIO()
    soundfile.write(file, samples, audio.RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()
