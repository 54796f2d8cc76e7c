"""The Python interface: a sweep as an object, the same as the commands."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.records import UserError

if TYPE_CHECKING:
    import pandas as pd

QUESTION = {
    "corpus", "root", "encoders", "weights", "head", "trials", "time", "seed", "fold_seed", "folds", "selection",
}  # fmt: skip
OPTIONS = {
    "name", "max_failed", "skip_broken", "skip_missing", "no_baselines", "controls", "umap", "experiment", "home",
    "cache", "tracking_uri", "storage", "ray_address", "device", "gpus", "cohort", "workers", "download",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sweep:
    """A search space with its options; `run` drives it, or continues it where it was.

    `Sweep.from_yaml("rd_params.yaml", corpus="vivae", trials=32).run()` is
    `reno-sweep run --space rd_params.yaml --corpus vivae --trials 32`.
    """

    space: str
    question: Mapping[str, Any]
    options: Mapping[str, Any]

    @classmethod
    def from_yaml(cls, space: str | Path, **options: Any) -> Sweep:
        """A search-space file, or the name of a shipped one; `options` are those of `run`, with underscores.

        Raises UserError (here or in `run`) where the command would end with exit code 2.
        """
        _refuse_unknown(options)
        question = {name: options.pop(name) for name in QUESTION & set(options)}
        if options.pop("no_baselines", False):
            options["baselines"] = False
        if question.get("root") is not None:
            question["root"] = str(question["root"])
        return cls(str(space), question, options)

    def run(self, *, quiet: bool = True) -> Result:
        """Drive the sweep to its end. Raises UserError where the command would refuse."""
        from reno_sweeps.app import commands

        outcome = commands.run(self.space, self.question, self.options, quiet=quiet)
        return Result(outcome.result, outcome.exit_code, outcome.home)


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    """An option that `run` has not would be passed over: `trails=8`."""
    offer = sorted(QUESTION | OPTIONS)
    unknown = sorted(set(options) - set(offer))
    if unknown:
        near = difflib.get_close_matches(unknown[0], offer, 1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"run has no option {unknown[0]!r}{meant}\nit has {', '.join(offer)}")


@dataclass(frozen=True, slots=True)
class Result:
    """What a sweep found. `summary` is the object that `run --json` prints."""

    summary: Mapping[str, Any]
    exit_code: int
    home: Path

    @property
    def name(self) -> str:
        """The sweep's name, for `reno-sweep report`, `register` and the others."""
        return str(self.summary["sweep"])

    @property
    def best(self) -> Mapping[str, Any]:
        """The best trial: number, params, objective, validation and test metrics over folds."""
        best: Mapping[str, Any] | None = self.summary["best"]
        if best is None:
            raise UserError(f"sweep {self.name!r} has no complete trial")
        return best

    @property
    def trials(self) -> pd.DataFrame:
        """A row a trial: state, objective, every searched value, means over folds."""
        import pandas as pd

        from reno_sweeps.app.stored import load
        from reno_sweeps.reports.tables import trial_rows

        found = load(self.name, self.home)
        return pd.DataFrame(trial_rows(found.trials, found.sweep))

    def report(self, folder: str | Path | None = None) -> Path:
        """Write the report's page, tables and figures; returns the page."""
        from reno_sweeps.app.looking import report

        return Path(report(self.name, self.home, None if folder is None else Path(folder)).splitlines()[0])
