"""A Ray cluster on one machine: every node has processes, an address and a core of its own, and can be killed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.backends.postgres import free_port

PATIENCE = 240  # seconds that a node has to start


@dataclass
class RayNodes:
    """`with RayNodes() as cluster`: a head; `add` and `kill` for the others. Who joins needs `environment`."""

    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="n-", dir="/tmp")))
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    nodes: list[psutil.Popen] = field(default_factory=list)

    @property
    def address(self) -> str:
        """HOST:PORT of the head."""
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a driver must know."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0"}

    def __enter__(self) -> RayNodes:
        self._start("--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}")
        return self

    def __exit__(self, *_: object) -> None:
        for number in reversed(range(len(self.nodes))):
            self.kill(number)
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self) -> int:
        """One more node; its number."""
        self._start(f"--address={self.address}")
        return len(self.nodes) - 1

    def kill(self, number: int) -> None:
        """All processes of a node at once, as when its power fails."""
        node = self.nodes[number]
        processes = []
        with contextlib.suppress(psutil.NoSuchProcess):
            processes = [*node.children(recursive=True), node]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        node.wait()

    def _start(self, *words: str) -> None:
        number = len(self.nodes)
        log = self.folder / f"node{number}.log"
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
        command = [*ray, f"--node-ip-address=127.0.0.{number + 1}", *words]
        environment = {**os.environ, **self.environment}
        node = psutil.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, env=environment)
        self.nodes.append(node)
        until = time.monotonic() + PATIENCE
        while "Ray runtime started" not in log.read_text():
            if node.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"node {number} does not start: {log.read_text()[-2000:]}")
            time.sleep(0.2)
