"""What is known of a corpus before it is read, and of the place that it comes from."""

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


@dataclass(frozen=True, slots=True)
class Origin:
    """The official place of a corpus that is downloaded: a module with such an ORIGIN can be fetched."""

    page: str  # where a person reads the licence and finds the archive
    archive: str  # the file to download there, a zip
    record: int | None = None  # of Zenodo; None: the page must be visited by hand
