"""What goes wrong between us and MLflow, said in one line."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")  # user:password@ in front of a host


class TrackingError(Exception):
    """MLflow cannot do what was asked. One line: what, where, what to do."""


class RefusedError(TrackingError):
    """MLflow answers and will not take this row, however often it is asked."""


def one_line(error: BaseException | str, limit: int = 300) -> str:
    """The first telling line of an error, without credentials, at most `limit` characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return without_credentials(text if len(text) <= limit else text[: limit - 1] + "…")


def without_credentials(text: str) -> str:
    """A text in which no URI shows a user's name or password."""
    return _CREDENTIALS.sub("", text)
