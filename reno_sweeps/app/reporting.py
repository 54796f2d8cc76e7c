"""A sweep's report: its page, tables and figures, with everything that its stored facts allow."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    """Map every encoder's embeddings [clips, dim] once, and keep the maps; those that are there stay."""
    from reno_sweeps.reports.embedding_map import mapped

    file = found.folder / MAPS
    known = _read(file)
    missing = [encoder for encoder in vectors if encoder not in known]
    for encoder in missing:
        made = mapped(encoder, vectors[encoder], found.clips)
        places = {clip.path: row for row, clip in enumerate(found.clips)}
        known[encoder] = {
            "points": made.points.round(3).tolist(),
            "rows": [places[clip.path] for clip in made.clips],
            "of": made.of,
            "seed": made.seed,
            "alike": {by: list(pair) for by, pair in made.alike.items()},
        }
    if missing:
        write_bytes(file, json.dumps(known).encode())


def maps_of(found: Stored) -> list[Map]:
    """The maps that were kept, in the order of the sweep's encoders."""
    import numpy as np

    from reno_sweeps.reports import wording
    from reno_sweeps.reports.embedding_map import Map

    known, clips = _read(found.folder / MAPS), found.clips
    return [
        Map(
            title=wording.encoders([encoder]),
            points=np.asarray(one["points"], np.float64),
            clips=tuple(clips[row] for row in one["rows"]),
            of=one["of"],
            seed=one["seed"],
            alike={by: (pair[0], pair[1]) for by, pair in one["alike"].items()},
        )
        for encoder, one in known.items()
    ]


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return found
