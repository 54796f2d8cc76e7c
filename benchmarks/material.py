"""What both sides are given: the same embeddings, folds and configurations, seeded. Needs the training floor alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reno_sweeps.corpora import manifest
from reno_sweeps.folds import make_splits
from reno_sweeps.records import Clip, Corpus, Protocol, Split

if TYPE_CHECKING:
    from reno_sweeps.training.data import Data

CLIPS, WIDTHS, CLASSES, FOLDS = 1085, (768, 960), 6, 5  # VIVAE's clips and classes, hubert-base and audio-mamba-tiny
REAL = ("gpvad_crnn", "silero_vad_state")
APART = 0.7  # of the classes, in deviations of each direction: 20 epochs leave something to be won
HIDDEN = 24  # directions in which an encoder's embeddings vary together
SEARCH: dict[str, dict[str, Any]] = {  # search_spaces/rd_params.yaml
    "renyi.beta": {"type": "float", "low": 1.05, "high": 10.0, "log": True},
    "renyi.delta": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
    "loss.lambda": {"type": "float", "low": 0.05, "high": 1.0},
    "attention.heads": {"type": "categorical", "choices": [1, 2, 4, 8]},
    "training.lr": {"type": "float", "low": 1e-4, "high": 2e-3, "log": True},
}


@dataclass(frozen=True)
class Material:
    """A corpus with two embeddings: by encoder's name, float32 [n, D], rows as the corpus has its clips."""

    corpus: Corpus
    vectors: Mapping[str, np.ndarray]
    n_folds: int
    said: str  # what it is

    @property
    def labels(self) -> np.ndarray:
        """Class numbers [n]."""
        return np.array([self.corpus.classes.index(clip.label) for clip in self.corpus.clips], np.int64)

    def splits(self) -> tuple[Split, ...]:
        """Four fifths train; the fifth stops and selects (`selection: paper`)."""
        return make_splits(self.corpus, Protocol(n_folds=self.n_folds, selection="paper")).splits

    def data(self) -> Data:
        """As our trainer takes it."""
        from reno_sweeps.training.data import Data

        return Data(dict(self.vectors), self.labels, self.corpus.classes)

    def facts(self) -> dict[str, Any]:
        """Said beside every figure."""
        return {
            "data": self.said,
            "clips": len(self.corpus.clips),
            "classes": len(self.corpus.classes),
            "widths": [x.shape[1] for x in self.vectors.values()],
            "folds": self.n_folds,
        }

    def write(self, folder: Path) -> tuple[Path, list[str]]:
        """The table and one .npz an encoder, as `--corpus` and `file:` encoders take them: (table, encoder ids)."""
        folder.mkdir(parents=True, exist_ok=True)
        table, paths = folder / "bench.csv", [clip.path for clip in self.corpus.clips]
        with table.open("w", newline="", encoding="utf-8") as out:
            rows = [(clip.path, clip.label, clip.fold) for clip in self.corpus.clips]
            named = rows[0][2] is not None
            csv.writer(out).writerows([("path", "label", "fold")[: 2 + named], *(row[: 2 + named] for row in rows)])
        files = {name: folder / f"{name}.npz" for name in self.vectors}
        for name, file in files.items():
            np.savez(file, ids=np.array(paths), X=self.vectors[name])
        return table, [f"file:{file}" for file in files.values()]


def clusters(
    clips: int = CLIPS, widths: tuple[int, ...] = WIDTHS, n_folds: int = FOLDS, seed: int = 0, apart: float = APART
) -> Material:
    """Classes that overlap, in a few directions common to all entries of an embedding, as encoders have them."""
    dice = np.random.default_rng(seed)
    labels = np.arange(clips) % CLASSES
    folds = np.arange(clips) // CLASSES % n_folds  # of their own: the training floor has no scikit-learn to deal them
    rows = zip(labels, folds, strict=True)
    named = tuple(Clip(f"{n:05d}.flac", "abcdef"[k], fold=int(fold)) for n, (k, fold) in enumerate(rows))
    corpus = Corpus("clusters", Path(), named)
    vectors = {}
    for name, width in zip("ab", widths, strict=True):
        centres = apart * dice.standard_normal((CLASSES, HIDDEN))
        hidden = centres[labels] + dice.standard_normal((clips, HIDDEN))
        mixing = dice.standard_normal((HIDDEN, width)) / HIDDEN**0.5
        vectors[name] = (hidden @ mixing + dice.standard_normal((clips, width))).astype(np.float32)
    return Material(corpus, vectors, n_folds, said=f"clusters {apart:g} apart")


def real(folder: Path, encoders: tuple[str, ...] = REAL) -> Material:
    """Real embeddings: manifest.csv and embeddings_<encoder>.npz with the keys `ids` and `X`."""
    corpus, vectors = manifest.read(folder / "manifest.csv"), {}
    for name in encoders:
        with np.load(folder / f"embeddings_{name}.npz", allow_pickle=False) as found:
            row = {path: number for number, path in enumerate(found["ids"])}
            vectors[name] = found["X"][[row[clip.path] for clip in corpus.clips]].astype(np.float32)
    own = {clip.fold for clip in corpus.clips}
    return Material(corpus, vectors, FOLDS if None in own else len(own), said=f"{corpus.id}: {', '.join(encoders)}")


def chosen(data: Path | None, clips: int, n_folds: int, apart: float = APART, seed: int = 0) -> Material:
    """What --data, --clips, --folds and --apart ask for; another seed makes other clusters."""
    return clusters(clips, n_folds=n_folds, apart=apart, seed=seed) if data is None else real(data)


def space(trials: int, **changed: Any) -> dict[str, Any]:
    """The search-space file, plain; `changed`: sampler, pruner, seed, epochs, patience, n_folds."""
    return {
        "name": "bench",
        "head": "reno",
        "search": SEARCH,
        "fixed": {"training.epochs": changed["epochs"], "training.patience": changed["patience"]},
        "protocol": {"n_folds": changed["n_folds"], "selection": "paper", "seed": changed["seed"]},
        "budget": {"trials": trials, **{name: changed[name] for name in ("sampler", "pruner", "seed")}},
    }


def write_space(file: Path, plain: Mapping[str, Any]) -> Path:
    """A space file: JSON is YAML."""
    file.write_text(json.dumps(plain, indent=1))
    return file


def configurations(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """So many random configurations of SEARCH."""
    dice = np.random.default_rng(seed)
    return [{name: _draw(dice, one) for name, one in SEARCH.items()} for _ in range(count)]


def _draw(dice: np.random.Generator, one: Mapping[str, Any]) -> float | int:
    if one["type"] == "categorical":
        return int(dice.choice(one["choices"]))
    if one.get("log"):
        return float(np.exp(dice.uniform(np.log(one["low"]), np.log(one["high"]))))
    return float(dice.uniform(one["low"], one["high"]))
