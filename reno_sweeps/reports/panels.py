"""What figures are made of: plain JSON as plotly.js draws it (`plotly.graph_objects.Figure(f)` takes it), in panels.

Labels, paths and reasons are other people's text: plotly reads a little HTML in text, so each passes `literal`.
"""

from __future__ import annotations

import html
from typing import Any

from reno_sweeps.reports import wording

Figure = dict[str, Any]
LEGEND = {"orientation": "h", "x": 0.93, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}


def literal(text: object) -> str:
    """Text that plotly shows as it is."""
    return html.escape(str(text), quote=False)


def figure(data: list[Figure], title: str, caveat: str, height: int, **layout: Any) -> Figure:
    """A figure of `height` pixels, as wide as its place; its title carries the caveat wherever it is copied to."""
    said = {"text": title, **({"subtitle": {"text": literal(caveat), "font": {"size": 12}}} if caveat else {})}
    return {"data": data, "layout": {"title": said, "height": height, **layout}}


def value_axis(metric: str) -> Figure:
    """An axis of a metric: shares in percent."""
    return {"tickformat": ".0%"} if wording.is_share(metric) else {}


def axis(letter: str, index: int) -> str:
    """The layout's name of an axis: xaxis, xaxis2, …"""
    return f"{letter}axis{index + 1 if index else ''}"


def part(place: int, of: int, gap: float) -> list[float]:
    """The domain of one of several panels, with `gap` panels' widths between two."""
    unit = 1 / (of + (of - 1) * gap)
    start = place * unit * (1 + gap)
    return [round(start, 6), round(min(1.0, start + unit), 6)]
