"""What MLflow is told of a sweep, from stored facts alone: nothing of a former winner is left in a later one's runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from reno_sweeps.app import beside, mirror, parent
from reno_sweeps.app.stored import Stored
from reno_sweeps.config.settings import gather
from reno_sweeps.records import Cell, Objective, Split, Sweep, Trial
from reno_sweeps.reports.summary import linear_owner
from reno_sweeps.search.plan import Plan
from reno_sweeps.space import Categorical
from tests.reports.conftest import make_score, make_sweep, make_trial

PAIRS = ("mfcc+log-mel", "log-mel+hubert-base")
ENCODERS = [tuple(pair.split("+")) for pair in PAIRS]


STATE = {"name": "tiny", "corpus": {"id": "demo", "synthetic": True, "content": "c0de"}}


def stored(sweep: Sweep, trials: Sequence[Trial], **facts: Any) -> Stored:
    """A sweep in memory: the ledger's two lists are all that a mirror reads."""
    ledger: Any = SimpleNamespace(trials=list(trials), facts={"asked": sweep.budget.trials, **facts})
    return Stored(STATE, gather(), sweep, {}, ledger)


def scores_of(owner: str) -> dict[str, Any]:
    return {f"extra:{owner}:0:{fold}": make_score(fold).to_dict() for fold in range(2)}


def searched() -> tuple[Sweep, list[Trial]]:
    """A sweep that searches its encoders; the second trial is better, on the second pair."""
    sweep = make_sweep(search={"encoders": Categorical(PAIRS)}, cells=(Cell("reno", ENCODERS[0]),))
    return sweep, [make_trial(n, 0.5 + n / 10, proposal={"encoders": pair}) for n, pair in enumerate(PAIRS)]


def test_the_linear_baseline_has_the_winner_s_encoders(tmp_path: Path) -> None:
    sweep, trials = searched()
    plan = Plan(sweep, (Split((0,), (1,), (2,)),) * 2, tmp_path, ahead=1)
    models = [beside.linear_models(plan, trial) for trial in trials]

    assert [{model.encoders for model in group} for group in models] == [{ENCODERS[0]}, {ENCODERS[1]}]
    assert models[0][0].key.owner != models[1][0].key.owner


def test_a_baseline_on_a_former_winner_s_encoders_is_not_shown() -> None:
    sweep, trials = searched()
    found = stored(sweep, trials, **scores_of(linear_owner(ENCODERS[0])))
    both = stored(sweep, trials, **scores_of(linear_owner(ENCODERS[0])), **scores_of(linear_owner(ENCODERS[1])))
    (row,) = [row for row in mirror.run_rows(both) if row.name == "linear"]

    assert found.summary()["baselines"] == {}
    assert set(both.summary()["baselines"]) == {"linear"}
    assert row.params["encoders"] == PAIRS[1]


def test_two_winners_one_after_another_share_no_run_and_no_point_of_the_parent() -> None:
    trials = [make_trial(0, 0.5), make_trial(1, 0.6)]
    one, two = (stored(make_sweep(), trials[: n + 1], done=5) for n in range(2))
    rows = [
        {r.key for r in mirror.run_rows(found) if r.kind == "winner" and r.parent == "winner"} for found in (one, two)
    ]
    steps = [{step for *_, step in parent._headline(found)} for found in (one, two)]

    assert rows[0] == {f"winner: trial 0000 fold {fold}" for fold in range(2)}
    assert not rows[0] & rows[1]
    assert steps == [{1}, {2}]


def test_before_the_end_there_is_no_winner() -> None:
    found = stored(make_sweep(), [make_trial(0, 0.5)], done=3)

    assert {row.kind for row in mirror.run_rows(found)} == {"trial"}
    assert list(parent._headline(found)) == []


def test_what_selects_is_among_a_trial_s_means_whatever_it_is() -> None:
    sweep = make_sweep(objective=Objective("cross_entropy", "minimize"))
    row = mirror.trial_row(make_trial(0, 0.5), sweep)

    assert f"val_{sweep.objective.metric}" in {name for name, *_ in row.metrics}


def test_the_best_so_far_is_told_at_the_same_moment_however_often_the_study_is_read() -> None:
    noted = [stored(make_sweep(), [make_trial(0, 0.5, finished=moment)]) for moment in (20.0, 20.1)]
    once, again = ([*parent._best_so_far(found)] for found in noted)

    assert once == again
    assert len(once) == 1


def test_a_param_says_nothing_that_another_release_or_folder_would_change() -> None:
    """MLflow never changes a param: the same question from a moved file, or a newer release, would be refused."""
    here, there = (make_sweep(cells=(Cell("reno", (f"file:/{place}/x.npz", "mfcc")),)) for place in ("here", "there"))
    params = [mirror.trial_row(make_trial(0, 0.5), sweep).params for sweep in (here, there)]
    asked = [parent._sweep_params(stored(sweep, [])) for sweep in (here, there)]

    assert params[0] == params[1]
    assert params[0]["encoders"] == "file:x.npz+mfcc"
    assert asked[0] == asked[1]
    assert not {"version", "reno-sweeps"} & set(asked[0])


def test_no_password_is_shown() -> None:
    settings = gather({"tracking_uri": "https://me:secret@host", "storage": "postgresql://me:secret@host/db"})
    found = replace(stored(make_sweep(), []), settings=settings)

    assert "secret" not in str(found.summary())
    assert found.summary()["storage"] == "postgresql://me:***@host/db"


def test_a_pruned_trial_is_shown_as_killed_with_the_reason_the_curves_of_its_folds_and_no_means() -> None:
    pruned = replace(make_trial(7, 0.5), state="pruned", objective=None, reason="median: val_macro_f1 0.3100 at step 9")
    row = mirror.trial_row(pruned, make_sweep())
    found = stored(make_sweep(), [make_trial(0, 0.6), pruned])

    assert (row.status, row.tags["reno.state"], row.tags["reno.reason"]) == ("KILLED", "pruned", pruned.reason)
    assert not {metric for metric, *_ in row.metrics if metric.startswith(("val_", "test_"))}
    assert {metric for metric, *_ in row.metrics if metric.startswith("fold_0/")}
    assert found.summary()["trials"]["pruned"] == 1
