"""A fault at a moment, and everything until the sweep goes on: what was lost, repeated or broken meanwhile."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.harms import Blow, Fault
from tests.faults.invariants import broken, lost_or_repeated
from tests.faults.world import PATIENCE, Picture, World, until

SAYS = 120.0  # seconds in which the user is told
STARTS = 3  # resumes that a sweep has to go on


@dataclass
class Suffered:
    """What a fault led to."""

    fault: str
    seconds: float = 0.0  # from the blow until another fold was stored
    wrong: list[str] = field(default_factory=list)


def after_a_fold(world: World) -> None:
    """The moment: the driver trains, and has stored something."""
    known = world.folds()
    until(lambda: world.folds() > known or not world.driven, "a fold is stored")


def suffer(
    world: World, fault: Fault, dice: random.Random, moment: Callable[[World], None], *, strict: bool = True
) -> Suffered:
    """Strike at the moment, and wait until the sweep goes on: by itself, or by `resume`.

    `strict`: what should be said is looked for; at a random moment there may have been nothing to say.
    """
    if not world.driven:
        world.start()
    moment(world)
    first, known = world.starts, world.told()
    ended = not world.driven
    began = time.monotonic()
    found = Suffered(fault.name)
    try:
        blow = Blow(ends=(0,)) if ended else fault.strike(world, dice)
        found.wrong += [*blow.faults, *_followed(world, blow)]
        found.wrong += go_on(world)
        found.seconds = time.monotonic() - began
        found.wrong += lost_or_repeated(known, world.told(), blow.spoilt)
        if strict and not ended:
            until(lambda: re.search(blow.says, _said(world, first)) or not world.driven, f"{blow.says!r} is said", SAYS)
        said = _said(world, first)
        if "Traceback" in said and not (blow.ends and -9 in blow.ends):
            found.wrong.append(f"a traceback: {said[said.index('Traceback') :][-600:]}")
    except TimeoutError as error:
        found.wrong.append(f"hangs: {error}")
    return found


def _said(world: World, first: int) -> str:
    """What drivers said since the one that was struck."""
    logs = [world.folder / f"driver-{number:03d}.log" for number in range(first, world.starts + 1)]
    return "".join(log.read_text(errors="replace") for log in logs)


def _followed(world: World, blow: Blow) -> list[str]:
    """Whether the driver ended as it should, or went on."""
    if blow.ends is None:
        return []
    with contextlib.suppress(Exception):
        world.wait(PATIENCE)
    code = world.driver.poll() if world.driver else None
    done = code == 0 and world.left() == 0  # it was over before the blow fell
    return (
        [] if done or code in blow.ends else [f"the driver ended with {code}, not {blow.ends}: {world.said()[-600:]}"]
    )


def go_on(world: World) -> list[str]:
    """Until another fold is stored, with a new driver where the last has ended."""
    known, wrong = world.folds(), []
    for _ in range(STARTS):
        if world.left() == 0:
            return wrong
        if not world.driven:
            world.start()
        until(lambda: world.folds() > known or not world.driven, "another fold is stored")
        if world.folds() > known or world.left() == 0:
            return wrong
        wrong.append(f"a driver ended with {world.wait()} and no fold: {world.said()[-600:]}")
    return wrong


def finish(world: World, reference: Picture, known: Picture) -> list[str]:
    """`resume` until it says that it is done; then everything that must hold, and does not."""
    codes: list[int] = []
    for _ in range(2 * STARTS):
        if not world.driven and not _done(world):
            world.start()
        codes.append(world.wait())
        if _done(world):
            return broken(world, reference, known)
    return [f"resume ended with {codes}: {world.said()[-1500:]}"]


def _done(world: World) -> bool:
    """Whether the last driver came to the end, and left nothing of a slow MLflow to the next `resume`."""
    ended = world.driver is not None and world.driver.poll() == 0
    return ended and world.left() == 0 and "runs behind" not in world.said()


def undisturbed(world: World) -> Picture:
    """What a run finds that nobody disturbs."""
    world.start()
    assert world.wait() == 0, world.said()
    return world.told()
