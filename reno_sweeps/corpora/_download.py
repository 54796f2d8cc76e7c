"""Downloading one file: resumed where it stopped, checked when it is whole."""

from __future__ import annotations

import hashlib
import re
import time
from http.client import HTTPResponse
from pathlib import Path

from reno_sweeps.corpora import _web
from reno_sweeps.corpora._zenodo import Remote
from reno_sweeps.records import UserError

CHUNK = 1 << 20  # bytes
EVERY = 2.0  # seconds between two lines of progress


class Meter:
    """Says how far something has come, at most every two seconds and at the end."""

    def __init__(self, what: str, total: int, say: _web.Say, done: int = 0) -> None:
        self._what, self._total, self._say = what, total, say
        self._from, self._began, self._last = done, time.monotonic(), time.monotonic()

    def __call__(self, done: int) -> None:
        """`done` bytes of the total are there."""
        now = time.monotonic()
        if now - self._last < EVERY and done < self._total:
            return
        self._last = now
        speed = (done - self._from) / max(now - self._began, 1e-3)
        left = f", about {(self._total - done) / speed:.0f} s left" if speed > 0 and done < self._total else ""
        self._say(f"{self._what}: {megabytes(done)} of {megabytes(self._total)}, {speed / 1e6:.1f} MB/s{left}")


def download(remote: Remote, part: Path, say: _web.Say) -> None:
    """One attempt to make `part` whole: goes on where it ends. Passing where it stays short; a UserError for a no."""
    have = part.stat().st_size if part.exists() else 0
    if have > remote.size:
        part.unlink()
        have = 0
    if have == remote.size:
        return
    try:
        with _web.opened(remote.address, {"Range": f"bytes={have}-"} if have else {}) as answer:
            _take(answer, remote, part, have, say)
    except _web.Refused as fault:
        if fault.status == 416 and have:  # what we have is no beginning of what is there
            part.unlink()
            raise _web.Passing(f"{fault}: from the beginning") from fault
        raise


def _take(answer: HTTPResponse, remote: Remote, part: Path, have: int, say: _web.Say) -> None:
    start = _start(answer, remote, have)
    if start < have:
        say(f"{_web.host_of(remote.address)} cannot resume: from the beginning")
    have, meter = start, Meter(remote.name, remote.size, say, start)
    with part.open("ab" if start else "wb") as out:
        while chunk := _web.read(answer, CHUNK):
            have += len(chunk)
            if have > remote.size:
                break
            out.write(chunk)
            meter(have)
    if have > remote.size:
        part.unlink()
        raise UserError(f"{remote.name} is longer than the {remote.size} bytes of its record; the download was removed")
    if have < remote.size:
        raise _web.Passing(f"the connection ended after {megabytes(have)} of {megabytes(remote.size)}")


def _start(answer: HTTPResponse, remote: Remote, have: int) -> int:
    """From which byte on the answer goes; a UserError where it is of another file than the record's."""
    if answer.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if not found or int(found[1]) != have:
            raise _web.Passing(f"{_web.host_of(remote.address)} sent another part than was asked for")
        length = found[2]
    else:
        have, length = 0, answer.headers.get("Content-Length") or "*"
    if length not in {"*", str(remote.size)}:
        raise UserError(f"{remote.name} has {length} bytes where it lies, {remote.size} by its record: not downloaded")
    return have


def hashes(file: Path, algorithm: str) -> tuple[str, str]:
    """The file's digest by `algorithm` and its SHA-256, both in hex digits, read once."""
    asked, ours = hashlib.new(algorithm, usedforsecurity=False), hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            asked.update(chunk)
            ours.update(chunk)
    return asked.hexdigest(), ours.hexdigest()


def megabytes(count: float) -> str:
    """'4.2 MB'; gigabytes from a thousand on."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
