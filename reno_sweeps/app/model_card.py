"""What is said of a registered model: its tags, its description, the packages that it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from reno_sweeps.reports import wording

TESTED = ("accuracy", "macro_f1", "uar")
ALWAYS = ("numpy", "pandas", "safetensors", "torch")
HEARING = ("soundfile", "soxr")  # what decodes recordings


def tags(extra: Mapping[str, Any], encoders: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What a person filters registered models by; `extra` is the model folder's, `encoders` its descriptions."""
    best, protocol = extra["best"], extra["protocol"]
    found = {
        "sweep": extra["sweep"],
        "sweep_identity": extra["identity"],
        "trial": str(extra["trial"]),
        "corpus": extra["corpus"]["id"],
        "corpus_content": extra["corpus"]["content"],
        "head": extra["head"],
        "input": extra["input"],
        "encoders": json.dumps({facts["id"]: facts["sha256"] for facts in encoders}, ensure_ascii=False),
        "selection": protocol["selection"],
        "protocol": spelled(protocol, extra["folds"]),
        "refit_epochs": str(extra["epochs"]),
    }
    if there := [facts["id"] for facts in encoders if "bundle" in facts]:
        found["bundled_encoders"] = ", ".join(there)
    for metric, over in best["test"].items():
        found[f"test_{metric}"] = f"{over['mean']:.6f}"
        if over["std"] is not None:
            found[f"test_{metric}_std"] = f"{over['std']:.6f}"
    marks = {"synthetic": extra["corpus"]["synthetic"], "optimistic": protocol["selection"] == "paper"}
    return {**found, **{name: "true" for name, there in marks.items() if there}}


def spelled(protocol: Mapping[str, Any], folds: str) -> str:
    """The protocol in a line: '5 stratified folds, selection validation, seed 0'."""
    repeats = f" × {protocol['repeats']} repeats" if protocol["repeats"] > 1 else ""
    seeds = f" × {protocol['seeds']} seeds" if protocol.get("seeds", 1) > 1 else ""
    selection = f"selection {protocol['selection']}, seed {protocol['seed']}"
    return f"{protocol['n_folds']} {folds} folds{repeats}{seeds}, {selection}"


def description(name: str, extra: Mapping[str, Any], encoders: Sequence[Mapping[str, Any]]) -> str:
    """The Markdown text of a version: what it is, what its figures mean, how it is used."""
    corpus, synthetic = extra["corpus"]["id"], extra["corpus"]["synthetic"]
    ids = " + ".join(f"`{facts['id']}`" for facts in encoders)
    clips = f"{extra['clips']} {'synthetic ' if synthetic else ''}clips"
    lines = [
        f"`{extra['head']}` on {ids}: emotions of non-verbal vocal sounds.",
        "",
        f"Best configuration (trial {extra['trial']}) of sweep `{extra['sweep']}`, trained on all {clips} of corpus",
        f"`{corpus}` for {extra['epochs']} epochs, the median best epoch of its folds.",
        "",
        *_figures(extra),
        f"Classes: {', '.join(extra['classes'])}.",
        "",
        *_brought(encoders),
        *_use(name, extra),
    ]
    return "\n".join(lines) + "\n"


def _figures(extra: Mapping[str, Any]) -> list[str]:
    best, selection = extra["best"], extra["protocol"]["selection"]
    rows = [("this configuration", best["test"])]
    if "test_refit" in best:
        rows.append(("refitted on training and validation parts", best["test_refit"]))
    rows += [(f"baseline {name}", found["test"]) for name, found in extra["baselines"].items()]
    table = [f"| {what} | {' | '.join(wording.percent(test.get(m)) for m in TESTED)} |" for what, test in rows]
    return [
        f"| test folds, mean ± deviation in % | {' | '.join(wording.METRICS[m] for m in TESTED)} |",
        "|---|---|---|---|",
        *table,
        "",
        f"{spelled(extra['protocol'], extra['folds'])}: {wording.PROTOCOLS.get(selection, selection)}.",
        "These are the configuration's figures in cross-validation; this very model has seen every clip:",
        "it has no test score of its own.",
        "",
    ]


def _brought(encoders: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whose weights travel with the model, and under which licences."""
    there = [f"`{facts['id']}` (licence: {facts['bundle']['licence']})" for facts in encoders if "bundle" in facts]
    return [f"Brings the weights of {', '.join(there)}.", ""] if there else []


def _use(name: str, extra: Mapping[str, Any]) -> list[str]:
    if extra["input"] != "audio":
        return ["Takes embeddings: one column of vectors per encoder (see the signature)."]
    return [
        f"Takes recordings: `reno-sweep predict models:/{name}@candidate laugh.wav`; served, a table with a file's",
        "bytes as `audio` (base64 in JSON), or its `path` on the machine that serves.",
    ]


def requirements(extra: Mapping[str, Any], encoders: Sequence[Mapping[str, Any]]) -> list[str]:
    """pip's lines of what the model imports, each at the version installed here; MLflow adds its own."""
    needed = [*ALWAYS, *(HEARING if extra["input"] == "audio" else ())]
    if extra["input"] == "audio":
        needed += ["transformers" if facts["encoder"] == "huggingface" else "torchaudio" for facts in encoders]
    return [f"{package}=={_public(metadata.version(package))}" for package in dict.fromkeys(needed)]


def _public(version: str) -> str:
    """Without the build's mark ('2.11.0+cpu'): indexes know only the release."""
    return version.partition("+")[0]
