"""The long form: `make fuzz ARGS="--inputs 20000"`. A fault is shown with the command that makes its input again."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.arena import Arena, Score, table
from tests.fuzz.kind import dice_of, kinds


def main(arguments: Sequence[str] | None = None) -> int:
    """0: every input was accepted or refused; 1: one crashed or hung."""
    asked = _parser().parse_args(arguments)
    chosen = [name for name in kinds() if not asked.kind or any(word in name for word in asked.kind)]
    if asked.only is not None:
        return _again(chosen, asked.seed, asked.only, asked.keep)
    scores = []
    with Arena() as arena:
        for name in chosen:
            scores.append(arena.run(name, asked.seed, asked.first, asked.first + asked.inputs, _progress))
            print(" " * 100, end="\r", file=sys.stderr)
            _tell(scores[-1], asked.seed)
    print(table(scores))
    return int(any(score.faults for score in scores))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Spoilt inputs for every reader of users' files.")
    parser.add_argument("--inputs", type=int, default=1_000, help="inputs of each kind")
    parser.add_argument("--first", type=int, default=1, help="number of the first one")
    parser.add_argument("--seed", type=int, default=0, help="other inputs under the same numbers")
    parser.add_argument("--kind", action="append", help="only kinds whose name holds this; may be repeated")
    parser.add_argument("--only", type=int, help="make and read this one input, here, with the whole traceback")
    parser.add_argument("--keep", type=Path, help="with --only: the folder in which the input stays")
    return parser


def _progress(score: Score) -> None:
    if score.inputs % 50 == 0:
        print(f"{score.kind}: {score.inputs} inputs, {len(score.faults)} faults", end="\r", file=sys.stderr, flush=True)


def _tell(score: Score, seed: int) -> None:
    """Every kind of fault once: the same last lines are the same fault."""
    told: dict[str, int] = {}
    for number, end, why in score.faults:
        short = "\n".join(why.strip().splitlines()[-6:])
        told[short] = told.get(short, 0) + 1
        if told[short] == 1:
            again = f"python -m tests.fuzz.run --kind '{score.kind}' --seed {seed} --only {number} --keep DIR"
            print(f"{score.kind} {number}: {end}\n{short}\nagain: {again}\n", file=sys.stderr)


def _again(chosen: list[str], seed: int, number: int, keep: Path | None) -> int:
    import tempfile

    from reno_sweeps.records import UserError

    failed = 0
    for name in chosen:
        with tempfile.TemporaryDirectory() as temporary:
            folder = keep or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            given = kinds()[name].make(dice_of(name, seed, number), folder)
            try:
                print(f"{name} {number}: accepted: {kinds()[name].read(given)!r:.200}")
            except UserError as refusal:
                print(f"{name} {number}: refused: {refusal!s:.2000}")
            except Exception:
                traceback.print_exc()
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
