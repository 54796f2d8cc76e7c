"""The final model of a sweep: its best configuration, trained on all clips, as a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from reno_sweeps.app import devices, opening, parent
from reno_sweeps.app.stored import Stored
from reno_sweeps.records import FoldFailed, FoldFinished, Key, Model, Split, Trial, UserError, seed_from
from reno_sweeps.reports import summary
from reno_sweeps.training.configuration import cell_of, resolve

if TYPE_CHECKING:
    from reno_sweeps.embeddings.extract import Extraction
    from reno_sweeps.records import FoldResult

OWNER = "register"  # of the model's key, and part of its seed
CHECKED = 12  # clips whose probabilities are kept, so that the model can be checked anywhere


@dataclass(frozen=True, slots=True)
class Fitted:
    """The final model as training left it."""

    model: Model
    result: FoldResult
    extraction: Extraction

    @property
    def dims(self) -> tuple[int, ...]:
        """Width of each encoder's embedding."""
        return tuple(int(self.extraction.arrays[encoder].shape[1]) for encoder in self.model.encoders)


def fit(found: Stored, best: Trial, opened: opening.Opened, device: str) -> Fitted:
    """The best configuration on every clip, for the median of its folds' best epochs."""
    import numpy as np

    from reno_sweeps.embeddings.extract import extract
    from reno_sweeps.training.trainer import Data, train_cohort

    cell = cell_of(found.sweep.cells[best.cell], best.proposal)
    extraction = extract(
        opened.corpus,
        cell.encoders,
        opened.settings.cache,
        weights=opening.weights_of(found.sweep.weights, cell.encoders),
        skip_broken=opened.settings.skip_broken,
        download=opened.settings.download,
        **devices.for_extraction(opened.settings),
    )
    classes = extraction.corpus.classes
    labels = np.array([classes.index(clip.label) for clip in extraction.corpus.clips], dtype=np.int64)
    model = _model(found, best, labels.tolist())
    for event in train_cohort([model], Data(extraction.arrays, labels, classes), device=device):
        if isinstance(event, FoldFailed):
            raise UserError(f"trial {best.number} cannot be trained on all clips: {event.reason}")
        if isinstance(event, FoldFinished):
            return Fitted(model, event.result, extraction)
    raise RuntimeError(f"training of {model.key} ended without a result")


def _model(found: Stored, best: Trial, labels: Sequence[int]) -> Model:
    """Trained on all rows; `test` are a few of them, so that training itself says what the model answers there."""
    cell = cell_of(found.sweep.cells[best.cell], best.proposal)
    first = sorted(labels.index(label) for label in set(labels))  # a clip of every class
    return Model(
        Key(OWNER),
        cell.head,
        cell.encoders,
        resolve(cell.head, best.proposal, found.sweep.fixed),
        seed_from(found.sweep.protocol.seed, OWNER),
        Split(tuple(range(len(labels))), (), tuple(first[:CHECKED])),
        epochs=max(1, round(median(score.best_epoch for score in best.scores))),
    )


def _provenance(found: Stored, best: Trial, fitted: Fitted, takes: str) -> dict[str, Any]:
    """Where the model comes from and how good its configuration was, kept in its folder."""
    said, corpus, clips = found.summary(), found.state["corpus"], fitted.extraction.corpus.clips
    answers = [[float(p) for p in row] for row in fitted.result.test_probabilities]
    return {
        "input": takes,
        "sweep": found.name,
        "identity": found.state["identity"],
        "trial": best.number,
        "head": fitted.model.head,
        "classes": list(fitted.extraction.corpus.classes),
        "corpus": {key: corpus[key] for key in ("id", "content", "synthetic")},
        "clips": len(clips),
        "protocol": asdict(found.sweep.protocol),
        "folds": found.data.get("folds", {}).get("kind", found.sweep.protocol.folds),
        "objective": asdict(found.sweep.objective),
        "best": summary.describe_best(best, found.sweep, found.facts),
        "baselines": said["baselines"],
        "epochs": fitted.model.epochs,
        "seed": str(fitted.model.seed),  # 63 bits: more than JSON's numbers hold
        "versions": parent.versions(),
        "check": {"paths": [clips[row].path for row in fitted.model.split.test], "probabilities": answers},
    }


def save(folder: Path, found: Stored, best: Trial, fitted: Fitted, *, takes: str) -> None:
    """Write the model's folder; `takes` is 'audio' or 'embeddings'."""
    from reno_sweeps.serving.encoders import described
    from reno_sweeps.training import export

    facts, weights = found.state["encoders"], opening.weights_of(found.sweep.weights, fitted.model.encoders)
    export.save(
        folder,
        weights=fitted.result.weights or {},
        head=fitted.model.head,
        values=fitted.model.values,
        encoders=[described(e, facts[e], weights.get(e)) for e in fitted.model.encoders],
        classes=fitted.extraction.corpus.classes,
        dims=fitted.dims,
        extra=summary.finite(_provenance(found, best, fitted, takes)),
    )
