"""Downloads, against a hub on the loopback: what arrives, what is kept, and one clear line for what goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from reno_sweeps.encoders import encoder_facts, fetch_encoder, list_encoders, load_encoder
from reno_sweeps.records import UserError

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A hub of models on the loopback: what it holds, whom it refuses, and what it was asked."""

    models: Mapping[str, Path]  # hub id → folder of its files
    gated: frozenset[str] = frozenset()
    breaks: int | None = None  # answers to GET end after so many bytes
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, Range
    address: str = ""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub on a free port, for as long as the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.asked.append((self.command, path, self.headers.get("Range")))
        found = re.fullmatch(r"(?:/api/models)?/([^/]+/[^/]+)/(revision|tree|resolve)/[^/]+/?(.*)", path)
        folder = self.hub.models.get(found[1]) if found else None
        if found is None or folder is None:
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif found[1] in self.hub.gated:
            self._json({"error": "Access is restricted"}, 403, {"X-Error-Code": "GatedRepo"})
        elif found[2] == "revision":
            files = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
            self._json(
                {"id": found[1], "sha": REVISION, "siblings": files, "private": False, "tags": [], "downloads": 0}
            )
        elif found[2] == "tree":
            self._json(
                [{"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0"} for f in folder.iterdir()]
            )
        else:
            self._file(folder / found[3])

    def _file(self, file: Path) -> None:
        if not file.is_file():
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        whole = file.read_bytes()
        ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        start = int(ranged[1]) if ranged else 0
        content = whole[start:]
        self.send_response(206 if ranged else 200)
        self.send_header("ETag", f'"{hashlib.sha256(whole).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content)))
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        self.end_headers()
        if self.command == "GET":
            limit = self.hub.breaks
            self.wfile.write(content[:limit])
            if limit is not None and limit < len(content):
                self.wfile.flush()
                self.close_connection = True

    def _json(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", REVISION)
        for name, said in (headers or {}).items():
            self.send_header(name, said)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


@pytest.fixture
def hub(wavlm):
    with serving(Hub({"owner/tiny": wavlm})) as running:
        yield running


def fetch(address: str, home: Path, *names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: huggingface_hub reads its settings when it is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), **environment}
    command = [str(Path(sys.executable).with_name("reno-sweep")), "encoders", "fetch", *names, "--json", "--quiet"]
    return subprocess.run(command, env=kept | settings, capture_output=True, text=True, check=False)


def at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home / "hub"))


def test_a_checkpoint_is_fetched_once_and_heard_with(hub, tmp_path, monkeypatch, wavlm):
    done = fetch(hub.address, tmp_path, "hf:owner/tiny")
    (said,) = json.loads(done.stdout)
    at(tmp_path, monkeypatch)

    assert (done.returncode, done.stderr) == (0, "")
    assert (said["encoder"], said["revision"], Path(said["folder"]).name) == ("hf:owner/tiny", REVISION, REVISION)
    assert said["bytes"] == sum(file.stat().st_size for file in wavlm.iterdir())
    assert encoder_facts("hf:owner/tiny")["weights"] == f"owner/tiny@{REVISION}"
    clip = np.ones(5_000, np.float32)
    np.testing.assert_array_equal(*(load_encoder(name).embed([clip]) for name in ("hf:owner/tiny", f"hf:{wavlm}")))

    hub.asked.clear()
    assert fetch(hub.address, tmp_path, "hf:owner/tiny").stdout == done.stdout
    assert [path for method, path, _ in hub.asked if method == "GET" and "resolve" in path] == []


def test_an_older_format_is_converted_on_arrival(hub, tmp_path, monkeypatch, wavlm):
    from safetensors.torch import load_file

    older = shutil.copytree(wavlm, tmp_path / "older")
    torch.save(load_file(older / "model.safetensors"), older / "pytorch_model.bin")
    (older / "model.safetensors").unlink()
    hub.models = {"owner/older": older}

    done = fetch(hub.address, tmp_path, "hf:owner/older")
    at(tmp_path, monkeypatch)

    assert done.returncode == 0, done.stderr
    clip = np.ones(5_000, np.float32)
    np.testing.assert_array_equal(*(load_encoder(name).embed([clip]) for name in ("hf:owner/older", f"hf:{wavlm}")))


def test_nothing_but_the_model_is_fetched(hub, tmp_path, wavlm):
    model = shutil.copytree(wavlm, tmp_path / "model")
    for other in ("adapter.deu.safetensors", "pytorch_model.bin", "README.md"):
        (model / other).write_bytes(b"many")
    hub.models = {"owner/tiny": model}

    (said,) = json.loads(fetch(hub.address, tmp_path / "home", "hf:owner/tiny").stdout)

    arrived = {file.name for file in Path(said["folder"]).iterdir()}
    assert arrived == {"config.json", "preprocessor_config.json", "model.safetensors"}


@pytest.mark.slow  # huggingface_hub waits between its attempts
def test_a_download_that_breaks_off_is_said_and_gone_on_with(hub, tmp_path, monkeypatch):
    hub.breaks = 30_000  # bytes; the weights have more, the small files fewer
    broken = fetch(hub.address, tmp_path, "hf:owner/tiny")
    at(tmp_path, monkeypatch)

    assert (broken.returncode, broken.stdout) == (2, "")
    assert "broke off\nwhat has arrived is kept: try again" in broken.stderr
    assert len(broken.stderr.strip().splitlines()) <= 3
    with pytest.raises(UserError, match="reno-sweep encoders fetch hf:owner/tiny"):
        encoder_facts("hf:owner/tiny")

    hub.breaks = None
    hub.asked.clear()
    assert fetch(hub.address, tmp_path, "hf:owner/tiny").returncode == 0
    again = {Path(path).name for method, path, _ in hub.asked if method == "GET" and "resolve" in path}
    assert again == {"model.safetensors"}  # what had arrived is not fetched again


def test_what_is_refused_is_said_in_a_line_with_what_to_do(hub, tmp_path):
    missing = fetch(hub.address, tmp_path, "wavlm-base")
    hub.gated = frozenset({"owner/tiny"})
    gated = fetch(hub.address, tmp_path, "hf:owner/tiny")

    assert (missing.returncode, gated.returncode) == (2, 2)
    assert "microsoft/wavlm-base could not be downloaded" in missing.stderr
    assert "has no such model\ncheck the name" in missing.stderr
    assert f"ask at {hub.address}/owner/tiny, set HF_TOKEN" in gated.stderr


def test_a_hub_that_cannot_be_reached_is_said(tmp_path):
    away = fetch(NOWHERE, tmp_path, "hf:owner/tiny")
    off = fetch(NOWHERE, tmp_path, "hf:owner/tiny", HF_HUB_OFFLINE="1")

    assert f"{NOWHERE} cannot be reached" in away.stderr
    assert "HF_HUB_OFFLINE is set\nunset it" in off.stderr
    assert {len(done.stderr.strip().splitlines()) for done in (away, off)} == {2}


def test_nothing_is_fetched_where_one_name_is_unknown(hub, tmp_path):
    done = fetch(hub.address, tmp_path, "hf:owner/tiny", "wavlm-bas")

    assert done.returncode == 2
    assert "did you mean wavlm-base?" in done.stderr
    assert hub.asked == []


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    import errno

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)

    with pytest.raises(UserError, match="the disk is full\nmake room below"):
        fetch_encoder("wavlm-base")


def test_a_checkpoint_that_came_in_part_is_not_at_hand(tmp_path, monkeypatch, wide):
    snapshot = tmp_path / "hub" / "models--microsoft--wavlm-base" / "snapshots" / REVISION
    shutil.copytree(wide, snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(REVISION)
    at(tmp_path, monkeypatch)
    whole = (snapshot / "model.safetensors").read_bytes()
    at_hand = lambda: {row["id"]: row["at_hand"] for row in list_encoders()}["wavlm-base"]  # noqa: E731  # one word

    assert at_hand()
    (snapshot / "model.safetensors").write_bytes(whole[:1_000])
    assert not at_hand()
    with pytest.raises(UserError, match="are only in part on this machine"):
        encoder_facts("wavlm-base")


def test_a_folder_of_one_s_own_is_not_fetched(wavlm):
    with pytest.raises(UserError, match="is a folder of yours"):
        fetch_encoder(f"hf:{wavlm}")
    with pytest.raises(UserError, match=r"neither a folder nor a hub id \(owner/name\)"):
        fetch_encoder("hf:two words")
