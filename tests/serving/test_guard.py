"""The guard alone, asked as a server asks it; over HTTP it is tested in test_server.py."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from reno_sweeps.serving import guard
from reno_sweeps.serving.limits import Limits

HEADERS = [(b"content-type", b"application/json")]


async def answers(*bodies: list[bytes] | None) -> list[dict[str, Any]]:
    """What each of these requests is told, one after the other, by a server that answers 200; None never ends."""
    told: list[dict[str, Any]] = []

    async def server(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps((await receive())["body"].decode()).encode()})

    async def send(message):
        if message["type"] == "http.response.start":
            told.append({"status": message["status"]})
        else:
            told[-1]["said"] = json.loads(message["body"])

    stands = guard.Guard(server, limits=Limits(at_once=1), offer="send audio")
    for body in bodies:
        left = list(body or [])

        async def receive(left=left, body=body):
            if body is None:
                await asyncio.sleep(60)
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        await stands({"type": "http", "method": "POST", "headers": HEADERS}, receive, send)
    return told


def test_a_body_in_pieces_reaches_the_server_whole():
    (told,) = asyncio.run(answers([b'{"inputs"', b": []", b"}"]))

    assert told == {"status": 200, "said": '{"inputs": []}'}


def test_a_body_that_does_not_arrive_gives_its_place_to_the_next(monkeypatch):
    monkeypatch.setattr(guard, "ARRIVES", 0.05)
    slow, quick = asyncio.run(answers(None, [b"{}"]))

    assert slow["status"] == 408
    assert slow["said"]["message"] == "the body did not arrive within 0.05 s"
    assert quick["status"] == 200
