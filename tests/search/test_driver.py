"""The driver's laws, with workers that only pretend: the trials of a sweep depend on nothing but its question."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from sqlalchemy.engine import Transaction

from reno_sweeps.records import FoldFailed, FoldFinished, Key, Protocol, seed_from
from reno_sweeps.search import share
from reno_sweeps.search.driver import Driver
from reno_sweeps.search.fold_files import FoldFiles
from reno_sweeps.search.ledger import Ledger
from reno_sweeps.search.plan import Plan
from reno_sweeps.space import Float
from tests.search.pretend import EPOCHS, SEARCH, Pretend, a_plan

WRITES = ("create_new_trial", "set_trial_state_values", "set_trial_user_attr", "set_study_user_attr")


@dataclass
class Heard:
    """A listener that remembers."""

    trials: list[tuple[int, str]] = field(default_factory=list)
    beside_: list[tuple[str, int]] = field(default_factory=list)

    def trial(self, trial) -> None:
        self.trials.append((trial.number, trial.state))

    def elsewhere(self, trial) -> None:
        self.trials.append((trial.number, f"{trial.state} elsewhere"))

    def beside(self, owner, scores) -> None:
        self.beside_.append((owner, len(scores)))

    def tick(self) -> None:
        pass


def opened(url: str, plan: Plan) -> Ledger:
    direction = plan.sweep.objective.direction
    return Ledger(url, "sweep", direction=direction, facts={"identity": "f00", "ahead": plan.ahead})


def drive(url: str, plan: Plan, workers: Pretend, **options) -> tuple[bool, Ledger, Driver]:
    """Open, search, let go, as `run` and `resume` do."""
    ledger = opened(url, plan)
    ledger.take_lease(time.time())
    driver = Driver(plan, ledger, workers, options.pop("listener", Heard()), **options)
    finished = driver.search()
    ledger.end_lease()
    return finished, ledger, driver


def after(asks: int):
    """An interrupt at the so-many-th time that the driver asks; it stays."""
    left = [asks]

    def interrupted() -> bool:
        left[0] -= 1
        return left[0] < 0

    return interrupted


def picture(url: str, plan: Plan) -> list[tuple]:
    """What a sweep found, its times aside; a failed trial's other folds were stopped by chance."""
    trials = opened(url, plan).trials
    return [
        (t.number, t.cell, t.state, t.proposal, t.objective, t.reason, *((t.curve, t.scores) if t.objective else ()))
        for t in trials
    ]


@pytest.fixture
def plan(tmp_path) -> Plan:
    return a_plan(tmp_path)


@pytest.fixture(scope="module")
def straight(tmp_path_factory, empty) -> list[tuple]:
    """One worker, one trial after another, nothing in between."""
    folder = tmp_path_factory.mktemp("straight")
    url, plan = f"sqlite:///{folder}/study.db", a_plan(folder)
    finished, *_ = drive(url, plan, Pretend(capacity=1))

    assert finished
    return picture(url, plan)


def test_the_pretended_sweep_has_something_of_everything(straight):
    assert {state for _, _, state, *_ in straight} == {"complete", "failed"}
    assert len(straight) == 8


@pytest.mark.parametrize(
    ("seed", "capacity", "cohort", "dies"),
    [(1, 1, 1, 0.0), (2, 2, 1, 0.0), (3, 8, 1, 0.02), (4, 1, 3, 0.02), (5, 2, 2, 0.0), (6, 1, 8, 0.02), (7, 3, 4, 0.1)],
)
def test_order_of_events_workers_cohorts_and_their_deaths_change_nothing(
    seed, capacity, cohort, dies, url, tmp_path, straight
):
    plan = a_plan(tmp_path, cohort=cohort)
    workers = Pretend(capacity, seed, dies)
    drive(url, plan, workers)

    assert picture(url, plan) == straight
    assert len(workers.sent) == len(set(workers.sent)) == 16
    assert workers.most <= capacity + 1


@pytest.mark.parametrize(("seconds", "expected"), [(0.01, {1}), (1e6, {1, 4})])
def test_cohorts_of_light_trainings_fill_once_their_pace_is_known_and_change_nothing(
    seconds, expected, url, tmp_path, monkeypatch
):
    monkeypatch.setattr(share, "COHORT_SECONDS", seconds)  # a pretended trial takes two
    sent: list[int] = []

    class Counting(Pretend):
        def send(self, models):
            sent.append(len({model.key.owner for model in models}))
            super().send(models)

    plan = a_plan(tmp_path, ahead=8, cohort=None, budget={"trials": 40})
    drive(url, plan, Counting(2, 3))
    one_by_one = f"sqlite:///{tmp_path}/other.db"
    drive(one_by_one, a_plan(tmp_path / "other", ahead=8, budget={"trials": 40}), Pretend(1))

    assert set(sent[:3]) == {1}
    assert set(sent) >= expected
    assert max(sent) == max(expected)
    assert sum(sent) / len(sent) > (1 if seconds < 1 else 2) - 1e-9
    assert picture(url, plan) == picture(one_by_one, plan)


@pytest.mark.parametrize("cut", range(0, 30, 3))
def test_an_interrupt_at_any_point_and_a_resume_change_nothing_and_repeat_nothing(cut, url, plan, straight):
    drive(url, plan, Pretend(2, cut), interrupted=after(cut))
    before = opened(url, plan).trials
    again = Pretend(1 + cut % 3, cut + 1)
    drive(url, plan, again)
    stored = {Key(f"trial {t.number}", s.repeat, s.fold) for t in before for s in t.scores}
    ended = {f"trial {t.number}" for t in before if t.ended}

    assert picture(url, plan) == straight
    assert not stored & set(again.sent)
    assert not ended & {key.owner for key in again.sent}
    assert all(t.state != "running" for t in before)


def test_interrupts_one_after_another_come_to_the_same_end(url, plan, straight):
    rounds = 0
    while not drive(url, plan, Pretend(2, rounds, dies=0.02), interrupted=after(4))[0]:
        rounds += 1

    assert picture(url, plan) == straight
    assert rounds > 2


class KilledError(BaseException):
    """As a killed process: nothing after it is done."""


class AllAtOnce(Pretend):
    """Everything that training tells comes together."""

    def take(self, wait):
        news = []
        while self._cohorts:
            news += self._step()
        return news


def kill_at(monkeypatch, write: int) -> None:
    """Let so many storage writes pass; the next kills."""
    made = []

    def dying(real):
        def call(*args, **options):
            if len(made) == write:
                raise KilledError
            made.append(real)
            return real(*args, **options)

        return call

    for name in WRITES:
        monkeypatch.setattr(RDBStorage, name, dying(getattr(RDBStorage, name)))
    monkeypatch.setattr(Transaction, "commit", dying(Transaction.commit))


@pytest.mark.parametrize("write", range(0, 66, 3))
def test_a_death_at_any_write_or_commit_and_a_resume_change_nothing(write, url, plan, straight, monkeypatch):
    with monkeypatch.context() as dying:
        kill_at(dying, write)
        with pytest.raises(KilledError):
            drive(url, plan, Pretend(2, write))
    ledger = opened(url, plan)
    if "lease" in ledger.facts:  # this process lives on: let its lease end as a dead driver's does
        ledger.keep("lease", None)

    assert all(len(t.scores) == 2 for t in ledger.trials if t.state == "complete")
    drive(url, plan, Pretend(2, write + 1))
    assert picture(url, plan) == straight


def test_a_trial_whose_folds_were_all_stored_as_it_was_interrupted_ends_at_once(url, tmp_path):
    plan = a_plan(tmp_path, budget={"trials": 1})
    drive(url, plan, AllAtOnce(1), interrupted=after(0))
    assert [(t.state, len(t.scores)) for t in opened(url, plan).trials] == [("waiting", 2)]

    again = Pretend(1)
    finished, ledger, _ = drive(url, plan, again)

    assert finished
    assert again.sent == []
    assert [(t.state, len(t.scores)) for t in ledger.trials] == [("complete", 2)]


KILLED = """
import sys, time
from pathlib import Path
from tests.search.pretend import Pretend, a_plan
from tests.search.test_driver import drive

class Slow(Pretend):
    def take(self, wait):
        time.sleep(0.03)
        return super().take(wait)

print("up", flush=True)
drive(sys.argv[1], a_plan(Path(sys.argv[2])), Slow(2, int(sys.argv[3])))
"""


@pytest.mark.slow
def test_a_driver_that_is_killed_again_and_again_comes_to_the_same_end(url, tmp_path, straight):
    root = str(Path(__file__).parents[2])
    for seed in range(3):
        driver = subprocess.Popen(
            [sys.executable, "-c", KILLED, url, str(tmp_path), str(seed)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        assert driver.stdout.readline() == "up\n"
        time.sleep(0.3 + 0.2 * seed)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    plan = a_plan(tmp_path)
    drive(url, plan, Pretend(2))

    assert picture(url, plan) == straight


# --- budgets ---


def test_a_longer_budget_keeps_what_was_and_goes_on_as_if_it_had_been_so_long(url, plan, straight, tmp_path):
    drive(url, plan, Pretend(2))
    longer = a_plan(tmp_path, budget={"trials": 12})
    again = Pretend(2, 1)
    drive(url, longer, again)
    other = f"sqlite:///{tmp_path}/other.db"
    drive(other, a_plan(tmp_path / "other", budget={"trials": 12}), Pretend(1))

    assert picture(url, longer)[:8] == straight
    assert picture(url, longer) == picture(other, longer)
    assert {int(key.owner.split()[1]) for key in again.sent} == {8, 9, 10, 11}


def test_a_finished_sweep_sends_nothing(url, plan):
    drive(url, plan, Pretend(2))
    again = Pretend(2)

    assert drive(url, plan, again)[0]
    assert again.sent == []


def test_a_smaller_budget_trains_nothing_beyond_it(url, tmp_path):
    drive(url, a_plan(tmp_path, ahead=8), Pretend(1), interrupted=after(1))
    again = Pretend(1)
    drive(url, a_plan(tmp_path, ahead=8, budget={"trials": 4}), again)

    assert {key.owner for key in again.sent} <= {f"trial {number}" for number in range(4)}
    assert [t.ended for t in opened(url, a_plan(tmp_path)).trials[:4]] == [True] * 4


def test_after_the_time_is_over_nothing_begins_and_what_runs_ends(url, tmp_path, straight):
    moments = iter(range(1000))
    limited = a_plan(tmp_path, budget={"seconds": 12.0})
    finished, ledger, _ = drive(url, limited, Pretend(1), now=lambda: float(next(moments)))
    states = [t.state for t in ledger.trials]

    assert finished
    assert 0 < sum(state in {"complete", "failed"} for state in states) < 8
    assert set(states) <= {"complete", "failed", "waiting"}
    plan = a_plan(tmp_path)
    drive(url, plan, Pretend(1))
    assert picture(url, plan) == straight


def test_cells_take_turns_each_with_the_whole_budget(url, tmp_path):
    plan = a_plan(tmp_path, cells=2, budget={"trials": 3})
    _, ledger, driver = drive(url, plan, Pretend(3))

    assert [t.cell for t in ledger.trials] == [0, 1, 0, 1, 0, 1]
    assert driver.asked == 6
    assert driver.best(1).cell == 1


def test_a_grid_smaller_than_the_budget_is_all_that_is_asked(url, tmp_path):
    search = {"training.lr": Float(0.01, 0.04, step=0.01)}
    plan = a_plan(tmp_path, search=search, budget={"sampler": "grid"})
    _, ledger, driver = drive(url, plan, Pretend(2))

    assert driver.asked == 4
    assert sorted(t.proposal["training.lr"] for t in ledger.trials) == pytest.approx([0.01, 0.02, 0.03, 0.04])


def test_nothing_searched_is_one_trial(url, tmp_path):
    _, ledger, driver = drive(url, a_plan(tmp_path, search={}), Pretend(2))

    assert driver.asked == len(ledger.trials) == 1


# --- trials ---


def test_a_failed_fold_fails_its_trial_with_the_reason_and_stops_the_others(url, tmp_path):
    plan = a_plan(tmp_path, folds=3, budget={"trials": 14})
    workers = Pretend(1, 6)
    _, ledger, _ = drive(url, plan, workers)
    failed = [t for t in ledger.trials if t.state == "failed"]
    told = {event.key: event.reason for event in workers.heard if isinstance(event, FoldFailed)}

    assert failed
    for trial in failed:
        assert trial.reason == f"fold 0: {told[Key(f'trial {trial.number}')]}"
        assert trial.objective is None
        others = {Key(f"trial {trial.number}", 0, fold) for fold in (1, 2)}
        finished = {event.key for event in workers.heard if isinstance(event, FoldFinished)}
        assert others <= workers.stopped | finished
    assert workers.stopped
    assert {key.owner for key in workers.stopped} <= {f"trial {t.number}" for t in failed}


def test_an_objective_is_the_mean_of_its_folds(url, plan):
    _, ledger, _ = drive(url, plan, Pretend(2))
    for trial in ledger.trials:
        if trial.state == "complete":
            values = [score.validation["macro_f1"] for score in trial.scores]

            assert trial.objective == pytest.approx(sum(values) / 2)
            assert trial.curve[-1] == pytest.approx(trial.objective)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_pruned_trials_are_told_with_the_curve_up_to_the_verdict(pruner, url, tmp_path):
    plan = a_plan(tmp_path, budget={"pruner": pruner, "trials": 24, "sampler": "random"})
    workers = Pretend(2, 1)
    _, ledger, driver = drive(url, plan, workers)
    pruned = [t for t in ledger.trials if t.state == "pruned"]
    other = f"sqlite:///{tmp_path}/other.db"
    everything = a_plan(tmp_path / "other", budget={"trials": 24, "sampler": "random"})

    assert pruned
    for trial in pruned:
        step = int(trial.reason.rsplit(" ", 1)[1])
        assert trial.reason.startswith(f"{pruner}: val_macro_f1 {trial.curve[-1]:.4f} at step")
        assert len(trial.curve) == step < EPOCHS
        assert trial.objective is None
        assert {key.owner for key in workers.stopped} >= {f"trial {trial.number}"}
    if pruner == "median":
        assert driver.best().number == drive(other, everything, Pretend(2))[2].best().number


@pytest.mark.parametrize("pruner", ["median", "hyperband", "wilcoxon"])
def test_no_verdict_depends_on_a_test_part(pruner, url, tmp_path):
    class Otherwise(Pretend):
        def take(self, wait):
            news = super().take(wait)
            ends = {i: e.result for i, e in enumerate(news) if isinstance(e, FoldFinished)}
            for i, result in ends.items():
                wrong = {name: 1 - value for name, value in result.test.items()}
                curves = {**result.curves, "test_macro_f1": (1.0, 0.0)}
                news[i] = replace(news[i], result=replace(result, test=wrong, curves=curves))
            return news

    plan = a_plan(tmp_path, folds=5, budget={"pruner": pruner, "trials": 16})
    other = f"sqlite:///{tmp_path}/other.db"
    drive(url, plan, Pretend(2, 1))
    drive(other, plan, Otherwise(2, 1))
    verdicts = [[(t.proposal, t.state, t.objective, t.reason) for t in opened(u, plan).trials] for u in (url, other)]

    assert verdicts[0] == verdicts[1]
    assert "pruned" in {state for _, state, *_ in verdicts[0]}


def test_a_resume_replays_what_the_pruner_knew(url, tmp_path):
    plan = a_plan(tmp_path, budget={"pruner": "hyperband", "trials": 24, "sampler": "random"})
    rounds = 0
    while not drive(url, plan, Pretend(1, rounds), interrupted=after(25))[0]:
        rounds += 1
    states = [t.state for t in opened(url, plan).trials]

    assert rounds
    assert states.count("pruned") > 3
    assert len(states) == 24


def test_wilcoxon_gives_up_after_four_folds_that_are_worse(url, tmp_path):
    plan = a_plan(tmp_path, folds=5, budget={"pruner": "wilcoxon", "trials": 12, "sampler": "random"})
    _, ledger, _ = drive(url, plan, Pretend(1, 2))
    pruned = [t for t in ledger.trials if t.state == "pruned"]

    assert pruned
    assert all(len(t.scores) >= 4 for t in pruned)


def test_the_best_is_the_earliest_of_the_best_in_the_objectives_direction(url, plan, tmp_path):
    _, ledger, driver = drive(url, plan, Pretend(2))
    objectives = {t.number: t.objective for t in ledger.trials if t.state == "complete"}
    least = replace(plan.sweep, objective=replace(plan.sweep.objective, direction="minimize"))
    other = Driver(replace(plan, sweep=least), ledger, Pretend(2), Heard())

    assert driver.best().number == max(objectives, key=objectives.get)
    assert other.best().number == min(objectives, key=objectives.get)


def test_models_are_paired_over_trials_by_fold_and_repeat(tmp_path):
    plan = a_plan(tmp_path, folds=2, protocol=Protocol(n_folds=1, repeats=2, seed=7))
    trial = opened(f"sqlite:///{tmp_path}/s.db", plan).add(0, {"training.lr": 0.01}, SEARCH)
    one, other = plan.models(trial)

    assert (one.key, other.key) == (Key("trial 0", 0, 0), Key("trial 0", 1, 0))
    assert (one.seed, other.seed) == (seed_from(7, 0, 0), seed_from(7, 1, 0))
    assert one.values["training.lr"] == 0.01
    assert plan.models(trial, skip=frozenset({(0, 0)})) == [other]


def test_listeners_hear_of_every_trial_after_it_is_stored(url, plan):
    heard = Heard()
    _, ledger, _ = drive(url, plan, Pretend(2), listener=heard)
    ends = {number: state for number, state in heard.trials if state != "running"}

    assert ends == {t.number: t.state for t in ledger.trials}
    assert sorted(number for number, state in heard.trials if state == "running") == list(range(8))


# --- files ---


def test_only_the_best_trial_keeps_its_weights(url, plan):
    _, _, driver = drive(url, plan, Pretend(2))
    kept = [place.name for place in (plan.folder / "weights").iterdir()]

    assert kept == [f"trial-{driver.best().number:04d}"]


def test_a_lost_file_of_an_unfinished_trial_is_trained_again_and_of_a_told_one_not(url, plan, straight):
    cut = 0
    while True:
        cut += 1
        drive(url, plan, Pretend(2, cut), interrupted=after(3))
        trials = opened(url, plan).trials
        begun = [(t, s) for t in trials for s in t.scores if not t.ended]
        told = [s for t in trials for s in t.scores if t.ended]
        if begun and told:
            break
    for score in (begun[0][1], told[0]):
        (plan.folder / score.file).unlink()
    again = Pretend(2, 1)
    drive(url, plan, again)

    assert picture(url, plan) == straight
    assert Key(f"trial {begun[0][0].number}", 0, begun[0][1].fold) in again.sent
    assert (plan.folder / begun[0][1].file).is_file()
    assert not (plan.folder / told[0].file).is_file()


def test_weights_of_a_trial_that_ends_at_once_and_not_as_the_best_are_not_even_written(url, plan, monkeypatch):
    written = []
    write = FoldFiles.write
    monkeypatch.setattr(
        FoldFiles, "write", lambda *fold: written.append((fold[1].owner, fold[2].weights)) or write(*fold)
    )
    _, ledger, driver = drive(url, plan, AllAtOnce(1))
    complete = {f"trial {t.number}" for t in ledger.trials if t.state == "complete"}
    told = [owner for owner, weights in written if weights is None]

    assert set(told) <= complete - {f"trial {driver.best().number}"}
    assert len(told) >= 2
    assert {place.name for place in (plan.folder / "weights").iterdir()} == {f"trial-{driver.best().number:04d}"}
    assert len(list((plan.folder / "weights").rglob("*.safetensors"))) == 2


# --- baselines and refits ---


def beside(plan: Plan, owner: str):
    """The first trial's models under another owner."""
    trial = opened(f"sqlite:///{plan.folder.parent}/study.db", plan).trials[0]
    return [replace(model, key=replace(model.key, owner=owner)) for model in plan.models(trial)]


def test_a_refit_is_trained_once_and_kept(url, plan):
    heard = Heard()
    _, _, driver = drive(url, plan, Pretend(2), listener=heard)
    models = beside(plan, "refit 0")
    scores = driver.train("refit 0", models)
    workers = Pretend(2)
    _, ledger, again = drive(url, plan, workers, listener=heard)

    assert again.train("refit 0", models) == scores
    assert workers.sent == []
    assert [s.fold for s in scores] == [0, 1]
    assert heard.beside_ == [("refit 0", 2)] * 2
    assert set(ledger.facts) >= {"extra:refit 0:0:0", "extra:refit 0:0:1"}


def test_a_refit_has_no_validation_part_and_keeps_its_weights(url, plan):
    class Refit(AllAtOnce):
        def take(self, wait):
            events = super().take(wait)
            ends = [e for e in events if isinstance(e, FoldFinished)]
            return [replace(e, result=replace(e.result, validation={}, validation_probabilities=None)) for e in ends]

    drive(url, plan, Pretend(2))
    _, _, driver = drive(url, plan, Refit(2))
    scores = driver.train("refit 0", beside(plan, "refit 0"))

    assert [dict(s.validation) for s in scores] == [{}, {}]
    assert len(list((plan.folder / "weights" / "refit-0000").iterdir())) == 2


def test_a_refit_whose_file_is_lost_is_trained_again_for_that_fold(url, plan):
    _, _, driver = drive(url, plan, Pretend(2))
    models = beside(plan, "refit 0")
    scores = driver.train("refit 0", models)
    (plan.folder / scores[1].file).unlink()
    workers = Pretend(2)
    _, _, again = drive(url, plan, workers)

    assert again.train("refit 0", models) == scores
    assert workers.sent == [Key("refit 0", 0, 1)]
    assert (plan.folder / scores[1].file).is_file()


def test_an_interrupted_baseline_stops_and_a_resume_finishes_it(url, plan):
    drive(url, plan, Pretend(2))
    workers = Pretend(2)
    _, _, driver = drive(url, plan, workers, interrupted=lambda: True)
    models = beside(plan, "baseline linear")

    assert driver.train("baseline linear", models) is None
    assert workers.stopped <= {model.key for model in models}
    _, _, again = drive(url, plan, Pretend(2))
    assert len(again.train("baseline linear", models)) == 2


def test_a_baseline_that_fails_is_no_result_and_no_end_of_the_sweep(url, plan, caplog):
    class Failing(Pretend):
        def take(self, wait):
            return [FoldFailed(event.key, "no memory") for event in super().take(wait)]

    drive(url, plan, Pretend(2))
    _, _, driver = drive(url, plan, Failing(2))

    assert driver.train("baseline linear", beside(plan, "baseline linear")) is None
    assert "baseline linear, fold 0 failed: no memory" in caplog.text


def test_late_words_of_models_that_have_ended_are_passed_over(url, plan):
    class Echo(Pretend):
        def take(self, wait):
            late = [FoldFailed(Key("trial 0"), "late"), FoldFailed(Key("refit 0"), "late")]
            return [*super().take(wait), *(late if not self._cohorts else [])]

    drive(url, plan, Pretend(2))
    longer = replace(plan, sweep=replace(plan.sweep, budget=replace(plan.sweep.budget, trials=9)))
    _, ledger, _ = drive(url, longer, Echo(2))

    assert len(ledger.trials) == 9
    assert ledger.trials[8].ended
