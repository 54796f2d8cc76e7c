"""A trained model as a folder, weights.safetensors and model.json, and back: whole or not at all, no pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from reno_sweeps import catalogue, space
from reno_sweeps.files import parsed
from reno_sweeps.records import UserError
from reno_sweeps.space import Value
from reno_sweeps.training import predict
from reno_sweeps.training.data import Scale

VERSION = 1  # of the folder's layout
WIDEST = 1 << 24  # entries of an embedding; no encoder comes near it
WEIGHTS, FACTS = "weights.safetensors", "model.json"


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """A trained head, ready to answer: `encoders` are their facts, each with its 'id', in the head's order."""

    head: str
    values: Mapping[str, Value]
    encoders: tuple[Mapping[str, Any], ...]
    classes: tuple[str, ...]
    dims: tuple[int, ...]
    weights: Mapping[str, Tensor]  # [1, *shape]
    scales: tuple[Scale | None, ...]  # each encoder's standardisation
    extra: Mapping[str, Any]

    def probabilities(self, embeddings: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """[n, classes] of clips, from their embeddings by encoder id, float32 [n, D]."""
        scores = self._asked(predict.logits, embeddings)
        return np.zeros((0, len(self.classes)), np.float32) if scores is None else predict.probabilities(scores)

    def features(self, embeddings: Mapping[str, NDArray[np.float32]]) -> NDArray[Any] | None:
        """[n, width] what the head makes of them before its classifier; None: it has no such features."""
        return self._asked(predict.features, embeddings)

    def _asked(
        self, what: Callable[..., Tensor | None], embeddings: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[Any] | None:
        """[n, …] of a function of `predict`; None where there are no clips, or no answer."""
        inputs = [torch.from_numpy(np.array(embeddings[facts["id"]], np.float32)) for facts in self.encoders]
        for x, dim, facts in zip(inputs, self.dims, self.encoders, strict=True):
            if x.dim() != 2 or x.shape[1] != dim:
                raise UserError(f"embeddings of {facts['id']} have shape {tuple(x.shape)}; the model takes [n, {dim}]")
        if not len(inputs[0]):
            return None
        head = catalogue.load("heads", self.head)
        dtype = next(iter(self.weights.values())).dtype

        def batch(rows: Tensor) -> tuple[Tensor, ...]:
            return predict.standardised(inputs, self.scales, rows, dtype)

        params = space.build(head.Params, self.values)
        rows = torch.arange(len(inputs[0]))
        found = what(head, params, self.weights, batch, rows)
        return None if found is None else np.asarray(found[0].numpy())


# --- writing ------------------------------------------------------------------------------------------------


def save(
    folder: Path,
    *,
    weights: Mapping[str, NDArray[Any]],
    head: str,
    values: Mapping[str, Value],
    encoders: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    dims: Sequence[int],
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a model; `weights` are a FoldResult's. A folder of that name is replaced. OSError leaves what was there."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in weights.items()}
    stored = tensor_bytes(tensors)
    facts = {
        "version": VERSION,
        "head": head,
        "values": dict(values),
        "encoders": [dict(e) for e in encoders],
        "classes": list(classes),
        "dims": list(dims),
        "sha256": {WEIGHTS: hashlib.sha256(stored).hexdigest()},
        "extra": dict(extra or {}),
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    _publish(Path(folder), {WEIGHTS: stored, FACTS: text.encode()})


def _publish(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files aside and give the folder its name last, so that nobody ever sees half a model."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside, former = (folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.{what}") for what in ("new", "old"))
    try:
        aside.mkdir()
        for name, content in files.items():
            with (aside / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if folder.exists():
            folder.rename(former)  # a folder with files in it cannot be renamed over
        aside.rename(folder)
    except BaseException:
        if former.exists() and not folder.exists():
            former.rename(folder)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(former, ignore_errors=True)


# --- reading ------------------------------------------------------------------------------------------------


def load(folder: Path) -> ExportedModel:
    """Read a model that `save` wrote. UserError where it is none, damaged, or of a version we do not know."""
    facts, stored = _facts(Path(folder)), _bytes(Path(folder), WEIGHTS)
    try:
        if hashlib.sha256(stored).hexdigest() != facts["sha256"][WEIGHTS]:
            raise _damaged(folder, f"{WEIGHTS} is not the file that {FACTS} describes")
        _refuse_strange(facts)
        return _assembled(facts, read_tensors(stored))
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError) as problem:
        raise _damaged(folder, f"{FACTS} describes no model ({type(problem).__name__}: {problem})") from problem


def _refuse_strange(facts: Mapping[str, Any]) -> None:
    """A ValueError for a description that `save` could not have written: what it says is used as it is."""
    classes, dims, encoders, values = (facts[name] for name in ("classes", "dims", "encoders", "values"))
    named = isinstance(classes, list) and all(isinstance(label, str) for label in classes)
    rules = {
        "classes are names, each once": named and classes and len(set(classes)) == len(classes),
        "dims are whole numbers": isinstance(dims, list) and all(type(dim) is int and 0 < dim < WIDEST for dim in dims),
        "encoders are facts, each with its id": isinstance(encoders, list)
        and all(isinstance(known, dict) and isinstance(known["id"], str) for known in encoders),
        "values and extra are made of keys and values": isinstance(values, dict) and isinstance(facts["extra"], dict),
    }
    for rule, holds in rules.items():
        if not holds:
            raise ValueError(rule)
    head = catalogue.load("heads", facts["head"])
    for name, parameter in space.parameters(head.Params).items():
        if name in values and (why := parameter.refuse(values[name])):
            raise ValueError(f"{name}: {why}")
    head.check(space.build(head.Params, values))


def of_fold(
    weights: Mapping[str, NDArray[Any]],
    *,
    head: str,
    values: Mapping[str, Value],
    encoders: Sequence[str],
    classes: Sequence[str],
    dims: Sequence[int],
) -> ExportedModel:
    """A FoldResult's weights as a model, without a folder; a ValueError where they are not of that head."""
    facts = {
        "head": head,
        "values": dict(values),
        "encoders": [{"id": encoder} for encoder in encoders],
        "classes": list(classes),
        "dims": list(dims),
        "extra": {},
    }
    return _assembled(facts, {name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in weights.items()})


def _assembled(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> ExportedModel:
    """The model of its parts; an error where they do not fit together."""
    module, ids = catalogue.load("heads", facts["head"]), [str(encoder["id"]) for encoder in facts["encoders"]]
    dims, classes = tuple(facts["dims"]), tuple(facts["classes"])
    weights = {name: w[None] for name, w in tensors.items() if not name.startswith("standardize.")}
    layout = module.layout(space.build(module.Params, facts["values"]), dims, len(classes))
    if len(dims) != len(ids) or {n: e.shape for n, e in layout.items()} != {n: w.shape[1:] for n, w in weights.items()}:
        raise ValueError("the weights are not those of its head")
    if len({w.dtype for w in weights.values()}) != 1 or not all(w.is_floating_point() for w in tensors.values()):
        raise ValueError("the weights are not real numbers of one kind")
    if not all(bool(w.isfinite().all()) for w in tensors.values()):
        raise ValueError("a weight is NaN or infinite")
    scales = tuple(_scale(tensors, position, dim) for position, dim in enumerate(dims))
    return ExportedModel(
        facts["head"], facts["values"], tuple(facts["encoders"]), classes, dims, weights, scales, facts["extra"]
    )


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts: Any = parsed(_bytes(folder, FACTS))
    except ValueError as problem:
        raise _damaged(folder, f"{FACTS} is no JSON: {problem}") from problem
    version = facts.get("version") if isinstance(facts, dict) else None
    if version != VERSION:
        raise UserError(
            f"model folder {folder} has version {version}; this reno-sweeps reads version {VERSION}\n"
            "use the reno-sweeps that wrote it, or register the model again"
        )
    missing = {"head", "values", "encoders", "classes", "dims", "sha256", "extra"} - set(facts)
    if missing:
        raise _damaged(folder, f"{FACTS} lacks {', '.join(sorted(missing))}")
    return dict(facts)


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as problem:
        raise UserError(
            f"{folder} is no model folder: it has no {name}\n"
            f"a model folder holds {FACTS} and {WEIGHTS}, as `reno-sweep register` writes it"
        ) from problem


def _damaged(folder: Path, why: str) -> UserError:
    return UserError(f"model folder {folder} is damaged: {why}\ncopy it again, or register the model again")


def _scale(tensors: Mapping[str, Tensor], position: int, dim: int) -> Scale | None:
    mean = tensors.get(f"standardize.{position}.mean")
    if mean is None:
        return None
    std = tensors[f"standardize.{position}.std"]
    if mean.shape != (dim,) or std.shape != (dim,):
        raise ValueError(f"the standardisation of encoder {position} is not {dim} wide")
    return Scale(mean, std)
