"""Whose weights are kept: those of the best trial so far, of the unfinished, and of what is trained beside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from reno_sweeps.records import FoldFinished, Key, Sweep, Trial, best_of
from reno_sweeps.search.fold_files import FoldFiles
from reno_sweeps.search.running import Fold, Running


class Weights:
    """Removes weights as soon as a better trial has ended; those of a trial that ends as no best are never written."""

    def __init__(self, files: FoldFiles, sweep: Sweep, trials: Sequence[Trial], beside: Collection[str]) -> None:
        """Remove what an earlier driver left. `beside` are the owners of baselines and refits."""
        self._files, self._sweep = files, sweep
        self._best = best_of(trials, sweep)
        best = {f"trial {self._best.number}"} if self._best else set()
        files.keep_weights_of(best | {f"trial {t.number}" for t in trials if not t.ended} | set(beside))

    def end(self, told: Trial) -> None:
        """Of an ended trial and the best before it, keep the better one's."""
        candidates = [told] if self._best is None else [self._best, told]
        self._best = best_of(candidates, self._sweep)
        for trial in candidates:
            if trial is not self._best:
                self._files.drop_weights_of(f"trial {trial.number}")

    def worth_writing(
        self, finished: Sequence[FoldFinished], running: Mapping[str, Running], trials: Sequence[Trial]
    ) -> set[Key]:
        """Folds whose weights may be asked for: not those of a trial that ends with them, and not as the best."""
        values: dict[str, dict[Fold, float]] = {}
        for e in finished:
            if e.key.owner in running:  # a refit has no validation part
                value = e.result.validation[self._sweep.objective.metric]
                values.setdefault(e.key.owner, {})[e.key.repeat, e.key.fold] = value
        ending = {owner: new for owner, new in values.items() if not running[owner].left - set(new)}
        hopeless = {o for o, new in ending.items() if self._loses(trials[running[o].number], running[o].mean(new))}
        return {e.key for e in finished if e.key.owner not in hopeless}

    def _loses(self, trial: Trial, objective: float) -> bool:
        ended = replace(trial, state="complete", objective=objective)
        return self._best is not None and best_of([self._best, ended], self._sweep) is self._best
