"""A study as plain JSON and back: every trial with its proposal, state, scores and times, and the sweep's facts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from reno_sweeps.records import FoldScore, Trial, UserError
from reno_sweeps.search.ledger import Ledger, StorageError
from reno_sweeps.space import Distribution

HERE = ("lease", "leases", "crews", "turn", "ends")  # who drives
BOUND = (*HERE, "experiment_id", "parent_run_id", "mlflow_runs", "imported")  # facts of one home, at home there alone
STATES = ("waiting", "complete", "pruned", "failed")
_TEXTS, _WHOLE = ("file", "sha256"), ("repeat", "fold", "best_epoch", "epochs", "seed", "parameters", "seeds")


def dump(ledger: Ledger) -> dict[str, Any]:
    """The study as JSON takes it. What a driver trains at this moment waits there, with its finished folds."""
    facts = {key: value for key, value in ledger.facts.items() if key not in BOUND and value is not None}
    return {"facts": facts, "trials": [_plain(trial) for trial in ledger.trials]}


def _plain(trial: Trial) -> dict[str, Any]:
    plain = {f.name: getattr(trial, f.name) for f in fields(Trial)}
    state = "waiting" if trial.state == "running" else trial.state
    return {**plain, "state": state, "scores": [score.to_dict() for score in trial.scores]}


def trials_of(plain: Sequence[Mapping[str, Any]]) -> list[Trial]:
    """The trials that `dump` wrote; ValueError, TypeError or KeyError for anything else."""
    trials = [_trial(one) for one in plain]
    if [trial.number for trial in trials] != list(range(len(trials))):
        raise ValueError("its trials are not numbered from 0 on")
    return trials


def scores_of(trials: Sequence[Trial], facts: Mapping[str, Any]) -> list[FoldScore]:
    """Every score of a study: of its trials and of what was trained beside them."""
    beside = [score_of(value) for key, value in facts.items() if key.startswith("extra:")]
    return [*(score for trial in trials for score in trial.scores), *beside]


def score_of(plain: Mapping[str, Any]) -> FoldScore:
    """A fold's score; ValueError, TypeError or KeyError for what is none."""
    score = FoldScore.from_dict(plain)
    for name in _TEXTS:
        _refuse(name, getattr(score, name), isinstance(getattr(score, name), str))
    for name in _WHOLE:
        value = getattr(score, name)
        _refuse(name, value, type(value) is int and value >= 0)
    for name in ("seconds", "finished"):
        _number(name, getattr(score, name))
    for name in ("sizes", "validation", "test"):
        for metric, value in getattr(score, name).items():
            _number(f"{name}.{metric}", value)
    for name, curve in score.curves.items():
        for value in curve:
            _number(name, value)
    return score


def restore(
    url: str,
    name: str,
    direction: str,
    study: tuple[Mapping[str, Any], Sequence[Trial]],
    search: Callable[[int], Mapping[str, Distribution]],
    mark: Mapping[str, Any],
) -> bool:
    """Write a study (facts, trials) into a storage, all of it or nothing; False: the name is another's.

    `mark` is kept as the fact 'imported': a study that carries it is this one, written before.
    """
    facts, trials = study
    try:
        ledger = Ledger(url, name, direction=direction, facts={"identity": facts["identity"]})
    except StorageError:
        raise
    except UserError:
        return False
    if ledger.facts.get("imported") == mark:
        return True
    if ledger.trials or set(ledger.facts) - {"identity"}:
        return False
    with ledger.together():
        for trial in trials:
            ledger.adopt(trial, search(trial.cell))
        for key, value in facts.items():
            if key not in BOUND and value is not None:
                ledger.keep(key, value)
        ledger.keep("imported", dict(mark))
    return True


def _trial(plain: Mapping[str, Any]) -> Trial:
    trial = Trial(**{**plain, "scores": tuple(score_of(one) for one in plain["scores"])})
    trial = replace(trial, curve=tuple(trial.curve), proposal=dict(trial.proposal))
    _refuse("state", trial.state, trial.state in STATES)
    for name in ("number", "cell"):
        _refuse(name, getattr(trial, name), type(getattr(trial, name)) is int and getattr(trial, name) >= 0)
    for value in trial.proposal.values():
        _refuse("proposal", value, value is None or isinstance(value, str | int | float | bool))
    for moment in (trial.started, trial.finished):
        _refuse("time", moment, moment is None or 0 <= _number("time", moment) < 2**36)  # a date that calendars have
    for value in trial.curve:
        _number("curve", value)
    _refuse("reason", trial.reason, trial.reason is None or isinstance(trial.reason, str))
    if trial.objective is not None:
        _refuse("objective", trial.objective, not math.isnan(_number("objective", trial.objective)))
    _refuse("objective", None, (trial.state == "complete") == (trial.objective is not None))
    return trial


def _number(name: str, value: Any) -> float:
    _refuse(name, value, isinstance(value, int | float) and not isinstance(value, bool))
    return float(value)


def _refuse(name: str, value: Any, good: bool) -> None:
    if not good:
        raise ValueError(f"{name} is {str(value)[:60]!r}")
