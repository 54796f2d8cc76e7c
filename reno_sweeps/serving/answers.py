"""What a model answers: an emotion and a probability for every class, clip by clip, as rows, JSON, CSV or DataFrame."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

PATH, EMOTION = "path", "emotion"  # the columns before the classes' own


def column(label: str) -> str:
    """The column of a class's probability: its label, unless a column of another meaning is called so."""
    return f"{label} (probability)" if label in {PATH, EMOTION} else label


@dataclass(frozen=True, slots=True)
class Table:
    """The answers to n clips: `paths` say which (None: a recording that came without a name)."""

    paths: Sequence[str | None]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]  # [n, classes]

    @property
    def emotions(self) -> tuple[str, ...]:
        """The most probable class of every clip, the first of equals."""
        return tuple(self.classes[number] for number in self.probabilities.argmax(axis=1))

    def as_json(self) -> list[dict[str, Any]]:
        """[{path, emotion, probabilities: {label: p}}], as `predict --json` prints it."""
        rows = zip(self.paths, self.emotions, self.probabilities.astype(float), strict=True)
        return [
            {PATH: path, EMOTION: emotion, "probabilities": dict(zip(self.classes, map(float, row), strict=True))}
            for path, emotion, row in rows
        ]

    def as_csv(self) -> str:
        """A header and a line a clip: path, emotion, one column per class. Numbers in full: nothing is rounded."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow([PATH, EMOTION, *map(column, self.classes)])
        for row in self.as_json():
            writer.writerow([row[PATH], row[EMOTION], *row["probabilities"].values()])
        return lines.getvalue()

    def as_frame(self) -> DataFrame:
        """The same as a pandas DataFrame: path, emotion, one float64 column per class."""
        from pandas import DataFrame

        columns: Mapping[str, Any] = {PATH: list(self.paths), EMOTION: list(self.emotions)}
        numbers = {column(label): self.probabilities[:, n].astype(float) for n, label in enumerate(self.classes)}
        return DataFrame({**columns, **numbers})
