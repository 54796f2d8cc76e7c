"""What to try next and what to give up: one proposer and one racer for each cell of a sweep."""

from __future__ import annotations

from collections.abc import Callable

from reno_sweeps.records import FoldScore, Trial
from reno_sweeps.search.ledger import Ledger
from reno_sweeps.search.plan import Plan
from reno_sweeps.search.running import Running
from reno_sweeps.search.study import Proposer, Racer
from reno_sweeps.training.configuration import parameters_of, search_of


class Candidates:
    """The search of a sweep's cells, with everything that the ledger knows of it taken in."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self._plan, self._ledger = plan, ledger
        cells = range(len(plan.sweep.cells))
        self._numbers: list[list[int]] = [[] for _ in cells]  # trials of each cell, in the order of their numbers
        self._index: dict[int, int] = {}  # number of a trial → its index in its cell
        for trial in ledger.trials:
            self._admit(trial)
        self._first = 0  # no trial below it waits
        self._searches = [search_of(plan.sweep, plan.sweep.cells[cell]) for cell in cells]
        self._proposers = [self._proposer(cell) for cell in cells]
        self._racers = [self._racer(cell) for cell in cells]

    @property
    def asked(self) -> int:
        """Trials in all: every cell has the whole budget, or its whole grid where that is smaller."""
        return sum(self._quota(cell) for cell in range(len(self._proposers)))

    def propose(self) -> None:
        """Create WAITING trials as far as the results allow, N in all; cells take turns."""
        while (cell := self._next_cell()) is not None:
            known, proposer = self._of(cell), self._proposers[cell]
            if not proposer.ready(lambda i: known(i).ended):  # noqa: B023  # called at once
                return
            self._admit(self._ledger.add(cell, proposer.propose(known), self._searches[cell]))

    def waiting(self) -> list[int]:
        """Numbers of the WAITING trials that the budget covers: it may be smaller than when they were created."""
        trials = self._ledger.trials
        while self._first < len(trials) and trials[self._first].state != "waiting":
            self._first += 1
        rest = (trial for trial in trials[self._first :] if trial.state == "waiting")
        return [trial.number for trial in rest if self._index[trial.number] < self._quota(trial.cell)]

    def meet(self, trial: Trial) -> None:
        """Take in a trial that another driver created or ended, or that waits again."""
        if trial.number not in self._index:
            self._admit(trial)
            self._proposers[trial.cell].admit(trial.proposal, self._of(trial.cell))
        if trial.ended:
            self.end(trial)
        elif trial.state == "waiting":
            self._first = min(self._first, trial.number)

    def refuse(self, running: Running) -> str | None:
        """Why the pruner gives a running trial up, by what is new of it; None: it goes on."""
        if self._plan.sweep.budget.pruner == "none":
            return None
        trial = self._ledger.trials[running.number]
        for step, value in self._news(running):
            if self._racers[trial.cell].report(self._index[trial.number], step, value):
                running.last = None if self._plan.sweep.budget.pruner == "wilcoxon" else step
                return f"{self._plan.sweep.budget.pruner}: {running.metric} {value:.4f} at step {step}"
        return None

    def end(self, trial: Trial) -> None:
        """Take in an ended trial: later ones are compared with it."""
        self._racers[trial.cell].end(self._index[trial.number], trial, self._steps(trial))

    def _admit(self, trial: Trial) -> None:
        self._index[trial.number] = len(self._numbers[trial.cell])
        self._numbers[trial.cell].append(trial.number)

    def _of(self, cell: int) -> Callable[[int], Trial]:
        """The trials of a cell by their index in it, as they are now."""
        numbers, trials = self._numbers[cell], self._ledger.trials
        return lambda index: trials[numbers[index]]

    def _proposer(self, cell: int) -> Proposer:
        sweep = self._plan.sweep
        epochs = self._epochs(cell)
        proposer = Proposer(
            self._searches[cell],
            sweep.budget,
            sweep.objective,
            ahead=self._plan.ahead,
            epochs=epochs,
            name=f"cell {cell}",
        )
        known = self._of(cell)
        for index in range(len(self._numbers[cell])):
            proposer.admit(known(index).proposal, known)
        return proposer

    def _epochs(self, cell: int) -> int:
        sweep = self._plan.sweep
        searched = sweep.search.get("training.epochs")
        if searched is not None:
            return max((int(choice) for choice in searched.choices() or () if isinstance(choice, int)), default=1)
        default = parameters_of(sweep.cells[cell].head)["training.epochs"].default
        epochs = sweep.fixed.get("training.epochs", default)
        return epochs if isinstance(epochs, int) else 1

    def _racer(self, cell: int) -> Racer:
        sweep = self._plan.sweep
        racer = Racer(
            sweep.budget.pruner, sweep.objective, epochs=self._epochs(cell), seed=sweep.budget.seed, name=f"cell {cell}"
        )
        for index, number in enumerate(self._numbers[cell]):
            trial = self._ledger.trials[number]
            if trial.ended:
                racer.end(index, trial, self._steps(trial))
        return racer

    def _steps(self, trial: Trial) -> list[tuple[int, float]]:
        """What a racer compares: the mean by epoch; for wilcoxon the folds."""
        if self._plan.sweep.budget.pruner != "wilcoxon":
            return list(enumerate(trial.curve, start=1))
        return [(self._fold_step(s), s.validation[self._plan.sweep.objective.metric]) for s in trial.scores]

    def _fold_step(self, score: FoldScore) -> int:
        return score.repeat * self._plan.sweep.protocol.n_folds + score.fold

    def _next_cell(self) -> int | None:
        """The cell whose turn it is: the one with the fewest trials of those that have budget left."""
        counts = [len(numbers) for numbers in self._numbers]
        open_cells = [cell for cell, count in enumerate(counts) if count < self._quota(cell)]
        return min(open_cells, key=lambda cell: (counts[cell], cell), default=None)

    def _quota(self, cell: int) -> int:
        budget, size = self._plan.sweep.budget.trials, self._proposers[cell].size
        if not self._searches[cell]:
            return 1  # one configuration: more trials of it would give the same
        return budget if size is None else min(budget, size)

    def _news(self, running: Running) -> list[tuple[int, float]]:
        if self._plan.sweep.budget.pruner == "wilcoxon":
            folds = self._plan.sweep.protocol.n_folds
            steps = [(repeat * folds + fold, value) for (repeat, fold), value in running.finished.items()]
        else:
            steps = list(enumerate(running.curve(), start=1))
        new = steps[running.reported :]
        running.reported = len(steps)
        return new
