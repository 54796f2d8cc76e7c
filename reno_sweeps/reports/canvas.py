"""Where static figures are drawn: matplotlib without pyplot's global state, encoded as PNG and PDF."""

from __future__ import annotations

import io
import warnings
from typing import Any, Literal

DPI = 150


def axes(wide: float, high: float, across: int = 1) -> tuple[Any, Any]:
    """A figure of so many inches, with its axes, or a row of them where there are several."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(wide, high), layout="constrained")
    panels = figure.subplots(1, across, squeeze=False)[0]
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels if across > 1 else panels[0]


def titled(title: str, caveat: str) -> str:
    """A title that carries what must not be overlooked wherever the figure is copied to."""
    return literal(f"{title} ({caveat})" if caveat else title)


def literal(text: str) -> str:
    """A label as it is: matplotlib reads TeX between dollar signs."""
    return text.replace("$", r"\$")


def files(name: str, figure: Any) -> dict[str, bytes]:
    """The figure as NAME.png and NAME.pdf."""
    png = encoded(figure, "png")
    figure.set_layout_engine("none")  # what was laid out stays: half of the time of the second
    return {f"{name}.png": png, f"{name}.pdf": encoded(figure, "pdf")}


def encoded(figure: Any, kind: Literal["png", "pdf"]) -> bytes:
    """The same figure gives the same bytes; signs that the font lacks are drawn as boxes, without a word."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    FigureCanvasAgg(figure)
    metadata = {"Software": None} if kind == "png" else {"CreationDate": None, "Producer": None}
    with warnings.catch_warnings(), mpl.rc_context({"pdf.fonttype": 42}):  # TrueType: publishers refuse Type 3
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(content, format=kind, dpi=DPI, metadata=metadata)
    return content.getvalue()
