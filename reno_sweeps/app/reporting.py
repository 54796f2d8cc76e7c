"""A sweep's report: its page, tables and figures, with everything that its stored facts allow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.app.parent import REPORT, provenance
from reno_sweeps.app.stored import Stored
from reno_sweeps.files import write_bytes
from reno_sweeps.records import Trial, best_of

if TYPE_CHECKING:
    from reno_sweeps.reports.embedding_map import Map
    from reno_sweeps.reports.evidence import Evidence

MAPS = "maps.json"  # below the sweep's folder: t-SNE takes seconds, and reports have no embeddings at hand


def write_report(found: Stored, folder: Path | None = None) -> list[Path]:
    """The page, tables and figures of a sweep; by default where the mirror looks for them."""
    from reno_sweeps.reports import page
    from reno_sweeps.search.importance import importances

    best = best_of(found.trials, found.sweep)
    return page.write_all(
        folder or found.folder / REPORT,
        found.sweep,
        found.trials,
        found.summary(),
        provenance(found),
        found.classes,
        found.messages,
        None if best is None else _evidence(found, best),
        maps_of(found),
        importances(found.sweep, found.trials),
    )


def _evidence(found: Stored, best: Trial) -> Evidence | None:
    """The best trial's answers, of the folds whose files are still there."""
    from reno_sweeps.reports.evidence import gather
    from reno_sweeps.search.fold_files import FoldFiles

    files = FoldFiles(found.folder)
    return gather([s for s in best.scores if files.intact(s)], files.read, found.clips, found.classes)


def keep_maps(found: Stored, vectors: Mapping[str, Any]) -> None:
    """Map every encoder's embeddings [clips, dim] and the best trial's features once; what is mapped already stays."""
    from reno_sweeps.reports import wording

    file = found.folder / MAPS
    before = _read(file)
    known = {}
    for encoder in vectors:
        for key, method in _methods(found, encoder):
            known[key] = before.get(key) or _map(
                found, (wording.encoders([encoder]), ""), vectors[encoder], range(len(found.clips)), method
            )
    best = best_of(found.trials, found.sweep)
    if best is not None:
        features = None
        for key, method in _methods(found, f"features of trial {best.number}"):
            if key in before:
                known[key] = before[key]
            elif features := features or _features(found, best, vectors):
                known[key] = _map(found, *features, method)
    if known != before:
        write_bytes(file, json.dumps(known).encode())


def _methods(found: Stored, what: str) -> list[tuple[str, str]]:
    """(key, method) of every map of something."""
    from reno_sweeps.reports.embedding_map import TSNE, UMAP

    return [(what, TSNE), *([(f"{what} {UMAP}", UMAP)] if found.settings.umap else [])]


def _map(found: Stored, titles: tuple[str, str], vectors: Any, rows: Sequence[int], method: str) -> dict[str, Any]:
    """The map of vectors [rows, dim] as plain JSON; `titles` are its title, and a sentence about it."""
    from reno_sweeps.reports.embedding_map import mapped

    made = mapped(titles[0], vectors, [found.clips[row] for row in rows], method=method)
    places = {clip.path: row for row, clip in enumerate(found.clips)}
    return {
        "title": made.title,
        "about": titles[1],
        "method": made.method,
        "points": made.points.round(3).tolist(),
        "rows": [places[clip.path] for clip in made.clips],
        "of": made.of,
        "seed": made.seed,
        "alike": {by: list(pair) for by, pair in made.alike.items()},
    }


def _features(found: Stored, best: Trial, vectors: Mapping[str, Any]) -> tuple[tuple[str, str], Any, list[int]] | None:
    """What the best trial's first fold makes of its own test clips: (title, about), features [clips, dim], rows.

    Every fold has a model, and so a space, of its own; the clips are those that this model never trained on.
    None: its head has no features, or its weights are gone.
    """
    from reno_sweeps.search.fold_files import FoldFiles
    from reno_sweeps.training import export
    from reno_sweeps.training.configuration import cell_of, resolve

    files, score = FoldFiles(found.folder), best.scores[0]
    weights = files.read_weights(f"trial {best.number}", score)
    if weights is None or not files.intact(score) or "test_rows" not in (arrays := files.read(score)):
        return None
    cell, rows = cell_of(found.sweep.cells[best.cell], best.proposal), arrays["test_rows"].tolist()
    model = export.of_fold(
        weights,
        head=cell.head,
        values=resolve(cell.head, best.proposal, found.sweep.fixed),
        encoders=cell.encoders,
        classes=found.classes,
        dims=[vectors[encoder].shape[1] for encoder in cell.encoders],
    )
    features = model.features({encoder: vectors[encoder][rows] for encoder in cell.encoders})
    kind = "fused features" if len(cell.encoders) > 1 else "features"
    about = f"Trial {best.number} on the test clips of fold {score.fold}, which that model never saw."
    return None if features is None else ((f"{kind} of {cell.head}", about), features, rows)


def maps_of(found: Stored) -> list[Map]:
    """The maps that were kept, in the order of the sweep's encoders, the best trial's features last."""
    import numpy as np

    from reno_sweeps.reports.embedding_map import Map

    known, clips = _read(found.folder / MAPS), found.clips
    return [
        Map(
            title=one["title"],
            about=one["about"],
            method=one["method"],
            points=np.asarray(one["points"], np.float64),
            clips=tuple(clips[row] for row in one["rows"]),
            of=one["of"],
            seed=one["seed"],
            alike={by: (pair[0], pair[1]) for by, pair in one["alike"].items()},
        )
        for one in known.values()
    ]


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return found
