"""Figures of the search: the objective over trials, and over every searched parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reno_sweeps.records import Sweep, Trial, best_of
from reno_sweeps.reports import wording
from reno_sweeps.reports.panels import LEGEND, Figure, axis, figure, literal, part, value_axis
from reno_sweeps.reports.theme import BLUE, GREY, ORANGE, RED
from reno_sweeps.space import Categorical, Distribution, Value, spell

COLUMNS = 3  # small multiples beside each other
MANY = 2.5  # decades from which an axis has ticks at powers of ten alone


def history(sweep: Sweep, trials: Sequence[Trial], caveat: str = "") -> Figure:
    """The objective over trial number, the best so far, and below them the trials that have none."""
    name = f"val_{sweep.objective.metric}"
    done = [trial for trial in trials if trial.state == "complete" and trial.objective is not None]
    lost = [trial for trial in trials if trial.state in {"pruned", "failed"}]
    data = [_points(done, sweep, name), _best_so_far(done, sweep), *_winner(done, sweep)]
    data += [_lost([t for t in lost if t.state == state], state) for state in ("pruned", "failed")]
    upper = {"title": {"text": wording.metric(name)}, **value_axis(name), "domain": [0.2 if lost else 0, 1]}
    lower = {"domain": [0, 0.1], "type": "category", "showgrid": False, "fixedrange": True, "visible": bool(lost)}
    few = {"dtick": 1} if all(trial.number < 10 for trial in trials) else {}
    across = {"title": {"text": "trial"}, **few, "anchor": "y2" if lost else "y"}
    return figure(data, "Search history", caveat, 400, xaxis=across, yaxis=upper, yaxis2=lower, legend=LEGEND)


def _points(done: Sequence[Trial], sweep: Sweep, name: str) -> Figure:
    texts = [_said(trial, sweep) for trial in done]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": wording.metric(name),
        "x": [trial.number for trial in done],
        "y": [trial.objective for trial in done],
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": BLUE, "size": 7, "opacity": 0.75},
    }


def _said(trial: Trial, sweep: Sweep) -> str:
    """What the pointer shows of a trial."""
    value = wording.measured(f"val_{sweep.objective.metric}", trial.objective)
    values = [f"{literal(name)} {literal(wording.number(v))}" for name, v in trial.proposal.items()]
    return "<br>".join([f"<b>trial {trial.number}</b>: {value}", *values])


def _best_so_far(done: Sequence[Trial], sweep: Sweep) -> Figure:
    better = max if sweep.objective.direction == "maximize" else min
    steps: list[float] = []
    for trial in done:
        value = trial.objective or 0.0
        steps.append(better(value, steps[-1]) if steps else value)
    x = [trial.number for trial in done]
    line = {"color": ORANGE, "width": 2, "shape": "hv"}
    plain = {"type": "scatter", "mode": "lines", "name": "best so far", "hoverinfo": "skip"}
    return {**plain, "x": x, "y": steps, "line": line}


def _winner(done: Sequence[Trial], sweep: Sweep) -> list[Figure]:
    best = best_of(done, sweep)
    if best is None:
        return []
    star = {"symbol": "star", "size": 14, "color": ORANGE, "line": {"width": 1, "color": "#ffffff"}}
    point = {"x": [best.number], "y": [best.objective], "text": [_said(best, sweep)], "marker": star}
    plain = {"type": "scatter", "mode": "markers", "name": f"best: trial {best.number}"}
    return [{**plain, **point, "hovertemplate": "%{text}<extra></extra>"}]


def _lost(trials: Sequence[Trial], state: str) -> Figure:
    """Trials that ended without an objective, on an axis of their own: they have no height."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": state,
        "x": [trial.number for trial in trials],
        "y": [state] * len(trials),
        "yaxis": "y2",
        "text": [literal((trial.reason or state)[:200]) for trial in trials],
        "hovertemplate": "trial %{x}: %{text}<extra></extra>",
        "marker": {"symbol": "x", "size": 7, "color": GREY if state == "pruned" else RED},
        "showlegend": bool(trials),
    }


def slices(sweep: Sweep, trials: Sequence[Trial], caveat: str = "") -> Figure | None:
    """The objective against every searched parameter, darker = later; None where nothing can be shown."""
    names = [n for n in sweep.search if any(t.objective is not None and n in t.proposal for t in trials)]
    if not names:
        return None
    metric = f"val_{sweep.objective.metric}"
    rows = -(-len(names) // COLUMNS)
    data: list[Figure] = []
    axes: Figure = {}
    for i, name in enumerate(names):
        row, column = divmod(i, COLUMNS)
        data += _slice(name, sweep, trials, i)
        across = {**along(name, sweep.search[name]), "domain": part(column, COLUMNS, 0.08), "anchor": f"y{i + 1}"}
        down = {**value_axis(metric), "domain": part(rows - 1 - row, rows, 0.3), "anchor": f"x{i + 1}"}
        down |= {"title": {"text": wording.metric(metric)}} if column == 0 else {"showticklabels": False}
        axes |= {axis("x", i): across, axis("y", i): down | ({"matches": "y"} if i else {})}
    return figure(data, "Objective by parameter", caveat, 110 + 230 * rows, showlegend=False, **axes)


def _slice(name: str, sweep: Sweep, trials: Sequence[Trial], index: int) -> list[Figure]:
    """One panel: every trial that has the parameter, and the best of them."""
    there = [trial for trial in trials if trial.objective is not None and name in trial.proposal]
    place = {"xaxis": f"x{index + 1}", "yaxis": f"y{index + 1}"}
    shade = {"colorscale": [[0, GREY], [1, BLUE]], "color": [trial.number for trial in there]}
    cloud = {**_points(there, sweep, name), "x": [_place(trial, name, sweep) for trial in there], **place}
    cloud["marker"] = {"size": 7, "opacity": 0.85, **shade}
    stars = [{**star, "x": [_place(best_of(there, sweep), name, sweep)], **place} for star in _winner(there, sweep)]
    return [cloud, *stars]


def _place(trial: Trial | None, name: str, sweep: Sweep) -> Value:
    """Where a trial stands on a parameter's axis."""
    value = trial.proposal[name] if trial else None
    return literal(spell(value)) if isinstance(sweep.search[name], Categorical) else value


def along(name: str, distribution: Distribution) -> Figure:
    """An axis over all that was searched, with a little room on both sides."""
    across: Figure = {"title": {"text": literal(name)}}
    if isinstance(distribution, Categorical):
        order = [literal(spell(value)) for value in distribution.values]
        return {**across, "type": "category", "categoryorder": "array", "categoryarray": order}
    scale = math.log10 if distribution.log else float
    low, high = scale(distribution.low), scale(distribution.high)
    room = 0.04 * (high - low) or 0.5
    across["range"] = [low - room, high + room]
    return {**across, "type": "log", **_log_ticks(low, high)} if distribution.log else {**across, "nticks": 6}


def _log_ticks(low: float, high: float) -> Figure:
    """Powers of ten where there are many of them, else also 2 and 5; exponents of ten as bounds."""
    if high - low >= MANY:
        return {"dtick": 1, "exponentformat": "power"}
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    ticks = [tick for tick in ticks if 10**low * 0.999 <= tick <= 10**high * 1.001]
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
