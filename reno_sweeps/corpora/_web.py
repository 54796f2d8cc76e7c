"""One way to the network: https alone, proxies honoured, failures told apart into passing and final ones."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, TypeVar
from urllib.parse import urlsplit

from reno_sweeps.records import UserError

Say = Callable[[str], None]
T = TypeVar("T")

SILENCE = 30.0  # seconds without a byte before a connection counts as lost
PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds between attempts that bring nothing new
LONGEST_WAIT = 60.0  # seconds that a server may ask us to wait
PASSING = {408, 425, 429, 500, 502, 503, 504}
SHOWN = 100  # letters of an address in a message
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Passing(Exception):  # noqa: N818  # no error yet: it is tried again
    """A failure that may be gone in a moment; `wait` seconds were asked for."""

    def __init__(self, text: str, wait: float = 0.0) -> None:
        super().__init__(text)
        self.wait = min(wait, LONGEST_WAIT)


class Refused(Exception):  # noqa: N818  # it becomes a UserError where it is known what was asked
    """A server's final no."""

    def __init__(self, address: str, status: int, reason: str) -> None:
        super().__init__(f"{host_of(address)} answers {status} {reason}".rstrip())
        self.status = status


@contextlib.contextmanager
def opened(address: str, headers: Mapping[str, str] | None = None) -> Iterator[http.client.HTTPResponse]:
    """The answer to a GET; Passing or Refused where there is none, a UserError for an address that is not safe."""
    asked = {"User-Agent": "reno-sweeps corpus fetch", **(headers or {})}
    try:
        refuse_unsafe(address)
        request = urllib.request.Request(address, headers=asked)  # noqa: S310  # https, checked above
        answer = urllib.request.build_opener(_SafeRedirects()).open(request, timeout=SILENCE)
    except urllib.error.HTTPError as fault:
        fault.close()
        raise _no(address, fault) from fault
    except (ValueError, http.client.InvalidURL) as fault:
        raise UserError(f"{address[:SHOWN]!r} is no address, or leads to none: {fault}") from fault
    except (OSError, http.client.HTTPException) as fault:
        if isinstance(getattr(fault, "reason", fault), ssl.SSLCertVerificationError):
            trust = "where a proxy has a certificate of its own, name it in SSL_CERT_FILE"
            raise UserError(f"{host_of(address)}: its certificate is not to be trusted\n{trust}") from fault
        raise Passing(f"{host_of(address)} cannot be reached: {spoken(fault)}") from fault
    with answer:
        yield answer


def read(answer: IO[bytes], most: int) -> bytes:
    """At most `most` bytes, none at the end; Passing where the connection breaks."""
    try:
        return answer.read(most)
    except (OSError, http.client.HTTPException) as fault:
        raise Passing(f"the connection broke: {spoken(fault)}") from fault


def patiently(step: Callable[[], T], got: Callable[[], int], say: Say, pauses: Sequence[float] = PAUSES) -> T:
    """What `step` returns, tried again after passing failures; the last of them is raised.

    Attempts count only while they bring nothing new: `got` says how many bytes there are by now.
    """
    best, failed = got(), 0
    while True:
        try:
            return step()
        except Passing as fault:
            best, failed = max(best, got()), 0 if got() > best else failed
            if failed == len(pauses):
                raise
            pause = max(pauses[failed], fault.wait)
            say(f"{fault}; trying again in {pause:.0f} s")
            time.sleep(pause)
            failed += 1


def refuse_unsafe(address: str) -> None:
    """A UserError for everything but https; this machine itself may be spoken to in http."""
    parts = urlsplit(address)
    if parts.scheme != "https" and not _is_here(address):
        raise UserError(f"{address[:SHOWN]}: downloads use https alone\nnothing was downloaded")


def host_of(address: str) -> str:
    """'zenodo.org' of 'https://zenodo.org/records/1'."""
    return urlsplit(address).hostname or address


def spoken(fault: BaseException) -> str:
    """A network failure in few words."""
    inner = getattr(fault, "reason", None)
    if isinstance(inner, BaseException):
        return spoken(inner)
    return getattr(fault, "strerror", None) or str(inner or fault) or type(fault).__name__


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows to https alone, and from this machine to itself."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request to go on with, as urllib makes it."""
        if urlsplit(newurl).scheme != "https" and not (_is_here(newurl) and _is_here(req.full_url)):
            raise UserError(f"{host_of(req.full_url)} sends on to {newurl[:SHOWN]}: downloads use https alone")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_here(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def _no(address: str, fault: urllib.error.HTTPError) -> Passing | Refused:
    if fault.code in PASSING:
        asked = fault.headers.get("Retry-After", "") if fault.headers else ""
        wait = float(asked) if asked.isascii() and asked.isdigit() else 0.0
        return Passing(f"{host_of(address)} answers {fault.code} {fault.reason}".rstrip(), wait)
    return Refused(address, fault.code, str(fault.reason))
