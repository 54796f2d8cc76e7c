"""One HTML page that explains a sweep, alone, without a network; and the folder of tables and figures beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

from reno_sweeps.files import write_bytes
from reno_sweeps.records import Sweep, Trial
from reno_sweeps.reports import (
    beside,
    by_class,
    comparisons,
    drawing,
    hard_clips,
    resampled,
    space_file,
    story,
    tables,
    wording,
)
from reno_sweeps.reports.embedding_map import Map
from reno_sweeps.reports.evidence import Evidence
from reno_sweeps.reports.summary import finite
from reno_sweeps.reports.theme import template

PAGE = "report.html"
WRITERS = 8
SIDE_BY_SIDE = 8  # classes; matrices of more are read below each other
TRIALS_SHOWN = 100  # the rest is in trials.csv: a browser gets slow with thousands of rows


def build(
    sweep: Sweep,
    trials: Sequence[Trial],
    summary: Mapping[str, Any],
    provenance: Mapping[str, str],
    classes: Sequence[str],
    messages: Sequence[str],
    evidence: Evidence | None = None,
    maps: Sequence[Map] = (),
    importances: Mapping[str, float] | None = None,
) -> str:
    """The page. `summary` is the object of `run --json`, `classes` the corpus's in class order; all text is escaped.

    `evidence`, the best trial's answers, adds calibration and the hardest clips; `maps` stand in their order;
    `importances` (parameter → share) add their figure.
    """
    best = drawing.best_of(trials, summary)
    drawn = drawing.figures_of(sweep, trials, summary, classes, evidence, maps, importances)
    script, plotly = _asset("page.js"), _plotly()
    rows = tables.trial_rows(tables.ranked(trials, sweep), sweep)
    others = resampled.rows(evidence, classes) if evidence else []
    rendered: str = _template().render(
        name=summary["sweep"],
        subtitle=wording.cells(sweep),
        badges=story.badges(summary),
        sentences=story.sentences(sweep, summary),
        protocol=wording.PROTOCOLS[sweep.protocol.selection],
        messages=messages,
        cautions=summary.get("cautions", ()),
        optimistic=bool(summary.get("optimistic")),
        headline=_view(tables.headline(summary)),
        configuration=_view(story.configuration(sweep, summary)),
        folds=_view(beside.folds(best) if best else []),
        intervals=wording.INTERVALS,
        by_class=_view(by_class.shown(by_class.rows(best.scores, classes)) if best else []),
        many_classes=len(classes) > SIDE_BY_SIDE,
        maps=[[drawing.map_name(place, by) for by in found.by] for place, found in enumerate(maps)],
        hardest=_view(hard_clips.shown(hard_clips.rows(evidence, classes)) if evidence else []),
        resampled=_view(resampled.shown(others)),
        resampled_mean=resampled.remarks(others),
        comparisons=_view(comparisons.shown(comparisons.of_sweep(summary))),
        comparisons_mean=comparisons.MEANING,
        cells=_view(tables.cell_rows(summary)),
        nested=_view(tables.nested_rows(summary)),
        trials=_view(rows[:TRIALS_SHOWN]),
        trials_in_all=len(rows),
        provenance=provenance,
        command=story.command(),
        space=space_file.resolved(sweep),
        figures={name: _json(figure) for name, figure in drawn.items()},
        captions=drawing.captions(evidence, maps),
        style=_asset("page.css"),
        themes=_json({scheme: template(scheme) for scheme in ("light", "dark")}),
        scripts=[plotly, script] if drawn else [],
        policy=_policy(plotly, script),
    )
    return rendered


def write_all(
    folder: Path,
    sweep: Sweep,
    trials: Sequence[Trial],
    summary: Mapping[str, Any],
    provenance: Mapping[str, str],
    classes: Sequence[str],
    messages: Sequence[str],
    evidence: Evidence | None = None,
    maps: Sequence[Map] = (),
    importances: Mapping[str, float] | None = None,
) -> list[Path]:
    """The page, its tables and figures in `folder`: each file whole or not at all; nothing before all are made."""
    page = build(sweep, trials, summary, provenance, classes, messages, evidence, maps, importances)
    made = {PAGE: beside.text(page)} | beside.files(sweep, trials, summary, classes, evidence, maps)
    places = [folder / name for name in made]
    with ThreadPoolExecutor(WRITERS) as writers:  # each file is synced: what waits for the disk waits together
        list(writers.map(write_bytes, places, made.values()))
    return places


def _view(rows: Sequence[tables.Row]) -> dict[str, Any] | None:
    """A table as the template draws it: columns and cells, each with its kind; None without rows."""
    shown = tables.shown(rows)
    kinds = {c: "number" if tables.is_numeric(shown, c) else "" for c in tables.columns_of(shown)}
    cells = [[(value, kinds[c] or _kind(value)) for c, value in row.items()] for row in shown]
    return {"columns": list(kinds.items()), "rows": cells} if rows else None


def _kind(text: str) -> str:
    return "long" if len(text) > 60 else ""


def _json(value: Any) -> Any:
    """JSON that no text in it can end or leave: '<', '>' and '&' are spelled as numbers."""
    from markupsafe import Markup

    text = json.dumps(finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704  # nothing that HTML reads is left in it


def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    house = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return house.from_string(_asset("page.html.jinja"))


def _asset(name: str) -> Any:
    """A file of this room, as text that is ours and needs no escaping."""
    from markupsafe import Markup

    return Markup(resources.files("reno_sweeps.reports").joinpath(name).read_text(encoding="utf-8"))  # noqa: S704


def _plotly() -> Any:
    """plotly.js itself, so that the page needs no network."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())  # noqa: S704


def _policy(*scripts: str) -> str:
    """What the page may do: run these very scripts, style itself, show its own pictures; reach nothing."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
