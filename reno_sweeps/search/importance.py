"""What the differences between a sweep's trials come from: fANOVA over its complete trials."""

from __future__ import annotations

from collections.abc import Sequence

import optuna

from reno_sweeps.records import Sweep, Trial
from reno_sweeps.search.study import frozen
from reno_sweeps.training.configuration import search_of

LEAST = 8  # complete trials below which a forest of them says nothing


def importances(sweep: Sweep, trials: Sequence[Trial]) -> dict[str, float]:
    """Each searched parameter's share of the objective's variance (Hutter et al. 2014), the largest first.

    Of the cell with the most complete trials, and of the parameters that all of these have; empty where they are too
    few, or all equal.
    """
    done = [trial for trial in trials if trial.state == "complete" and trial.objective is not None]
    by_cell = [[trial for trial in done if trial.cell == cell] for cell in range(len(sweep.cells))]
    chosen = max(by_cell, key=len)
    if len(chosen) < LEAST or len({trial.objective for trial in chosen}) == 1:
        return {}
    search = search_of(sweep, sweep.cells[chosen[0].cell])
    study = optuna.create_study(direction=optuna.study.StudyDirection[sweep.objective.direction.upper()])
    for trial in chosen:
        study.add_trial(frozen("complete", trial.proposal, search, trial.objective))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
