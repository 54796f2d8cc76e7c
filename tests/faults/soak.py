"""The long form: `make soak ARGS="--faults 200 --seed 0"`: random faults at random moments, resumed again and again."""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.backends.postgres import binaries
from tests.faults.harms import FAULTS, Fault
from tests.faults.servers import FarWorld
from tests.faults.suffer import Suffered, finish, suffer, undisturbed
from tests.faults.world import Picture, World, cable_is_permitted, disk_is_permitted, until, write_question

LONGEST = 12.0  # seconds between a driver's start, or the last fault, and the next: it may only be starting
FEW = 4  # trials left at which a sweep is led to its end, and another begins


@dataclass
class Row:
    """A fault's line of the table."""

    fault: str
    tried: int = 0
    survived: int = 0
    seconds: list[float] = field(default_factory=list)  # to recover, each
    lost: int = 0
    repeated: int = 0

    def add(self, suffered: Suffered) -> None:
        """Count one."""
        self.tried += 1
        self.survived += not suffered.wrong
        self.seconds.append(suffered.seconds)
        self.lost += sum(word.startswith("lost") for word in suffered.wrong)
        self.repeated += sum(word.startswith("repeated") for word in suffered.wrong)


@dataclass
class Sweep:
    """A long sweep that faults fall upon, one after the other; where it ends, the next begins."""

    make: Callable[[Path], World]
    folder: Path
    reference: Picture
    laps: int = 0
    world: World | None = None

    def suffer(self, fault: Fault, dice: random.Random) -> Suffered:
        """One fault at a random moment."""
        if self.world is None:
            self.laps += 1
            self.world = self.make(self.folder / f"lap-{self.laps}").__enter__()
        world = self.world
        delay = dice.uniform(0.0, LONGEST)

        def moment(_: World) -> None:
            end = time.monotonic() + delay
            until(lambda: time.monotonic() > end or not world.driven, "a moment")

        suffered = suffer(world, fault, dice, moment, strict=False)
        if not suffered.wrong and world.left() <= FEW:
            suffered.wrong += self.end()
        return suffered

    def end(self) -> list[str]:
        """Lead it to its end, and say what does not hold there; the folder of one that holds goes."""
        if self.world is None:
            return []
        world, self.world = self.world, None
        wrong = finish(world, self.reference, world.told())
        if wrong:
            keep_disk(world)
        world.__exit__(None, None, None)
        if not wrong:
            shutil.rmtree(world.folder)
        return wrong

    def give_up(self) -> None:
        """End its processes; the folder stays for whoever looks into it."""
        if self.world is not None:
            keep_disk(self.world)
            self.world.__exit__(None, None, None)
            self.world = None


def keep_disk(world: World) -> None:
    """A small disk goes with its world: what lies on it is copied beside it."""
    world.end_all()
    if world.small_disk:
        shutil.copytree(world.home, world.folder / "home-copy", dirs_exist_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """0: nothing was lost, repeated or broken; 1: something was."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it, and so would drivers
    folder = Path(tempfile.mkdtemp(prefix="reno-soak-", dir=asked.folder))
    space, began = write_question(folder / "question"), time.monotonic()
    with World(folder / "reference", space, asked.trials) as world:
        reference = undisturbed(world)
    sweeps = _sweeps(folder, space, asked.trials, reference)
    rows: dict[str, Row] = {}
    wrecks: list[str] = []
    dice = random.Random(asked.seed)
    try:
        for number in range(asked.faults):
            begun = [kind for kind, sweep in sweeps.items() if sweep.world]
            kind, fault = _drawn(sweeps, dice, begun, asked.only or list(FAULTS))
            suffered = sweeps[kind].suffer(fault, random.Random(f"{asked.seed} {number}"))
            rows.setdefault(fault.name, Row(fault.name)).add(suffered)
            print(
                f"{number + 1}: {kind}: {fault.name}: {suffered.seconds:.1f} s {suffered.wrong or ''}", file=sys.stderr
            )
            if suffered.wrong:
                wrecks.append(f"fault {number + 1}, {kind}, {fault.name}: {'; '.join(suffered.wrong)}")
                sweeps[kind].give_up()
            if asked.minutes is not None and time.monotonic() - began > 60 * asked.minutes:
                break
        for kind, sweep in sweeps.items():
            wrong = sweep.end()
            wrecks += [f"end of the sweep, {kind}: {'; '.join(wrong)}"] if wrong else []
    finally:
        for sweep in sweeps.values():
            sweep.give_up()
    shown = sorted(rows.values(), key=lambda row: row.fault)
    print(table(shown))
    if asked.out:
        report = {"faults": sum(row.tried for row in shown), "seed": asked.seed, "wrecks": wrecks}
        asked.out.write_text(json.dumps({**report, "rows": [asdict(row) for row in shown]}, indent=1))
    if not wrecks:
        shutil.rmtree(folder)
        return 0
    print("\n".join([*wrecks, f"the wrecks lie in {folder}"]), file=sys.stderr)
    return 1


def _sweeps(folder: Path, space: Path, trials: int, reference: Picture) -> dict[str, Sweep]:
    """A sweep on one machine's files, and where they can be had one on servers behind a cable."""
    disk = disk_is_permitted()
    found = {"local": Sweep(lambda place: World(place, space, trials, small_disk=disk), folder / "local", reference)}
    if not disk:
        print("left out: a full disk, for want of the right to mount one", file=sys.stderr)
    if binaries() and importlib.util.find_spec("psycopg") and cable_is_permitted():
        found["servers"] = Sweep(lambda place: FarWorld(place, space, trials), folder / "servers", reference)
    else:
        print("left out: servers and cables, for want of PostgreSQL or the right to make namespaces", file=sys.stderr)
    return found


def _drawn(
    sweeps: dict[str, Sweep], dice: random.Random, begun: Sequence[str], only: Sequence[str]
) -> tuple[str, Fault]:
    """A sweep suffers until it has ended: two at once would only wait for each other. Every fault is as likely."""
    disk = disk_is_permitted()
    allowed = [fault for fault in FAULTS.values() if fault.name in only and (disk or not fault.small_disk)]
    possible = {kind: [fault for fault in allowed if kind in fault.worlds] for kind in begun or sweeps}
    kind = dice.choice([kind for kind, faults in possible.items() if faults])
    return kind, dice.choice(possible[kind])


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line a fault, and all of them."""
    whole = Row("all")
    for row in rows:
        whole.tried, whole.survived = whole.tried + row.tried, whole.survived + row.survived
        whole.seconds += row.seconds
        whole.lost, whole.repeated = whole.lost + row.lost, whole.repeated + row.repeated
    lines = ["| fault | tried | survived | median seconds to recover | lost | repeated |", "|---|---|---|---|---|---|"]
    for row in [*rows, whole]:
        median = f"{statistics.median(row.seconds):.1f}" if row.seconds else "–"
        lines.append(f"| {row.fault} | {row.tried} | {row.survived} | {median} | {row.lost} | {row.repeated} |")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make soak", description="Random faults at random moments, over long sweeps.")
    parser.add_argument("--faults", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="other faults at other moments")
    parser.add_argument("--trials", type=int, default=100, help="of a sweep; where it ends another begins")
    parser.add_argument("--minutes", type=float, help="no new fault after so many")
    parser.add_argument("--only", action="append", choices=FAULTS, help="this fault and no other; may be repeated")
    parser.add_argument("--out", type=Path, help="a file for the table as JSON")
    parser.add_argument("--folder", type=Path, help="where the sweeps lie; wrecks stay there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
