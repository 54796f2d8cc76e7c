"""Ray on this machine or a cluster: started privately or joined, and left without a trace."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import secrets
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reno_sweeps.records import UserError

TOKEN = secrets.token_hex(32)  # one a process: Ray reads it once, also where a second Ray is started later
TEMPORARY = "reno-ray-"  # Ray's own folder
DRIVERS = (TEMPORARY, "reno-mlflow-")  # folders of drivers, with their process; the second is tracking's
ANSWERS = 5.0  # seconds in which a cluster's head node answers; Ray itself goes on asking for many minutes
SILENCE = 20.0  # seconds that a cluster's head node may be away; after 60 Ray ends the whole process
MOMENT = 0.5  # seconds in which processes that were killed together have all stopped listening
ENDED = 2.0  # seconds in which killed processes are gone
LONGEST = 14  # characters of the folder it lies in: Ray's sockets below it are AF_UNIX paths, of at most 107 bytes

GONE = (
    "Ray has ended: its processes were killed, or memory ran out\n"
    "what had finished is stored: the same command, or reno-sweep resume, goes on from there"
)
FULL = (
    "Ray's object store has no room: neither in shared memory (/dev/shm) nor in Ray's temporary folder\n"
    "free memory or disk space; the same command, or reno-sweep resume, goes on"
)
HINT = "is there memory and disk space left? the same command begins again, and loses nothing"

_QUIET = {  # what Ray reads while it is imported, or hands to its processes
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing phones home
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; silences a warning
    "MALLOC_TRIM_THRESHOLD_": "2000000000",  # workers keep freed memory: 10–19 % less time a step (768 + 960, CPU),
    "MALLOC_MMAP_THRESHOLD_": "2000000000",  # since page faults are spared; read when a process starts
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a late call after shutdown must not start another Ray
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's tables are not ours
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no csv, json, tensorboard: the ledger and MLflow keep the results
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the driver decides what an interrupt means
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's snapshots are not what we resume from
    "TUNE_WARN_THRESHOLD_S": "60",
}
_TRIES = "RAY_gcs_server_port_wait_time_s"  # of 20: each takes 40 s where something other than Ray listens
_MANY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # '0': Ray listens on 127.0.0.1 alone, as it does on those systems
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"  # noqa: S105  # names no secret
_LATE: list[str] = []  # holds 'ray' where it was imported before it could be told to want a token


def prepare(address: str | None = None) -> None:
    """Set in the environment what the user has not set; call this before ray is imported.

    Our own Ray takes a token (else anyone on the machine could run code as us). A cluster at `address` is joined as it
    is: with a token where one is at hand.
    """
    if "ray" in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        _LATE.append("ray")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    elif "RAY_AUTH_MODE" not in os.environ:
        known = "RAY_AUTH_TOKEN" in os.environ or _TOKEN_PATH in os.environ
        at_home = (Path.home() / ".ray" / "auth_token").exists()
        os.environ["RAY_AUTH_MODE"] = "token" if known or at_home else "disabled"


class Ray:
    """A Ray of our own on this machine, or the cluster at `address`: `with Ray(address) as cluster`. One at a time.

    `folder` is ours until it is closed (mode 0700); `resources` are all nodes' together, in Ray's words. A UserError
    where Ray runs in this process already, or no cluster answers.
    """

    def __init__(self, address: str | None = None) -> None:
        prepare(address)
        if address is None and _LATE:
            raise UserError(
                "Ray was imported before reno-sweeps: it would run without a token, open to all on this machine\n"
                "set RAY_AUTH_MODE=token in the environment, or import ray afterwards"
            )
        import ray

        if ray.is_initialized():
            raise UserError("Ray runs in this process already\ncall ray.shutdown() before the sweep")
        self.folder, self._open = _folder(), True
        self._stack = contextlib.ExitStack()
        self._patience, self._head = SILENCE * (address is not None), ""
        try:
            if address is None:
                self._stack.enter_context(_on_loopback())
            _start(self.folder, address)
            self._head = ray.get_runtime_context().gcs_address
            self.resources: dict[str, float] = ray.cluster_resources()
        except BaseException:
            self.close()
            raise

    def answers(self) -> bool:
        """Whether its head process does. What asks one that is gone hangs, until Ray ends this process."""
        try:
            knock(self._head)
        except (OSError, ValueError):  # no address: it never began
            return False
        return True

    def expect(self, *, after: bool = False) -> None:
        """Wait for a cluster's head node that is away for a moment; a UserError where it stays away.

        `after`: a worker has just died, perhaps with everything; what is killed still takes connections for a moment.
        """
        time.sleep(MOMENT * after)
        end = time.monotonic() + self._patience
        while not self.answers():
            if time.monotonic() >= end:
                raise UserError(GONE)
            time.sleep(min(1.0, self._patience))

    def close(self) -> None:
        """End our own Ray, or leave the cluster, and remove what lies in the temporary folder. Twice is harmless."""
        import ray

        if not self._open:
            return
        self._open = False
        with _no_collector(collect=self.answers()):
            ray.shutdown()
        _end_processes(self.folder)
        self._stack.close()
        if os.environ.get(_TOKEN_PATH) == str(self.folder / "token"):
            del os.environ[_TOKEN_PATH]
        shutil.rmtree(self.folder, ignore_errors=True)  # Ray never cleans its temporary folder

    def __enter__(self) -> Ray:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """A UserError where Ray itself is gone (killed, or its head node was lost), or its object store is full."""
    import ray

    try:
        yield
    except ray.exceptions.RayTaskError:  # Ray lives, our own code fell
        raise
    except (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError) as error:
        raise UserError(FULL) from error
    except ray.exceptions.RayError as error:
        raise UserError(GONE) from error


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Inside, a Ray that is started listens on 127.0.0.1; Ray has only a switch that was made for other systems."""
    from ray._private import ray_constants  # which reads the environment when it is imported

    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    said, os.environ[_MANY] = os.environ.get(_MANY), "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        os.environ.pop(_MANY)
        if said is not None:
            os.environ[_MANY] = said


def nodes() -> list[dict[str, Any]]:
    """The living nodes of the Ray that this process has joined, by address: their names, cores and GPUs."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    found = [{"host": node["NodeManagerHostname"], "address": node["NodeManagerAddress"]} for node in alive]
    for known, node in zip(found, alive, strict=True):
        known |= {"cpus": int(node["Resources"].get("CPU", 0)), "gpus": int(node["Resources"].get("GPU", 0))}
    return sorted(found, key=lambda known: (known["address"], known["cpus"], known["gpus"]))


def beside_the_driver() -> dict[str, Any]:
    """Options of an actor that must live as long as the driver: on its node, whatever other nodes do."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    return {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=False)}


def _start(folder: Path, address: str | None) -> None:
    """Start a private Ray on this machine, or join the cluster at `address`."""
    import ray
    from ray._private import worker as ray_worker

    ray_worker._worker_logs_enabled = False  # the raylet's words on died workers, on stdout; we say it in one line
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": True}
    if address is not None:
        patience = {} if _TRIES in os.environ else {_TRIES: "2"}
        try:
            os.environ.update(patience)
            ray.init(address=_answering(address), **quiet)
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:  # nobody, or another Ray version
            raise UserError(f"--ray-address {address}: no cluster answers\n{str(error).splitlines()[0]}") from error
        finally:
            for name in patience:
                del os.environ[name]
        return
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    os.environ[_TOKEN_PATH] = str(token)  # not ~/.ray: nothing is written outside home and cache
    try:
        ray.init(include_dashboard=False, _temp_dir=str(folder / "r"), **quiet)  # Ray opens its folder to all
    except OSError:
        raise
    except Exception as error:  # Ray has no class of its own for this
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"Ray could not start on this machine: {said}\n{HINT}") from error


@contextlib.contextmanager
def _no_collector(*, collect: bool) -> Iterator[None]:
    """No object is collected inside, and what can be is collected before.

    A thread whose collector meets a handle of Ray's just while Ray shuts down tells a core worker that is no more: the
    process ends at once. Where Ray is gone already, nothing that is there is ever collected: some of Tune's objects
    say goodbye to it, and would wait for an answer.
    """
    before = gc.isenabled()
    gc.disable()
    if collect:
        gc.collect()
    else:
        gc.freeze()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _answering(address: str) -> str:
    """HOST:PORT of a cluster at which somebody listens; ConnectionError or OSError where nobody does.

    Ray itself asks a dead address again and again for ten minutes. Its own `auto` also finds other people's private
    Rays: ours is RAY_ADDRESS, or the cluster that `ray start` began on this machine.
    """
    from ray._private import services

    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or services.find_bootstrap_address(None) or ""
        if not address:
            raise ConnectionError("nothing was begun with ray start on this machine, and RAY_ADDRESS is not set")
    if "://" not in address:
        knock(address)
    return address


def knock(address: str) -> None:
    """Whether somebody listens at HOST:PORT: OSError where nobody does, no Ray is asked."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS).close()


def _folder() -> Path:
    """A folder of Ray's temporary files, mode 0700; what killed drivers of this user left is removed."""
    sweep_temporary()
    return Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{os.getpid()}-", dir=_base()))


def _base() -> Path:
    return Path(tempfile.gettempdir() if len(tempfile.gettempdir()) <= LONGEST else "/tmp")  # noqa: S108  # mkdtemp is safe


def leftovers() -> list[Path]:
    """Temporary folders of this user's drivers that live no more: a kill left them."""
    import psutil

    found = []
    for prefix, folder in _found():
        owner = folder.name.removeprefix(prefix).split("-")[0]
        with contextlib.suppress(OSError):  # another driver removes it too
            known = folder.lstat()
            ours = stat.S_ISDIR(known.st_mode) and known.st_uid == os.getuid()
            if ours and owner.isdigit() and not psutil.pid_exists(int(owner)):
                found.append(folder)
    return found


def _found() -> Iterator[tuple[str, Path]]:
    for base in {_base(), Path(tempfile.gettempdir())}:
        for prefix in DRIVERS:
            yield from ((prefix, folder) for folder in sorted(base.glob(f"{prefix}*")))


def _end(processes: list[Any]) -> None:
    """kill -9, and wait a moment."""
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=ENDED)


def remove_leftover(folder: Path) -> None:
    """A dead driver's folder, and first what lives of its Ray: agents go on for up to a minute and write into it."""
    _end_processes(folder)
    shutil.rmtree(folder)


def _end_processes(folder: Path) -> None:
    """End what lives of the Ray of a folder: its agents outlive it by up to a minute, and may begin while it ends."""
    for _ in range(3):  # while its raylet lives, it begins others
        if not (alive := _processes(folder)):
            return
        _end(alive)


def _processes(folder: Path) -> list[Any]:
    """Known by the path of the token in their environment, or by what they have open: agents wipe their environment."""
    import psutil

    ray = find_spec("ray")  # not imported for this
    package = f"{Path(ray.origin).parent}{os.sep}" if ray and ray.origin else "ray::"
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if _is_rays(process.cmdline(), package) and (_told(process, folder) or _writes(process, folder)):
                found.append(process)
    return found


def _is_rays(line: list[str], package: str) -> bool:
    """A command line of Ray's: `ray::TITLE`, or a program of its package. What users began beside it is theirs."""
    return any(word.startswith(("ray::", package)) for word in line[:3])


def _told(process: Any, folder: Path) -> bool:
    return bool(process.environ().get(_TOKEN_PATH) == str(folder / "token"))


def _writes(process: Any, folder: Path) -> bool:
    return any(Path(file.path).is_relative_to(folder) for file in process.open_files())


def sweep_temporary() -> None:
    """Remove what killed drivers of this user left in temporary folders, and end what still writes there."""
    for folder in leftovers():
        with contextlib.suppress(OSError):
            remove_leftover(folder)
