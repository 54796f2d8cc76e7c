"""A record of Zenodo: where its archive lies, how long it is and what its checksum must be."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from reno_sweeps.corpora import _web
from reno_sweeps.corpora._facts import Origin
from reno_sweeps.records import UserError

ZENODO = "https://zenodo.org"
LONGEST = 10_000_000  # bytes of a record's answer; real ones have some thousand
WORD = 60  # letters of a licence's name
ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class Remote:
    """An archive as its record describes it."""

    name: str
    address: str
    size: int  # bytes
    algorithm: str  # of the checksum: md5
    checksum: str  # hex digits
    licence: str  # the record's own word, '' where it has none


def remote_archive(origin: Origin, base: str) -> Remote:
    """The archive of `origin` at `base`; Passing where it may be asked again, a UserError where a person must go."""
    try:
        with _web.opened(f"{base}/api/records/{origin.record}", {"Accept": "application/json"}) as answer:
            text = _web.read(answer, LONGEST)
            if answer.length and len(text) < LONGEST:  # bytes that were promised and never came
                raise _web.Passing(f"the answer of {_web.host_of(base)} was cut short")
    except _web.Refused as fault:
        raise UserError(by_hand(origin, str(fault))) from fault
    try:
        record = json.loads(text)
        files = {str(file["key"]): file for file in record.get("files") or ()}
        metadata = record.get("metadata") or {}
        access = str(metadata.get("access_right", "open"))
        licence = "".join(filter(str.isprintable, str((metadata.get("license") or {}).get("id") or "")))[:WORD]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as fault:
        raise UserError(by_hand(origin, "its record's answer is not as we know it")) from fault
    if access != "open" or not files:
        raise UserError(by_hand(origin, f"its files are not open to everybody (access: {access})"))
    if origin.archive not in files:
        raise UserError(by_hand(origin, f"its record has no {origin.archive}; it has {', '.join(sorted(files)[:4])}"))
    return _remote(origin, files[origin.archive], licence)


def by_hand(origin: Origin, why: str) -> str:
    """What to say where a page must be visited: why, which, and how to go on."""
    get = f"download {origin.archive} there by hand, then add: --archive {origin.archive} --accept-licence"
    return f"{why}\nvisit {origin.page}\n{get}"


def _remote(origin: Origin, file: Any, licence: str) -> Remote:
    try:
        size, checksum, address = file["size"], str(file["checksum"]), str(file["links"]["self"])
    except (TypeError, KeyError) as fault:
        raise UserError(by_hand(origin, f"its record does not describe {origin.archive} as we know it")) from fault
    algorithm, _, digits = checksum.lower().partition(":")
    if not isinstance(size, int) or size <= 0 or algorithm not in ALGORITHMS or not re.fullmatch(r"[0-9a-f]+", digits):
        raise UserError(by_hand(origin, f"its record gives no size or checksum of {origin.archive}"))
    return Remote(origin.archive, address, size, algorithm, digits, licence)
