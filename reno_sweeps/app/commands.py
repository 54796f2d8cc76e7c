"""`run`, `resume`, `space check`: from what a person typed to an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from reno_sweeps.records import UserError

if TYPE_CHECKING:
    from reno_sweeps.app.run import Outcome


def run(space: str, question: Mapping[str, Any], options: Mapping[str, Any], *, quiet: bool = False) -> Outcome:
    """Run a sweep, or continue the one that asks the same question."""
    from reno_sweeps.app.opening import at_hand, open_sweep
    from reno_sweeps.config import settings
    from reno_sweeps.config.sweep_file import Overrides, open_space

    file = open_space(space, Overrides.from_options(**question))
    there = settings.gather(options, file=file.run)
    opened = open_sweep(at_hand(file.sweep, there), there, file.text)
    from reno_sweeps.app.run import drive  # imports what is heavy: the folder is written by now

    return drive(opened, quiet=quiet)


def resume(
    name: str,
    options: Mapping[str, Any],
    *,
    trials: int | None,
    time: str | None,
    places: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Outcome:
    """Continue a sweep where it was. `places`: corpus, root and weights, where they lie elsewhere now."""
    from reno_sweeps.app.opening import reopen
    from reno_sweeps.config import settings
    from reno_sweeps.config.sweep_file import Overrides

    here = settings.gather(options)
    given = {key: getattr(here, key) for key, value in options.items() if value is not None and key != "home"}
    if trials is not None and trials < 1:
        raise UserError(f"--trials {trials}: at least 1")
    opened = reopen(name, here, given, trials, Overrides.from_options(time=time, **(places or {})))
    from reno_sweeps.app.run import drive

    return drive(opened, quiet=quiet)


def dry_run(space: str, question: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that `run` would refuse is refused; nothing is trained or written. What it would cost."""
    from reno_sweeps.app.opening import at_hand, examine, identity_of
    from reno_sweeps.config import settings
    from reno_sweeps.config.sweep_file import Overrides, cost, open_space
    from reno_sweeps.folds import make_splits

    file = open_space(space, Overrides.from_options(**question))
    there = settings.gather(options, file=file.run)
    sweep = at_hand(file.sweep, there)
    corpus, content, encoders = examine(sweep, there)
    folds = make_splits(corpus, sweep.protocol)
    identity = identity_of(sweep, content, encoders)
    return {
        "sweep": there.name or f"{sweep.name}-{identity[:8]}",
        "corpus": corpus.id,
        "clips": len(corpus.clips),
        "classes": list(corpus.classes),
        "folds": folds.kind,
        "messages": list(folds.messages),
        "encoders": list(encoders),
        "cost": cost(sweep),
    }


def check_space(file: str) -> dict[str, Any]:
    """A search space examined: every field with what it is here, and the cost."""
    from reno_sweeps.config.sweep_file import cost, describe, load

    sweep = load(file)
    return {"space": sweep.name, "fields": [asdict(row) for row in describe(sweep)], "cost": cost(sweep)}
