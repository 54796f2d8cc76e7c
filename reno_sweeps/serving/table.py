"""A model behind a table: which columns MLflow sends and gets, and how they become recordings or embeddings."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps import audio
from reno_sweeps.records import UserError
from reno_sweeps.serving.answers import EMOTION, PATH, column
from reno_sweeps.serving.limits import CLIPS, Limits
from reno_sweeps.serving.model import BrokenError, EmotionModel, listing, open_model

if TYPE_CHECKING:
    from pandas import DataFrame

    from reno_sweeps.serving.answers import Table

AUDIO = "audio"
BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
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


def offer(model: EmotionModel) -> str:
    """What to send, as one says it to a client."""
    what = '"audio": "<a file in base64>"' if model.takes_audio else ", ".join(f'"{n}": [0.1, …]' for n in model.inputs)
    return f'this model takes {{"dataframe_records": [{{{what}}}, …]}}'


def answered(model: EmotionModel, given: DataFrame, limits: Limits | None = None) -> DataFrame:
    """The answers to a table, in its order; `path` is there where it was given.

    A UserError for what cannot be answered, or is beyond the `limits` of a model that is served.
    """
    if limits is not None:
        _refuse_too_many(model, given, limits)
    known = PATH in given.columns
    names = [str(name) if _is_there(name) else None for name in given[PATH]] if known else None
    if model.takes_audio:
        found = _heard(model, given, names, limits)
    else:
        found = model.answer_embeddings({name: list(given[name]) for name in given.columns if name != PATH}, names)
    return _frame(found, known)


def _frame(found: Table, known: bool) -> DataFrame:
    frame = found.as_frame()
    return frame if known else frame.drop(columns=PATH)


def _refuse_too_many(model: EmotionModel, given: DataFrame, limits: Limits) -> None:
    if not len(given):  # MLflow has taken away columns that the model does not know
        raise UserError(f"the table has no rows, or no column that the model knows\n{offer(model)}")
    if len(given) > limits.clips:
        raise UserError(
            f"the table has {len(given)} rows; {limits.clips} are the most in a request ({CLIPS})\n"
            "send them in several requests"
        )


def _heard(model: EmotionModel, given: DataFrame, names: list[str | None] | None, limits: Limits | None) -> Table:
    """The answers to recordings; a served model says what is broken by row, and nothing of this machine's folders."""
    found, called = _recordings(given, names, limits), names or [None] * len(given)
    if limits is None:
        return model.answer(found, called)
    try:
        return model.answer(found, called, seconds=limits.seconds)
    except BrokenError as broken:
        faults = [f"row {row}: {_nameless(fault, found[row])}" for row, fault in broken.faults.items()]
        raise UserError(listing(faults, broken.of, "send the others without them")) from broken


def _nameless(fault: str, recording: Any) -> str:
    return fault.removeprefix(f"{recording}: ") if isinstance(recording, Path) else fault


def _recordings(given: DataFrame, names: list[str | None] | None, limits: Limits | None) -> list[Any]:
    """Of every row its bytes where there are some, else the file of its path."""
    if AUDIO not in given.columns and names is None:
        has = ", ".join(str(name)[:40] for name in given.columns[:5]) or "no columns"
        takes = f"`{PATH}` (a file on the machine that answers) or `{AUDIO}` (a file's bytes)"
        raise UserError(f"the table has {has}; the model takes {takes}")
    contents = list(given[AUDIO]) if AUDIO in given.columns else [None] * len(given)
    return [_recording(row, content, names, limits) for row, content in enumerate(contents)]


def _recording(row: int, content: Any, names: list[str | None] | None, limits: Limits | None) -> Any:
    if _is_there(content):
        return _bytes(row, content)
    name = None if names is None else names[row]
    if name is None:
        raise UserError(f"row {row} has neither `{PATH}` nor `{AUDIO}`\ngive one of them in every row")
    return Path(name) if limits is None else limits.file(row, name)


def _bytes(row: int, content: Any) -> bytes:
    """A file's bytes; text is their base64, as tables of text carry them.

    MLflow decodes it in some forms of a request and not in others (`inputs`, `instances`): there it hands on the text's
    own bytes. No audio file is made of base64's 65 signs alone.
    """
    if not isinstance(content, str) and not BASE64.fullmatch(content):
        return bytes(content)
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as fault:
        if not isinstance(content, str):
            return bytes(content)
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
