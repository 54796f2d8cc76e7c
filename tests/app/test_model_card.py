"""What is said of a registered model never sounds better than its protocol."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import pytest

from reno_sweeps.app import model_card

OVER = {"mean": 0.5, "std": 0.125, "folds": [0.375, 0.625]}
HEARD = {"id": "mfcc", "encoder": "mfcc", "sha256": "none"}
HUB = {"id": "hf:a/b", "encoder": "huggingface", "sha256": "0a1b"}


def origin(selection: str = "validation", *, synthetic: bool = False, takes: str = "audio", **best: Any) -> dict:
    """What a model folder's `extra` holds."""
    return {
        "input": takes, "sweep": "tiny", "identity": "3f9c", "trial": 7, "head": "reno", "classes": ["joy", "fear"],
        "corpus": {"id": "jnv", "content": "ab12", "synthetic": synthetic}, "clips": 40, "epochs": 9,
        "protocol": {"n_folds": 5, "selection": selection, "seed": 0, "repeats": 1}, "folds": "speaker",
        "best": {"test": {"accuracy": OVER, "macro_f1": OVER, "uar": OVER}, **best},
        "baselines": {"linear": {"test": {"macro_f1": {"mean": 0.625, "std": None, "folds": [0.625]}}}},
    }  # fmt: skip


def test_tags_say_where_the_model_comes_from():
    tags = model_card.tags(origin(), [HEARD, HUB])

    assert {name: tags[name] for name in ("sweep", "trial", "corpus", "selection")} == {
        "sweep": "tiny",
        "trial": "7",
        "corpus": "jnv",
        "selection": "validation",
    }
    assert json.loads(tags["encoders"]) == {"mfcc": "none", "hf:a/b": "0a1b"}
    assert (tags["test_macro_f1"], tags["test_macro_f1_std"]) == ("0.500000", "0.125000")
    assert tags["protocol"] == "5 speaker folds, selection validation, seed 0"
    assert all(isinstance(value, str) for value in tags.values())


@pytest.mark.parametrize(("selection", "marked"), [("paper", True), ("validation", False)])
def test_a_model_that_its_test_folds_selected_is_called_optimistic(selection, marked):
    extra = origin(selection)
    text = model_card.description("reno-jnv", extra, [HEARD])

    assert ("optimistic" in model_card.tags(extra, [HEARD])) == marked
    assert ("validation: optimistic" in text or "paper, seed 0: optimistic" in text) == marked
    assert "no test score of its own" in text


def test_synthetic_clips_are_called_so():
    extra = origin(synthetic=True)

    assert model_card.tags(extra, [HEARD])["synthetic"] == "true"
    assert "40 synthetic clips" in model_card.description("reno-demo", extra, [HEARD])
    assert "synthetic" not in model_card.description("reno-demo", origin(), [HEARD])


def test_a_description_shows_the_refit_and_the_baselines_beside_the_figures():
    extra = origin(test_refit={"macro_f1": OVER})
    lines = model_card.description("reno-jnv", extra, [HEARD, HUB]).splitlines()

    assert "| this configuration | 50.0 ± 12.5 | 50.0 ± 12.5 | 50.0 ± 12.5 |" in lines
    assert "| refitted on training and validation parts | – | 50.0 ± 12.5 | – |" in lines
    assert "| baseline linear | – | 62.5 | – |" in lines
    assert any("models:/reno-jnv@candidate" in line for line in lines)


def test_only_what_the_model_imports_is_required_and_pinned():
    def packages(*encoders, takes="audio"):
        return {line.split("==")[0] for line in model_card.requirements(origin(takes=takes), encoders)}

    assert packages(HEARD) == {"numpy", "pandas", "safetensors", "torch", "soundfile", "soxr", "torchaudio"}
    assert packages(HUB) == packages(HEARD) - {"torchaudio"} | {"transformers"}
    assert packages(HUB, takes="embeddings") == {"numpy", "pandas", "safetensors", "torch"}
    assert f"soxr=={metadata.version('soxr')}" in model_card.requirements(origin(), [HEARD])


def test_a_builds_mark_is_no_part_of_a_pin(monkeypatch):
    monkeypatch.setattr(model_card.metadata, "version", lambda package: "2.11.0+cpu")

    assert "torch==2.11.0" in model_card.requirements(origin(), [HEARD])
