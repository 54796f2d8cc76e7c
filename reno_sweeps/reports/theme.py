"""The look of the figures: one template for a light page, one for a dark one, and colours that are read on both."""

from __future__ import annotations

from typing import Any

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'

BLUE, ORANGE, GREEN, RED, GREY = "#4287d6", "#e08a2e", "#2fa37c", "#d35a5a", "#8a93a3"
SERIES = (BLUE, ORANGE, GREEN, "#b065c4", "#c9a227", RED, "#3fa7b8", "#c77d9b", "#7f9a3d", GREY)

_INK = {"light": "#1d2430", "dark": "#e3e7ee"}
_GRID = {"light": "#e4e8ee", "dark": "#2c3442"}
_GROUND = {"light": "#ffffff", "dark": "#161b24"}
_SCALE = {
    "light": [[0, "#f4f7fb"], [0.5, "#8fb8e6"], [1, "#1c5aa6"]],
    "dark": [[0, "#1b222e"], [0.5, "#2f629f"], [1, "#9cc8f7"]],
}


def template(scheme: str) -> dict[str, Any]:
    """plotly's template for the scheme 'light' or 'dark'; the ground is the page's own."""
    axis = {"gridcolor": _GRID[scheme], "linecolor": _GRID[scheme], "zeroline": False, "automargin": True}
    axis |= {"title": {"standoff": 8}, "ticks": "outside", "ticklen": 4, "tickcolor": _GRID[scheme]}
    layout = {
        "font": {"family": FONT, "size": 13, "color": _INK[scheme]},
        "title": {"x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 8}, "font": {"size": 15}},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": list(SERIES),
        "hoverlabel": {"align": "left", "bgcolor": _GROUND[scheme], "font": {"color": _INK[scheme]}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": BLUE},
        "margin": {"l": 60, "r": 24, "t": 60, "b": 48},
        "xaxis": axis,
        "yaxis": axis,
    }
    bar = {"outlinewidth": 0, "thickness": 12}
    heatmap = {"type": "heatmap", "colorscale": _SCALE[scheme], "colorbar": bar, "xgap": 1, "ygap": 1}
    contour = {"type": "contour", "colorscale": _SCALE[scheme], "colorbar": bar}
    return {"layout": layout, "data": {"heatmap": [heatmap], "contour": [contour]}}
