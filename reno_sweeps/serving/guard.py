"""Before MLflow's scoring server: what is too large, too deep or too many is refused in one sentence."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from reno_sweeps.files import parsed
from reno_sweeps.serving.limits import AT_ONCE, CLIPS, MEGABYTES, Limits

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

KINDS = ("application/json", "text/csv")  # a Parquet page may unpack to anything before a row is seen
VALUES = 2_000_000  # of a request: numbers of vectors; each takes thirty bytes and more in Python
NESTED = 16  # lists and objects for each clip that a request may have: they take most, and MLflow's time
HEARD_OUT = 8  # times the limit that is read and thrown away: most clients read the refusal only when all is sent
ARRIVES = 120.0  # seconds in which a body has arrived: whoever sends it slowly holds a place of those in work
DEEPEST = 6  # {"dataframe_split": {"data": [[[0.1, …]]]}} has 5 levels
SAID = 300  # letters of MLflow's own words


def install(limits: Limits, offer: str) -> None:
    """Stand before the scoring server that is about to be made in this process; `offer` says what the model takes.

    MLflow gives a model no hook for that: while it loads the model, its server does not exist yet. So the class that
    it makes the server of is replaced by one that begins with the guard.
    """
    import fastapi

    plain = fastapi.FastAPI

    class Guarded(plain):  # type: ignore[misc, valid-type]  # a base known only here
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.add_middleware(Guard, limits=limits, offer=offer)

    fastapi.FastAPI = Guarded  # type: ignore[misc]
    logger.warning(
        "a request: at most %d MB, %d clips, %g s of sound; %d at a time; files by path: %s",
        *(limits.megabytes, limits.clips, limits.seconds, limits.at_once),
        f"below {limits.root}" if limits.root else "none",
    )


class Guard:
    """ASGI middleware: bounds bodies before they are in memory, and says refusals without the server's insides."""

    def __init__(self, app: App, *, limits: Limits, offer: str) -> None:
        self._app, self._limits, self._offer, self._busy = app, limits, offer, 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, or hand on to MLflow's server."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif self._busy >= self._limits.at_once:
            why = f"{self._busy} requests are in work, the most at a time ({AT_ONCE}); ask again in a moment"
            await _refuse(send, 429, why)
        else:
            self._busy += 1
            try:
                await self._asked(scope, receive, send)
            finally:
                self._busy -= 1

    async def _asked(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in KINDS:
            await _refuse(send, 415, f"the body's content-type is {_shown(kind)}; {' and '.join(KINDS)} are read")
            return
        try:
            body = await asyncio.wait_for(self._body(headers, receive), ARRIVES)
        except TimeoutError:
            await _refuse(send, 408, f"the body did not arrive within {ARRIVES:g} s")
            return
        if body is None:
            most = f"the body has more than {self._limits.megabytes} MB, the most that is read ({MEGABYTES})"
            await _refuse(send, 413, f"{most}; send fewer or shorter clips in a request")
        elif why := await asyncio.to_thread(fault, kind, body, self._limits):
            await _refuse(send, 400, f"{why}; {self._offer}")
        else:
            await self._app(scope, _replayed(body, receive), Answer(send, self._offer))

    async def _body(self, headers: MutableMapping[str, str], receive: Receive) -> bytes | None:
        """The whole body; None as soon as it is known to be too large."""
        most = self._limits.megabytes * 1_000_000
        declared = int(headers.get("content-length", "0")[:15])  # the server has read it as a number before
        if declared > (most if "expect" in headers else HEARD_OUT * most):
            return None
        body, size = bytearray(), 0
        while size <= HEARD_OUT * most:
            message = await receive()
            size += len(message.get("body", b""))
            if size <= most:
                body += message.get("body", b"")
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return bytes(body) if size <= most else None
        return None


def fault(kind: str, body: bytes, limits: Limits) -> str | None:
    """Why a body is not handed on, in half a sentence; None where it may be."""
    values, nested = body.count(b",") + body.count(b"\n"), body.count(b"[") + body.count(b"{")
    if values > VALUES:
        return f"the body holds about {values:,} values, {VALUES:,} are the most that are read"
    if nested > NESTED * (limits.clips + 1):
        return f"the body holds {nested:,} lists and objects, far more than {limits.clips} clips need ({CLIPS})"
    try:
        text = body.decode()
        if kind == KINDS[0]:
            return _misshapen(parsed(text))
    except UnicodeDecodeError:
        return "the body is no UTF-8"
    except ValueError as problem:
        return f"the body is no JSON ({str(problem)[:SAID]})"
    return None


def _misshapen(value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"the body is a JSON {type(value).__name__}"
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        inside = [child for one in level for child in (one.values() if isinstance(one, dict) else one)]
        level = [child for child in inside if isinstance(child, dict | list)]
        if not level:
            return None
    return f"the body is nested deeper than {DEEPEST} levels"


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, and then what comes after."""
    waiting = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": waiting.pop(), "more_body": False} if waiting else await receive()

    return again


class Answer:
    """A `send` that lets answers pass, and rewords MLflow's refusals: without the server's code, paths and the data."""

    def __init__(self, send: Send, offer: str) -> None:
        self._send, self._offer = send, offer
        self._begun: Message | None = None
        self._said: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        """The server's next piece."""
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._begun = message
        elif self._begun is None:
            await self._send(message)
        else:
            self._said.append(message.get("body", b""))
            if not message.get("more_body"):
                await _refuse(self._send, self._begun["status"], self._reworded(b"".join(self._said)))

    def _reworded(self, said: bytes) -> str:
        try:
            found = parsed(said)
            message, ours = str(found["message"]), "sqlstate" not in found
        except (ValueError, LookupError, TypeError):
            return said.decode(errors="replace")[:SAID]
        if trace := found.get("stack_trace"):
            logger.warning("%s\n%s", message, trace)
        return message if ours else f"{_plain(message)}; {self._offer}"


def _plain(message: str) -> str:
    """MLflow's words in one line, without what they repeat of the data."""
    tail = message.rpartition("\nError: ")[2]
    said = re.sub(r" with schema '.*", "", re.sub(r" of data '.*?'(?= with schema)", "", tail, flags=re.DOTALL))
    return _shown(" ".join(said.split()).rstrip("."))


def _shown(text: str) -> str:
    plain = text if text.isprintable() else repr(text)
    return (plain[:SAID] + "…" if len(plain) > SAID else plain) or "missing"


async def _refuse(send: Send, status: int, why: str) -> None:
    """A refusal as MLflow's server words one: JSON with error_code and message."""
    body = json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": why}, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
