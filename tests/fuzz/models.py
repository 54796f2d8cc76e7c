"""Model folders: bent descriptions beside weights of every kind, hashes put right so that they are believed."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.embeddings import unsafe
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import as_json, bent

DIMS = {"file:a.npz": 6, "file:b.npz": 5}
SMALL = {
    "linear": {},
    "fcn": {},
    "concat": {"align.width": 8, "trunk.positions": 2},
    "reno": {"align.width": 8, "trunk.positions": 2},
}


@functools.cache
def _whole(head: str) -> tuple[str, bytes]:
    """model.json and weights.safetensors of a head with random weights."""
    import tempfile

    import numpy as np
    import torch

    from reno_sweeps import catalogue, space
    from reno_sweeps.training import export
    from reno_sweeps.training.configuration import parameters_of

    module = catalogue.load("heads", head)
    names = list(DIMS)[: 2 if head in {"concat", "reno"} else 1]
    dims = [DIMS[name] for name in names]
    values = {name: p.default for name, p in parameters_of(head).items()} | SMALL[head]
    drawn = module.init(space.build(module.Params, values), tuple(dims), 3, torch.Generator().manual_seed(0))
    weights = {name: tensor.numpy() for name, tensor in drawn.items()}
    for place, dim in enumerate(dims):
        weights |= {f"standardize.{place}.mean": np.zeros(dim), f"standardize.{place}.std": np.ones(dim)}
    with tempfile.TemporaryDirectory() as folder:
        facts = [{"id": name, "revision": "1"} for name in names]
        named: dict[str, Any] = {
            "head": head,
            "values": values,
            "encoders": facts,
            "classes": ["a", "b", "c"],
            "dims": dims,
        }
        export.save(Path(folder, "m"), weights=weights, extra={"input": "embeddings", "sweep": "s"}, **named)
        return Path(folder, "m", export.FACTS).read_text(), Path(folder, "m", export.WEIGHTS).read_bytes()


def _make(dice: Random | None, folder: Path) -> Path:
    text, weights = _whole(dice.choice(list(SMALL)) if dice else "reno")
    facts = json.loads(text)
    content = text.encode()
    if dice:
        weights = unsafe(dice, weights) if dice.random() < 0.5 else weights
        facts["sha256"] = {"weights.safetensors": hashlib.sha256(weights).hexdigest()}
        content = as_json(dice, bent(dice, facts, list(facts)) if dice.random() < 0.7 else facts)
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "model.json").write_bytes(content)
    return folder


def _read(folder: Path) -> object:
    """Open the model and ask it: what it answers are shares of its classes."""
    import numpy as np

    from reno_sweeps.serving import open_model

    model = open_model(folder, device="cpu")
    if model.takes_audio:
        raise AssertionError("an encoder was opened for vectors of a file")
    dims = dict(zip(model.inputs, model.exported.dims, strict=True))
    table = model.answer_embeddings({name: np.full((3, dim), 0.5, np.float32) for name, dim in dims.items()})
    if not np.allclose(table.probabilities.sum(1), 1.0, atol=1e-3):
        raise AssertionError("probabilities that do not sum to one")
    return table.as_frame()


KINDS = (Kind("model folder", _make, _read),)
