"""A model folder: whole or not at all, checked when read, answering as training did."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest
import torch

from reno_sweeps.heads import _layers
from reno_sweeps.records import Key, UserError
from reno_sweeps.training import export
from reno_sweeps.training.configuration import parameters_of
from reno_sweeps.training.dropout import keep as keep_all

SMALL = {"align.width": 8, "trunk.positions": 2, "training.epochs": 1}


@pytest.fixture
def saved(data, model, finish, tmp_path):
    """A small reno in a folder, with its result."""
    learner = model("reno", values=SMALL)
    result = finish([learner], data)[Key("trial 0")]
    keep(tmp_path / "model", result, learner, data)
    return tmp_path / "model", result


def keep(folder, result, learner, data, **changes) -> None:
    facts = [{"id": encoder, "revision": "1"} for encoder in learner.encoders]
    known = {
        "weights": result.weights,
        "head": learner.head,
        "values": learner.values,
        "encoders": facts,
        "classes": data.classes,
        "dims": data.dims(learner.encoders),
        "extra": {"sweep": "s"},
    }
    export.save(folder, **known | changes)


def test_a_model_read_back_answers_as_training_did(saved, data, model):
    folder, result = saved
    found = export.load(folder)
    rows = list(model().split.test)
    answers = found.probabilities({name: x[rows] for name, x in data.embeddings.items()})

    assert answers.tobytes() == result.test_probabilities.tobytes()
    assert (found.classes, found.head, found.dims) == (data.classes, "reno", (20, 12))
    assert found.encoders[1] == {"id": "b", "revision": "1"}
    assert found.extra == {"sweep": "s"}


@pytest.mark.parametrize(
    ("head", "width"), [("reno", 16), ("concat", 16), ("cnn", 128), ("fcn", None), ("linear", None)]
)
def test_what_a_head_makes_of_its_inputs_is_what_its_classifier_is_given(head, width, data, model, finish):
    learner = model(head, values={name: value for name, value in SMALL.items() if name in parameters_of(head)})
    weights = finish([learner], data)[Key("trial 0")].weights
    named = {"head": head, "values": learner.values, "encoders": learner.encoders, "classes": data.classes}
    found = export.of_fold(weights, **named, dims=data.dims(learner.encoders))
    clips = {name: x[:7] for name, x in data.embeddings.items()}
    features = found.features(clips)

    assert (None if features is None else features.shape) == (None if width is None else (7, width))
    if features is not None:
        x = torch.from_numpy(features)[None]
        tensors = {name: torch.from_numpy(w)[None] for name, w in weights.items()}
        logits = _layers.classify(tensors, x, keep_all)
        np.testing.assert_allclose(logits[0].softmax(-1), found.probabilities(clips), rtol=1e-5)


def test_clips_may_be_asked_one_by_one(saved, data):
    found = export.load(saved[0])
    together = found.probabilities({n: x[:5] for n, x in data.embeddings.items()})
    alone = [found.probabilities({n: x[i : i + 1] for n, x in data.embeddings.items()}) for i in range(5)]

    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-6)


def test_no_clips_have_no_answers(saved, data):
    assert export.load(saved[0]).probabilities({n: x[:0] for n, x in data.embeddings.items()}).shape == (0, 3)


def test_embeddings_of_another_width_are_refused(saved, data):
    with pytest.raises(UserError, match=r"embeddings of a have shape \(2, 12\); the model takes \[n, 20\]"):
        export.load(saved[0]).probabilities({"a": data.embeddings["b"][:2], "b": data.embeddings["b"][:2]})


def test_a_folder_holds_safetensors_and_json_and_nothing_else(saved):
    assert sorted(p.name for p in saved[0].iterdir()) == ["model.json", "weights.safetensors"]
    assert [p.name for p in saved[0].parent.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "weights.safetensors").write_bytes((f / "weights.safetensors").read_bytes()[:-1]), "damaged"),
        (lambda f: (f / "weights.safetensors").unlink(), "it has no weights.safetensors"),
        (lambda f: (f / "model.json").unlink(), "it has no model.json"),
        (lambda f: (f / "model.json").write_text("{"), "model.json is no JSON"),
        (lambda f: (f / "model.json").write_text("[]"), "has version None"),
        (lambda f: (f / "model.json").write_text('{"version": 1}'), "model.json lacks classes"),
        (
            lambda f: (f / "model.json").write_text('{"version": 99}'),
            "has version 99; this reno-sweeps reads version 1",
        ),
    ],
)
def test_a_damaged_or_unknown_folder_is_refused_with_what_to_do(saved, spoil, says):
    spoil(saved[0])

    with pytest.raises(UserError, match=says) as refused:
        export.load(saved[0])
    assert len(str(refused.value).splitlines()) <= 3


@pytest.mark.parametrize(
    "change",
    [
        {"head": "../linear"},
        {"head": "concat"},
        {"encoders": [{}, {}]},
        {"encoders": 2},
        {"dims": [20]},
        {"classes": ["anger"]},
        {"values": {"align.width": "8"}},
        {"sha256": {}},
    ],
)
def test_a_description_that_does_not_fit_its_weights_is_refused(saved, change):
    facts = json.loads((saved[0] / "model.json").read_text())
    (saved[0] / "model.json").write_text(json.dumps(facts | change))

    with pytest.raises(UserError, match=r"is damaged: model\.json describes no model") as refused:
        export.load(saved[0])
    assert len(str(refused.value).splitlines()) <= 3


def test_saving_again_replaces_the_model(saved, data, model):
    folder, result = saved
    keep(folder, result, model("reno", values=SMALL), data, extra={"sweep": "t"})

    assert export.load(folder).extra == {"sweep": "t"}
    assert len(list(folder.parent.glob("*model*"))) == 1


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_full_disk_leaves_the_former_model_and_nothing_half_written(step, saved, data, model, monkeypatch):
    folder, result = saved
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    calls = []

    def full(*_: object) -> None:
        calls.append(step)
        if step == "fsync" or len(calls) == 2:
            raise OSError(28, "No space left on device")
        return original(*_)

    original = getattr(os, step)
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        keep(folder, result, model("reno"), data, extra={"sweep": "t"})
    monkeypatch.undo()

    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert len(list(folder.parent.glob("*model*"))) == 1


def test_values_that_json_cannot_hold_are_refused_before_anything_is_written(data, model, finish, tmp_path):
    learner = model("linear", values={"training.epochs": 1})
    result = finish([learner], data)[Key("trial 0")]

    with pytest.raises(ValueError, match="not JSON compliant"):
        keep(tmp_path / "m", result, learner, data, extra={"score": float("nan")})
    assert list(tmp_path.glob("m*")) == []


def test_model_json_can_be_read_by_a_person(saved):
    facts = json.loads((saved[0] / "model.json").read_text())

    assert facts["values"]["align.width"] == 8
    assert facts["classes"] == ["anger", "fear", "joy"]


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["anger", "anger", "joy"]},
        {"classes": [1, 2, 3]},
        {"classes": "abc"},
        {"dims": [20.0, 12]},
        {"dims": [20, True]},
        {"encoders": [{"id": 1}, {"id": "b"}]},
        {"extra": 3},
        {"values": [["align.width", 8]]},
        {"values": SMALL | {"attention.heads": 3}},
        {"values": SMALL | {"align.width": 8.5}},
        {"head": ["reno"]},
    ],
)
def test_a_description_that_training_could_not_have_written_is_refused(saved, change):
    facts = json.loads((saved[0] / "model.json").read_text())
    (saved[0] / "model.json").write_text(json.dumps(facts | change))

    with pytest.raises(UserError, match=r"is damaged: model\.json describes no model"):
        export.load(saved[0])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda w: w | {"standardize.0.mean": w["standardize.0.mean"][:-1]},
        lambda w: {name: tensor for name, tensor in w.items() if name != "standardize.1.std"},
        lambda w: {name: tensor.to(torch.int32) for name, tensor in w.items()},
        lambda w: w | {"classifier.0.bias": w["classifier.0.bias"].double()},
        lambda w: w | {"classifier.0.bias": w["classifier.0.bias"] * torch.nan},
    ],
)
def test_weights_that_no_head_has_are_refused_though_their_hash_is_right(saved, spoil):
    from safetensors.torch import load, save

    content = save(spoil(load((saved[0] / "weights.safetensors").read_bytes())))
    facts = json.loads((saved[0] / "model.json").read_text())
    facts["sha256"]["weights.safetensors"] = hashlib.sha256(content).hexdigest()
    (saved[0] / "weights.safetensors").write_bytes(content)
    (saved[0] / "model.json").write_text(json.dumps(facts))

    with pytest.raises(UserError, match="is damaged"):
        export.load(saved[0])


def test_brackets_without_end_are_no_model(saved):
    (saved[0] / "model.json").write_text("[" * 100_000)

    with pytest.raises(UserError, match=r"model\.json is no JSON"):
        export.load(saved[0])
