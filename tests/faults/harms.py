"""The faults: each harms a world whose driver is at work, and says what should become of the driver."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.faults.world import NAME, World, until

AWAY = 3.0  # seconds that a server is down, or a cable cut
STOPS = 60.0  # seconds in which a driver stops that is told so twice: a Ray that is just starting is waited for
REFUSED = 2  # exit codes, as docs/operations.md says them
INTERRUPTED = 130
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Blow:
    """What a fault did, and what should follow."""

    ends: tuple[int, ...] | None = None  # exit codes with which the driver ends; None: it goes on
    says: str = ""  # what the user is told, by this driver or the next
    spoilt: frozenset[tuple[int, str]] = frozenset()  # (trial, fold) whose file was damaged
    faults: tuple[str, ...] = ()  # what was wrong already


@dataclass(frozen=True)
class Fault:
    """A fault with a name; `worlds` are the kinds in which it can happen."""

    name: str
    worlds: tuple[str, ...]
    strike: Callable[[Any, random.Random], Blow]
    small_disk: bool = False


FAULTS: dict[str, Fault] = {}
Strike = Callable[[Any, random.Random], Blow]


def fault(name: str, *worlds: str, small_disk: bool = False) -> Callable[[Strike], Strike]:
    """Enter a function into the list of faults."""

    def enter(strike: Strike) -> Strike:
        FAULTS[name] = Fault(name, worlds, strike, small_disk)
        return strike

    return enter


# --- processes -----------------------------------------------------------------------------------------------


@fault("kill -9 of the driver", "local", "servers")
def driver(world: World, dice: random.Random) -> Blow:
    world.kill()
    return Blow(ends=(KILLED,))


@fault("kill -9 of a worker", "local", "servers")
def worker(world: World, dice: random.Random) -> Blow:
    until(lambda: world.workers() or not world.driven, "a worker begins")
    for process in dice.sample(found := world.workers(), min(1, len(found))):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return Blow(says="a worker died")


@fault("kill -9 of all of Ray on a node", "local", "servers")
def node(world: World, dice: random.Random) -> Blow:
    until(lambda: world.workers() or not world.driven, "a worker begins")
    for process in world.rays():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return Blow(ends=(REFUSED,), says="Ray has ended")


@fault("SIGINT once", "local", "servers")
def interrupted(world: World, dice: random.Random) -> Blow:
    assert world.driver
    world.driver.send_signal(signal.SIGINT)
    return Blow(ends=(INTERRUPTED,), says="resume")


@fault("SIGINT twice", "local", "servers")
def interrupted_twice(world: World, dice: random.Random) -> Blow:
    assert world.driver
    world.driver.send_signal(signal.SIGINT)
    time.sleep(dice.uniform(0.1, 0.4))
    world.driver.send_signal(signal.SIGINT)
    began = time.monotonic()
    world.wait()
    seconds = time.monotonic() - began
    late = (f"stopping now took {seconds:.0f} s",) if seconds > STOPS else ()
    return Blow(ends=(INTERRUPTED,), faults=late)


@fault("a second driver in the same home", "local")
def second_driver(world: World, dice: random.Random) -> Blow:
    until(lambda: _locked(world) or not world.driven, "the driver has its home")
    done = subprocess.run(
        world.line("resume", NAME), env=world.environment(), capture_output=True, text=True, check=False
    )
    wrong = [] if done.returncode == REFUSED else [f"a second driver ended with {done.returncode}"]
    wrong += [] if "is in use" in done.stderr else [f"a second driver heard: {done.stderr[-300:]!r}"]
    return Blow(faults=tuple(wrong) if world.driven else ())


def _locked(world: World) -> bool:
    file = world.home / "driver.lock"
    return file.exists() and file.stat().st_size > 0


@fault("the clock jumps by an hour", "local", "servers")
def clock(world: World, dice: random.Random) -> Blow:
    """Forward and, a fold later, back; or the other way round."""
    far = dice.choice((3600.0, -3600.0))
    for offset in (far, 0.0):
        aside = world.clock.with_suffix(".new")
        aside.write_text(str(offset))
        aside.replace(world.clock)
        known = world.folds()
        until(lambda known=known: world.folds() > known or not world.driven, "a fold ends by another clock")
    return Blow()


# --- servers and their cable ---------------------------------------------------------------------------------


@fault("kill -9 of the MLflow server", "servers")
def tracking_server(world: Any, dice: random.Random) -> Blow:
    world.server.kill()
    time.sleep(AWAY)
    world.server.start()
    return Blow(ends=None if world.driven else (0, REFUSED))


@fault("kill -9 of PostgreSQL", "servers")
def postgres(world: Any, dice: random.Random) -> Blow:
    world.postgres.kill()
    time.sleep(AWAY)
    world.postgres.start()
    return Blow(says="the study's storage")


@fault("a network cut", "servers")
def cut(world: Any, dice: random.Random) -> Blow:
    world.cable.cut()
    time.sleep(AWAY)
    world.cable.mend()
    return Blow()


# --- files ---------------------------------------------------------------------------------------------------


@fault("a full disk", "local", small_disk=True)
def full_disk(world: World, dice: random.Random) -> Blow:
    ballast = world.home / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 12)) > 0:
            pass
    try:
        code = world.wait()
    finally:
        ballast.unlink()
    wrong = () if code == REFUSED else (f"a full disk ended the driver with {code}",)
    return Blow(ends=(REFUSED,), says="No space left on device|disk is full|database or disk", faults=wrong)


@fault("a damaged embedding in the cache", "local", "servers")
def cache(world: World, dice: random.Random) -> Blow:
    world.kill()
    files = sorted(world.cache.glob("embeddings/*/*.safetensors"))
    if files:
        _spoil(dice.choice(files), dice)
    return Blow(ends=(KILLED,), says="damaged embedding" if files else "")


@fault("a truncated study", "local")
def study(world: World, dice: random.Random) -> Blow:
    """Refused with a sentence and left as it is; a copy that is put back goes on."""
    world.kill()
    aside = world.folder / "aside"
    aside.mkdir(exist_ok=True)
    originals = sorted(world.home.glob("studies.db*"))
    for file in originals:
        shutil.copy(file, aside)
    wrong: list[str] = []
    if world.study.exists():
        whole = world.study.stat().st_size
        lengths = (0, 100, whole // 2, whole - 4096)
        begun = (world.sweep / "sweep.json").exists()  # else there is nothing to lose, and an empty file is a new one
        os.truncate(world.study, dice.choice(lengths if begun else lengths[1:]))
        spoilt = world.study.read_bytes()
        world.start()
        code = world.wait()
        lines = [line for line in world.said().splitlines() if line.strip()]
        wrong += [] if code == REFUSED else [f"a study of {len(spoilt)} of {whole} bytes ended the driver with {code}"]
        wrong += [] if len(lines) <= 5 else [f"a truncated study is answered with {len(lines)} lines"]
        wrong += (
            [] if world.study.read_bytes() == spoilt else [f"a study of {len(spoilt)} of {whole} bytes was changed"]
        )
    for file in world.home.glob("studies.db*"):
        file.unlink()
    for file in originals:
        shutil.copy(aside / file.name, file)
    shutil.rmtree(aside)
    return Blow(ends=(KILLED, REFUSED), faults=tuple(wrong))


@fault("a damaged fold file", "local", "servers")
def fold(world: World, dice: random.Random) -> Blow:
    """Of a trial that is not finished."""
    until(lambda: _partial(world) or not world.driven, "a trial has some of its folds")
    world.kill()
    found = _partial(world)
    if not found:
        return Blow(ends=(KILLED, 0))
    number, name, file = dice.choice(found)
    _spoil(file, dice)
    return Blow(ends=(KILLED,), says="lost or damaged; training it again", spoilt=frozenset({(number, name)}))


def _partial(world: World) -> list[tuple[int, str, Path]]:
    """Finished folds of unfinished trials."""
    import json

    return [
        (number, name, world.sweep / json.loads(text)["file"])
        for number, told in world.told().items()
        if not told.ended and len(told.folds) < 3
        for name, text in told.folds.items()
    ]


def _spoil(file: Path, dice: random.Random) -> None:
    """One byte turned, half lost, or all."""
    content = bytearray(file.read_bytes())
    way = dice.choice(("turned", "cut", "empty"))
    content[dice.randrange(len(content))] ^= 0xFF
    file.write_bytes({"turned": bytes(content), "cut": bytes(content[: len(content) // 2]), "empty": b""}[way])


# --- a fault and what comes after it -------------------------------------------------------------------------
