"""A small real web site: a record as Zenodo serves it and its archive, with the faults that networks have."""

from __future__ import annotations

import hashlib
import io
import json
import ssl
import threading
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509  # mlflow brings it
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of `files`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def zipped_folder(folder: Path, below: str = "") -> bytes:
    """A zip archive of every file in `folder`, its paths behind `below`."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return zipped({below + file.relative_to(folder).as_posix(): file.read_bytes() for file in files})


@dataclass
class Site:
    """What the site serves and how badly; `asked` logs every request."""

    archive: bytes = b""
    name: str = "VIVAE.zip"
    ranges: bool = True  # whether it can resume
    drops: list[int] = field(default_factory=list)  # bytes of the archive after which a connection is cut, in turn
    faults: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # statuses and headers to answer first
    record: dict[str, Any] = field(default_factory=dict)  # keys that replace the record's own
    file: dict[str, Any] = field(default_factory=dict)  # keys that replace those of its file
    sends: bytes | None = None  # other bytes than the record speaks of
    on_to: str | None = None  # where the archive's address redirects
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # paths and Range headers
    base: str = ""

    def answer(self) -> bytes:
        """The record as JSON."""
        checksum = f"md5:{hashlib.md5(self.archive, usedforsecurity=False).hexdigest()}"
        links = {"self": f"{self.base}/files/{self.name}"}
        file = {"key": self.name, "size": len(self.archive), "checksum": checksum, "links": links, **self.file}
        metadata = {"access_right": "open", "license": {"id": "cc-by-nc-4.0"}}
        return json.dumps({"id": 4066235, "files": [file], "metadata": metadata, **self.record}).encode()

    @property
    def downloads(self) -> list[str | None]:
        """The Range header of every request for the archive."""
        return [part for path, part in self.asked if "/files/" in path]


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        site.asked.append((self.path, self.headers.get("Range")))
        if "/files/" in self.path and site.on_to:
            self._head(302, {"Location": site.on_to, "Content-Length": "0"})
        elif "/files/" in self.path and site.faults:
            status, headers = site.faults.pop(0)
            self._head(status, {"Content-Length": "0", **headers})
        elif "/files/" in self.path:
            self._archive()
        else:
            text = site.answer()
            self._head(200, {"Content-Length": str(len(text))})
            self.wfile.write(text)

    def _archive(self) -> None:
        site, asked = self.site, self.headers.get("Range")
        content = site.archive if site.sends is None else site.sends
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges else 0
        headers = {"Content-Length": str(len(content) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._head(206 if start else 200, headers)
        body = content[start:]
        self.wfile.write(body[: site.drops.pop(0)] if site.drops else body)
        self.close_connection = True

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


def serve(site: Site, certificate: Path | None = None) -> ThreadingHTTPServer:
    """The site on a free port of this machine, in https with a certificate; `shutdown` and `server_close` end it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.base = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that vouches for itself, with its key, as a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    secret = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "site.pem").write_bytes(secret + signed.public_bytes(form))
    return folder / "site.pem"
