"""Optuna's samplers and pruners: what to try next, and whether to go on, as functions of results told in order."""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from reno_sweeps.records import Budget, Objective, Trial, UserError, seed_from
from reno_sweeps.space import Categorical, Distribution, Float, Int, Value, applies

logger = logging.getLogger(__name__)
optuna.logging.set_verbosity(optuna.logging.ERROR)

STATES = {
    "waiting": TrialState.WAITING,
    "running": TrialState.RUNNING,
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def in_optunas_words(distribution: Distribution) -> BaseDistribution:
    """The same distribution as Optuna writes it."""
    if isinstance(distribution, Float):
        return FloatDistribution(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    if isinstance(distribution, Int):
        return IntDistribution(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    return CategoricalDistribution(distribution.values)


def chosen(search: Mapping[str, Distribution], proposal: Mapping[str, Value]) -> dict[str, BaseDistribution]:
    """Optuna's distributions of the parameters that a proposal has."""
    return {name: in_optunas_words(search[name]) for name in proposal}


def grid(search: Mapping[str, Distribution]) -> tuple[dict[str, Value], ...]:
    """Every configuration of a finite space once, in the file's order; conditions not met leave a parameter out."""
    choices = [distribution.choices() for distribution in search.values()]
    if any(c is None for c in choices):
        raise UserError("sampler: grid needs a step for every float that is searched")
    points: dict[tuple[tuple[str, type, Value], ...], dict[str, Value]] = {}
    for values in itertools.product(*(c for c in choices if c is not None)):
        point: dict[str, Value] = {}
        for (name, distribution), value in zip(search.items(), values, strict=True):
            if applies(distribution, point):
                point[name] = value
        points.setdefault(tuple((name, type(value), value) for name, value in point.items()), point)
    return tuple(points.values())


class Proposer:
    """Proposes the trials of one cell: trial n from the results of trials ≤ n − ahead alone, told in their order.

    The sampler is made anew for every trial with seed hash(budget.seed, n), so what it proposes depends on the space,
    the seeds and the results, not on when they came or how often the driver was killed. Trials between n − ahead and
    n are known to the sampler as running (TPE's constant liar keeps it from proposing the same again). Nothing of a
    sampler's state comes from the storage: CMA-ES, which keeps one (a pickle), is replayed from the results instead.
    """

    def __init__(
        self,
        search: Mapping[str, Distribution],
        budget: Budget,
        objective: Objective,
        *,
        ahead: int,
        epochs: int,
        name: str = "cell 0",
    ) -> None:
        self._search, self._budget, self._ahead = search, budget, ahead
        self._conditional = any(distribution.when for distribution in search.values())
        self._grid = grid(search) if budget.sampler == "grid" else ()
        self._storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=f"{name} {budget.seed}",  # hyperband's brackets are drawn from it
            direction=_direction(objective),
            pruner=make_pruner(budget.pruner, epochs),
        )
        self._space = optuna.search_space.IntersectionSearchSpace(include_pruned=True)
        self._proposed = 0
        self._told = 0

    @property
    def size(self) -> int | None:
        """How many different configurations there are under `sampler: grid`; None for other samplers."""
        return len(self._grid) if self._budget.sampler == "grid" else None

    def ready(self, ended: Callable[[int], bool]) -> bool:
        """Whether the results that the next proposal depends on are all there."""
        return all(ended(i) for i in range(self._told, self._proposed - self._ahead + 1))

    def propose(self, results: Callable[[int], Trial]) -> dict[str, Value]:
        """The next configuration. `results(i)` is the ended trial with index i in this cell."""
        index = self._proposed
        for i in range(self._told, index - self._ahead + 1):
            self._tell(i, results(i))
        self._proposed += 1
        if self._grid:
            return dict(self._grid[index])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = make_sampler(self._budget, index, self._space, conditional=self._conditional)
            return self._ask()

    def admit(self, proposal: Mapping[str, Value], results: Callable[[int], Trial]) -> None:
        """Take in the next trial as it was proposed before a resume."""
        if self._budget.sampler == "cmaes" and self.ready(lambda index: results(index).ended):
            again = self.propose(results)
            if again != dict(proposal):
                logger.warning("cmaes now proposes %s where the study has %s; the study's is kept", again, proposal)
            return
        for i in range(self._told, self._proposed - self._ahead + 1):
            if not results(i).ended:  # a full disk took its end and left this proposal: it is told before the next one
                break
            self._tell(i, results(i))
        self._proposed += 1
        running = optuna.trial.create_trial(
            state=TrialState.RUNNING, params=dict(proposal), distributions=chosen(self._search, proposal)
        )
        self._study.add_trial(running)

    def _ask(self) -> dict[str, Value]:
        trial = self._study.ask()
        proposal: dict[str, Value] = {}
        for name, distribution in self._search.items():
            if applies(distribution, proposal):
                proposal[name] = _suggest(trial, name, distribution)
        self._forget_unused(trial)
        return proposal

    def _forget_unused(self, trial: optuna.Trial) -> None:
        """Samplers note what they drew for running trials, unmet conditions included: a resume knows only proposals."""
        for key in self._storage.get_trial(trial._trial_id).system_attrs:
            if ":relative_params:" in key:
                self._storage.set_trial_system_attr(trial._trial_id, key, "")

    def _tell(self, index: int, result: Trial) -> None:
        self._told = index + 1
        if self._grid:
            return
        if result.state == "pruned":
            number = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, index)
            for epoch, value in enumerate(result.curve, start=1):
                self._storage.set_trial_intermediate_value(number, epoch, value)
        objective = result.objective if result.state == "complete" else None
        self._study.tell(index, objective, state=STATES[result.state])

    @property
    def _study_id(self) -> int:
        return self._storage.get_study_id_from_name(self._study.study_name)


def _direction(objective: Objective) -> StudyDirection:
    return StudyDirection.MAXIMIZE if objective.direction == "maximize" else StudyDirection.MINIMIZE


def _suggest(trial: optuna.Trial, name: str, distribution: Distribution) -> Value:
    if isinstance(distribution, Categorical):
        choice: Value = trial.suggest_categorical(name, distribution.values)
        return choice
    if isinstance(distribution, Int):
        return trial.suggest_int(
            name, distribution.low, distribution.high, log=distribution.log, step=distribution.step
        )
    low, high, step = distribution.low, distribution.high, distribution.step
    return trial.suggest_float(name, low, high, log=distribution.log, step=step)


class _Tpe(optuna.samplers.TPESampler):
    """Optuna's, with what trials have in common from a place that outlives it: it would look at all of them again."""

    def __init__(self, space: optuna.search_space.IntersectionSearchSpace, seed: int) -> None:
        super().__init__(seed=seed, multivariate=True, constant_liar=True)
        self._kept = space

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """The parameters of all ended trials but those with one value, as Optuna's own has it."""
        common = self._kept.calculate(study)
        return {name: distribution for name, distribution in common.items() if not distribution.single()}


def make_sampler(
    budget: Budget, index: int, space: optuna.search_space.IntersectionSearchSpace, *, conditional: bool
) -> optuna.samplers.BaseSampler:
    """Optuna's sampler for trial `index` of a cell; `space` is the cell's own."""
    seed = seed_from(budget.seed, index) % 2**32
    if budget.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if budget.sampler == "cmaes":
        return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if budget.sampler == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    if conditional:
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, group=True)
    return _Tpe(space, seed)


def make_pruner(name: str, epochs: int) -> optuna.pruners.BasePruner:
    """Optuna's pruner of that name, for trainings of at most so many epochs.

    When they begin to judge is set by simulation (tests/search/test_racing.py): curves cross early on. Judging after a
    quarter of the epochs instead of a third, median drops the eventual winner in 15 % of sweeps instead of 10 %;
    hyperband from the first epoch on instead of a sixth in 42 % instead of 20 %.
    """
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=max(1, epochs // 3))
    if name == "hyperband":
        least = max(1, epochs // 6)
        return optuna.pruners.HyperbandPruner(min_resource=least, max_resource=epochs, reduction_factor=3)
    if name == "wilcoxon":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2)
    return optuna.pruners.NopPruner()


class Racer:
    """Says whether a running trial should be stopped, by its value against those of its cell's other trials."""

    def __init__(self, pruner: str, objective: Objective, *, epochs: int, seed: int, name: str = "cell 0") -> None:
        self._pruner = make_pruner(pruner, epochs)
        self._storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=f"{name} {seed}",
            direction=_direction(objective),
            pruner=self._pruner,
        )
        self._ids: dict[int, int] = {}

    def report(self, index: int, step: int, value: float) -> bool:
        """Take in the value of trial `index` at a step (epoch; fold for wilcoxon); True: it should be pruned."""
        trial_id = self._trial_id(index)
        self._storage.set_trial_intermediate_value(trial_id, step, value)
        return self._pruner.prune(self._study, self._storage.get_trial(trial_id))

    def end(self, index: int, result: Trial, steps: Sequence[tuple[int, float]]) -> None:
        """Take in an ended trial with all its (step, value): what later ones are compared with."""
        trial_id = self._trial_id(index)
        for step, value in steps:
            self.report(index, step, value)  # asked for its effect: hyperband notes the rungs that a trial has passed
        values = None if result.objective is None else [result.objective]
        self._storage.set_trial_state_values(trial_id, STATES[result.state], values)

    def _trial_id(self, index: int) -> int:
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        while len(self._ids) <= index:  # numbers are given in order: trials that are not heard of yet wait
            self._ids[len(self._ids)] = self._storage.create_new_trial(study_id)
        return self._ids[index]


def frozen(
    state: str, proposal: Mapping[str, Value], search: Mapping[str, Distribution], value: float | None = None
) -> FrozenTrial:
    """A trial as Optuna's storages take it; a complete one has a value."""
    return optuna.trial.create_trial(
        state=STATES[state], value=value, params=dict(proposal), distributions=chosen(search, proposal)
    )


def adopted(trial: Trial, search: Mapping[str, Distribution]) -> FrozenTrial:
    """An ended or waiting trial of another storage, with its times; ValueError for what this search cannot hold."""
    template = frozen(trial.state, trial.proposal, search, trial.objective)
    for moment, known in (("datetime_start", trial.started), ("datetime_complete", trial.finished)):
        setattr(template, moment, None if known is None else datetime.fromtimestamp(known))  # noqa: DTZ006  # as Optuna
    return template
