"""What is said on stderr while a command works: lines for people, or one JSON object a line for those who watch many.

A JSON line has `time` (UTC, ISO 8601), `level` (info, warning, error, critical), `sweep` (its name, or null), `event`
(what kind of news it is) and `fields`: its facts, with `message`, the same news in words.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

VARIABLE, FORMS = "RENO_LOG", ("text", "json")


class _Form:
    """How lines are written now; one of each process."""

    json = False
    sweep: str | None = None


def are_json() -> bool:
    """Whether a machine reads the lines: nothing is drawn over, nothing is said twice."""
    return _Form.json


def about(sweep: str | None) -> None:
    """Name the sweep of all that follows."""
    _Form.sweep = sweep


def say(text: str, event: str = "said", level: str = "info", **fields: Any) -> None:
    """One line on stderr."""
    line = written(text, event, level, fields) if _Form.json else text
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # the one place where news are shown


def written(text: str, event: str, level: str, fields: dict[str, Any], seconds: float | None = None) -> str:
    """A JSON line; `seconds` is its Unix time, now where none is given."""
    when = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    facts = {"message": text, **{name: _finite(value) for name, value in fields.items()}}
    line = {
        "time": when.isoformat(timespec="milliseconds"),
        "level": level,
        "sweep": _Form.sweep,
        "event": event,
        "fields": facts,
    }
    return json.dumps(line, default=str)


def configure(form: str) -> None:
    """Warnings and log records as lines of this form, text or json, from now on."""
    _Form.json, _Form.sweep = form == "json", None
    if not _Form.json:
        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
        return
    logging.getLogger().addHandler(_Records(logging.WARNING))
    logging.getLogger().setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught


class _Records(logging.Handler):
    """Log records as JSON lines, where the other lines go."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line, whatever the record's message holds."""
        try:
            fields: dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                fields["traceback"] = logging.Formatter().formatException(record.exc_info)
            level = record.levelname.lower()
            line = written(record.getMessage(), level, level, fields, record.created)
            print(line, file=sys.stderr, flush=True)  # noqa: T201
        except Exception:  # noqa: BLE001  # as every handler of logging
            self.handleError(record)


def _uncaught(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    import traceback

    trace = "".join(traceback.format_exception(kind, error, at))
    say(f"{kind.__name__}: {error}", "bug", "critical", traceback=trace)


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and value - value != 0 else value
