"""What is known of a corpus before it is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """The row that `corpus list` prints."""

    title: str
    licence: str
    source: str  # where its recordings come from
    synthetic: bool  # made by a program: said wherever a figure of it appears
    how: str  # what to write behind --corpus
