"""Figures of how parameters act: which matter, all of them side by side, and two of them together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from reno_sweeps.records import Sweep, Trial
from reno_sweeps.reports import wording
from reno_sweeps.reports.panels import Figure, figure, literal, value_axis
from reno_sweeps.reports.search_figures import along
from reno_sweeps.reports.theme import BLUE, ORANGE
from reno_sweeps.space import Categorical, Distribution, Value, spell

FEWEST = 8  # trials from which a surface is drawn: fewer say little about two parameters
LONGEST = 18  # signs beside an axis: the next one is not far
SHADES = 5  # of lines from the poorest trials to the best
HEIGHT = 440  # of importance and surface, which stand side by side
GRID = 40  # cells of a surface along each side


def importance(shares: Mapping[str, float], caveat: str = "") -> Figure | None:
    """A bar for each parameter's share of what the objective's differences come from; None without any."""
    if not shares:
        return None
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    bar: Figure = {"type": "bar", "orientation": "h", "x": [share for _, share in ordered]}
    bar |= {"y": [literal(name) for name, _ in ordered], "marker": {"color": BLUE, "opacity": 0.75}}
    bar["hovertemplate"] = "%{y}: %{x:.0%}<extra></extra>"
    down = {"autorange": "reversed", "type": "category", "showgrid": False}
    across = {"title": {"text": "importance"}, "tickformat": ".0%", "rangemode": "tozero"}
    height = max(HEIGHT, 130 + 34 * len(ordered))
    return figure([bar], "Which parameters mattered", caveat, height, xaxis=across, yaxis=down, bargap=0.4)


def parallel(sweep: Sweep, trials: Sequence[Trial], caveat: str = "") -> Figure | None:
    """A line a trial through all that it tried, the better the bluer; None below two trials or parameters.

    Parameters that some of the trials lack (conditional ones) have no axis. Plain lines: plotly's own parallel
    coordinates compile code at run time, which the page's policy forbids.
    """
    done = sorted(_done(trials), key=lambda t: (t.objective or 0.0) * _sign(sweep))  # the best is drawn last
    names = [name for name in sweep.search if done and all(name in trial.proposal for trial in done)]
    if len(done) < 2 or len(names) < 2:
        return None
    goals = [trial.objective or 0.0 for trial in done]
    heights = [[_share(sweep.search[name], trial.proposal[name]) for name in names] for trial in done]
    paths = [[*row, goal] for row, goal in zip(heights, _unit(goals), strict=True)]
    metric = f"val_{sweep.objective.metric}"
    ends = ((0.0, wording.measured(metric, min(goals))), (1.0, wording.measured(metric, max(goals))))
    marks = [(i, *tick) for i, name in enumerate(names) for tick in _ticks(sweep.search[name])]
    marks += [(len(names), *end) for end in ends]
    titles = [*map(literal, names), wording.metric(metric)]
    across = {"tickvals": list(range(len(titles))), "ticktext": titles, "range": [-0.2, len(titles) - 0.5]}
    layout = {"xaxis": across, "yaxis": {"visible": False, "range": [-0.08, 1.08]}, "showlegend": False}
    layout |= {"annotations": [_mark(*mark) for mark in marks], "hovermode": "closest"}
    data = _lines(paths, [f"trial {t.number}: {wording.measured(metric, t.objective)}" for t in done])
    return figure(data, "Trials through all parameters", caveat, 400, **layout)


def _lines(paths: Sequence[Sequence[float]], said: Sequence[str]) -> list[Figure]:
    """Poor trials first and faint, in a few traces (a thousand would be slow); the best, the last one, by itself."""
    n = len(paths) - 1
    bounds = [round(n * step / SHADES) for step in range(SHADES + 1)]
    parts = [(range(a, b), step) for step, (a, b) in enumerate(pairwise(bounds)) if b > a]
    made = [_strand(paths, said, rows, BLUE, 1.0, 0.12 + 0.16 * step) for rows, step in parts]
    return [*made, _strand(paths, said, range(n, n + 1), ORANGE, 2.5, 1.0)]


def _strand(
    paths: Sequence[Sequence[float]], said: Sequence[str], rows: range, colour: str, wide: float, opacity: float
) -> Figure:
    """Several trials as one broken line."""
    y = [value for row in rows for value in (*paths[row], None)]
    x = [value for row in rows for value in (*range(len(paths[row])), None)]
    text = [said[row] for row in rows for _ in range(len(paths[row]) + 1)]
    line = {"color": colour, "width": wide}
    plain = {"type": "scatter", "mode": "lines", "hovertemplate": "%{text}<extra></extra>"}
    return {**plain, "x": x, "y": y, "text": text, "line": line, "opacity": opacity}


def _mark(place: int, height: float, text: str) -> Figure:
    """A value beside its axis."""
    at = {"x": place, "y": height, "xanchor": "left", "xshift": 4, "showarrow": False}
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return {**at, "text": literal(short), "font": {"size": 11}}


def _ticks(distribution: Distribution) -> list[tuple[float, str]]:
    """(height, text): all choices, or both ends of a range."""
    if isinstance(distribution, Categorical):
        return [(_share(distribution, value), spell(value)) for value in distribution.values]
    if distribution.low == distribution.high:
        return [(0.5, f"{distribution.low:g}")]
    return [(0.0, f"{distribution.low:g}"), (1.0, f"{distribution.high:g}")]


def _share(distribution: Distribution, value: Value) -> float:
    """Height of a value on its axis, from 0 to 1 over all that was searched."""
    if isinstance(distribution, Categorical):
        several = len(distribution.values)
        return list(distribution.values).index(value) / (several - 1) if several > 1 else 0.5
    low, high = _at(distribution, distribution.low), _at(distribution, distribution.high)
    return (_at(distribution, value) - low) / (high - low) if high > low else 0.5


def contour(sweep: Sweep, trials: Sequence[Trial], pair: tuple[str, str], caveat: str = "") -> Figure | None:
    """The objective over two numeric parameters: what lies between the trials is interpolated, never beyond them.

    None where either is no number, or where the trials that have both are few or lie on one line.
    """
    spans = [sweep.search[name] for name in pair]
    there = [trial for trial in _done(trials) if all(name in trial.proposal for name in pair)]
    if len(there) < FEWEST or any(isinstance(span, Categorical) for span in spans):
        return None
    x, y = ([float(trial.proposal[name] or 0) for trial in there] for name in pair)
    surface = _surface(_Side.of(spans[0], x), _Side.of(spans[1], y), [trial.objective or 0.0 for trial in there])
    if surface is None:
        return None
    metric = f"val_{sweep.objective.metric}"
    bar = {"title": {"text": wording.metric(metric)}, "thickness": 12, "outlinewidth": 0, **value_axis(metric)}
    field: Figure = {"type": "contour", **surface, "colorbar": bar, "hoverinfo": "skip", "line": {"width": 0}}
    field["reversescale"] = sweep.objective.direction == "minimize"
    said = [f"trial {trial.number}: {wording.measured(metric, trial.objective)}" for trial in there]
    points: Figure = {"type": "scatter", "mode": "markers", "x": x, "y": y, "text": said, "showlegend": False}
    points |= {"hovertemplate": "%{text}<extra></extra>", "marker": {"size": 6, "color": "#ffffff"}}
    points["marker"] |= {"line": {"width": 1, "color": "#1d2430"}}
    across, down = ({**along(name, span), "showgrid": False} for name, span in zip(pair, spans, strict=True))
    return figure(
        [field, points], f"{literal(pair[0])} and {literal(pair[1])}", caveat, HEIGHT, xaxis=across, yaxis=down
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a surface: its trials from 0 to 1 in the search's own scale, and its grid in plain values."""

    places: list[float]
    grid: list[float]

    @classmethod
    def of(cls, distribution: Distribution, values: Sequence[float]) -> _Side:
        places = [_at(distribution, value) for value in values]
        low, high = min(places), max(places)
        logarithmic = not isinstance(distribution, Categorical) and distribution.log
        steps = [low + (high - low) * step / (GRID - 1) for step in range(GRID)]
        return cls(_unit(places), [math.pow(10, step) if logarithmic else step for step in steps])


def _surface(x: _Side, y: _Side, z: Sequence[float]) -> dict[str, Any] | None:
    """Linear interpolation on a grid inside the points' hull; None where they span no plane."""
    import numpy as np
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import Delaunay, QhullError

    try:
        triangles = Delaunay(np.column_stack([x.places, y.places]))
    except QhullError:
        return None
    steps = np.linspace(0, 1, GRID)
    heights = LinearNDInterpolator(triangles, np.array(z))(*np.meshgrid(steps, steps)).tolist()
    return {"x": x.grid, "y": y.grid, "z": [[None if math.isnan(v) else v for v in row] for row in heights]}


def _unit(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / ((high - low) or 1) for value in values]


def _sign(sweep: Sweep) -> int:
    return 1 if sweep.objective.direction == "maximize" else -1


def strongest(
    sweep: Sweep, trials: Sequence[Trial], shares: Mapping[str, float] | None = None
) -> tuple[str, str] | None:
    """The two numeric parameters that matter most: by `shares`, else by rank correlation with the objective."""
    from scipy.stats import spearmanr

    done = _done(trials)
    strength: dict[str, float] = {}
    for name, span in sweep.search.items():
        there = [trial for trial in done if name in trial.proposal]
        values = [] if isinstance(span, Categorical) else [_at(span, trial.proposal[name]) for trial in there]
        if len(there) >= FEWEST and len(set(values)) > 2 and len({trial.objective for trial in there}) > 1:
            own = abs(float(spearmanr(values, [trial.objective for trial in there]).statistic))
            strength[name] = shares.get(name, 0.0) if shares else own
    first = sorted(strength, key=lambda name: -strength[name])[:2]
    return (first[0], first[1]) if len(first) == 2 else None


def _done(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.state == "complete" and trial.objective is not None]


def _at(distribution: Distribution, value: Value) -> float:
    """Where a number lies on its axis: its power of ten where the search was logarithmic."""
    number = float(value or 0)
    return math.log10(number) if not isinstance(distribution, Categorical) and distribution.log else number
