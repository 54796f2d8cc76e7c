"""Clips on a plane: t-SNE, and UMAP where asked, coloured by emotion and by speaker (the paper's Figure 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reno_sweeps.records import Clip, UserError
from reno_sweeps.reports.panels import Figure, figure, literal
from reno_sweeps.reports.theme import SERIES

MOST = 1500  # clips; more of them hide each other, and take minutes
COMPONENTS = 50  # van der Maaten & Hinton 2008: principal components first, against noise and for speed
PERPLEXITY = 30.0
NEAREST = 5
TSNE, UMAP = "t-SNE", "UMAP"
FLOOR = 1e-6  # of a feature's deviation, as in training: some dimensions hardly vary
NAMED = len(SERIES) - 1  # speakers with a colour of their own; the last, a grey, is for all others
OTHERS = "other speakers"
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")  # where emotions are more than colours


@dataclass(frozen=True, slots=True)
class Map:
    """Where m clips lie; `points` is [m, 2]."""

    title: str  # what was mapped: an encoder, the fused features
    points: NDArray[np.float64]
    clips: tuple[Clip, ...]
    of: int  # clips in all: where they are more than m, these were drawn by lot
    seed: int
    alike: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # by → its `neighbours`
    method: str = TSNE
    about: str = ""  # a sentence on what was mapped, where the title does not say all

    @property
    def by(self) -> tuple[str, ...]:
        """What the clips can be coloured by."""
        return ("emotion", "speaker") if any(clip.speaker is not None for clip in self.clips) else ("emotion",)


def mapped(
    title: str,
    vectors: NDArray[Any],
    clips: Sequence[Clip],
    *,
    seed: int = 0,
    most: int = MOST,
    method: str = TSNE,
) -> Map:
    """The map of vectors [clips, dim], row by row those of `clips`; the same seed gives the same map."""
    if len(vectors) != len(clips):
        raise UserError(f"{title}: {len(vectors)} embeddings for {len(clips)} clips")
    rows = np.arange(len(clips))
    if len(clips) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(clips), most, replace=False))
    drawn = tuple(clips[int(row)] for row in rows)
    wide = _standardised(np.asarray(vectors)[rows])
    found = Map(title, _flat(wide, seed, method), drawn, len(clips), seed, method=method)
    return replace(found, alike={by: neighbours(wide, labels_of(found, by)) for by in found.by if len(drawn) > NEAREST})


def labels_of(found: Map, by: str) -> list[str]:
    """The emotion or the speaker of each clip."""
    return [(clip.label if by == "emotion" else clip.speaker) or "unknown" for clip in found.clips]


def neighbours(wide: NDArray[np.float64], labels: Sequence[str]) -> tuple[float, float]:
    """Share of the five nearest others that have a clip's own label, in the full space; and what chance gives."""
    from sklearn.neighbors import NearestNeighbors

    names, own = np.unique(np.array(labels, dtype=object), return_inverse=True)
    near = NearestNeighbors(n_neighbors=NEAREST).fit(wide).kneighbors(return_distance=False)
    counts = np.bincount(own, minlength=len(names))
    chance = float((counts * (counts - 1)).sum() / (len(own) * (len(own) - 1)))
    return float((own[near] == own[:, None]).mean()), chance


def flattened(vectors: NDArray[Any], seed: int = 0) -> NDArray[np.float64]:
    """t-SNE of vectors [n, dim] → [n, 2]; of fewer than five clips, or of equal ones, principal components.

    Perplexity is 30, or a third of the other clips where they are few: it must stay below their number.
    """
    return _flat(_standardised(vectors), seed)


def _standardised(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Features as training sees them, so that no loud one decides alone."""
    if not np.isfinite(vectors).all():
        raise UserError("embeddings to be mapped hold values that are no numbers")
    wide = vectors.astype(np.float64)
    return np.asarray(np.clip((wide - wide.mean(0)) / np.maximum(wide.std(0), FLOOR), -10, 10), np.float64)


def _flat(wide: NDArray[np.float64], seed: int, method: str = TSNE) -> NDArray[np.float64]:
    reduced = _principal(wide, seed)
    if len(reduced) < 5 or not reduced[:, 0].std() > 1e-9:
        return reduced[:, :2]
    if method == UMAP:
        return _umap(reduced, seed)
    from sklearn import manifold

    perplexity = min(PERPLEXITY, (len(reduced) - 1) / 3)
    model = manifold.TSNE(2, perplexity=perplexity, init=1e-4 * reduced[:, :2] / reduced[:, 0].std(), random_state=seed)
    return np.asarray(model.fit_transform(reduced), np.float64)


def _umap(reduced: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """McInnes, Healy, Melville 2018, with its own defaults; one thread, for the same seed must give the same map."""
    import umap

    neighbours = min(15, len(reduced) - 1)
    start = reduced[:, :2] / reduced[:, :2].std()  # umap's own start needs more clips than dimensions
    model = umap.UMAP(n_components=2, n_neighbors=neighbours, init=start, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(reduced), np.float64)


def _principal(wide: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """At most 50 principal components, at least two columns; zeros where all rows are equal."""
    from sklearn.decomposition import PCA

    if not wide.any():
        return np.zeros((len(wide), 2))
    reduced = np.asarray(PCA(min(COMPONENTS, *wide.shape), random_state=seed).fit_transform(wide))
    return np.pad(reduced, ((0, 0), (0, max(0, 2 - reduced.shape[1]))))


def groups(found: Map, by: str) -> list[tuple[str, NDArray[np.int64]]]:
    """(name, rows) of each emotion, sorted; or of the speakers with most clips, and last of all others together."""
    labels = labels_of(found, by)
    counted = Counter(labels)
    names = sorted(counted) if by == "emotion" else sorted(counted, key=lambda name: (-counted[name], name))
    own = names if by == "emotion" or len(names) <= len(SERIES) else sorted(names[:NAMED])
    rest = set(names) - set(own)
    parts = [(name, [row for row, label in enumerate(labels) if label == name]) for name in own]
    if rest:
        parts.append((f"{len(rest)} {OTHERS}", [row for row, label in enumerate(labels) if label in rest]))
    return [(name, np.array(rows, np.int64)) for name, rows in parts]


def style(number: int) -> tuple[str, str]:
    """(colour, symbol) of a group: a new symbol where the colours come again."""
    return SERIES[number % len(SERIES)], SYMBOLS[number // len(SERIES) % len(SYMBOLS)]


def map_figure(found: Map, by: str, caveat: str = "") -> Figure:
    """The clips in the colours of their emotions or speakers; neither axis has a meaning, so neither is drawn."""
    parts = groups(found, by)
    data = [_cloud(found, name, rows, number) for number, (name, rows) in enumerate(parts)]
    if parts[-1][0].endswith(OTHERS):
        data = [
            {**data[-1], "legendrank": 2000},
            *data[:-1],
        ]  # drawn first, told last
    bare = {"visible": False, "showgrid": False}
    below = {"orientation": "h", "x": 0, "xanchor": "left", "y": -0.02, "yanchor": "top", "itemsizing": "constant"}
    margin = {
        "l": 8,
        "r": 8,
        "t": 60,
        "b": 110,
    }  # b: the legend; maps stay equally large
    layout = {"margin": margin, "xaxis": bare, "yaxis": {**bare, "scaleanchor": "x"}, "legend": below}
    return figure(
        data,
        f"{literal(found.title)}{f' ({found.method})' * (found.method != TSNE)}, by {by}",
        caveat,
        560,
        showlegend=True,
        hovermode="closest",
        **layout,
    )


def _cloud(found: Map, name: str, rows: NDArray[np.int64], number: int) -> Figure:
    colour, symbol = style(number)
    clips = [found.clips[int(row)] for row in rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": literal(name),
        "x": [round(float(x), 3) for x in found.points[rows, 0]],
        "y": [round(float(y), 3) for y in found.points[rows, 1]],
        "text": [literal(f"{c.path}: {c.label}{f', {c.speaker}' if c.speaker else ''}") for c in clips],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": colour, "symbol": symbol, "size": 5 if len(found.clips) > 400 else 7, "opacity": 0.75},
    }


def said(found: Map, by: str) -> str:
    """What the reader must know of the map in these colours, and how much the full space knows of them."""
    drawn = (
        f"{len(found.clips)} of {found.of} clips, drawn by lot" if found.of > len(found.clips) else f"{found.of} clips"
    )
    warning = f"{found.method} of {drawn}, seed {found.seed}: near is alike, distances between clusters mean nothing."
    warning = f"{found.about} {warning}".lstrip()
    if by not in found.alike:
        return warning
    share, chance = (f"{100 * part:.0f} %" for part in found.alike[by])
    return f"Of a clip's {NEAREST} nearest neighbours {share} are of its own {by} (by chance {chance}). {warning}"
