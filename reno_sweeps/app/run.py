"""`run` and `resume`: from an opened sweep to its result, whatever was done of it before."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps import interrupt, lines
from reno_sweeps.app import beside, devices, leftovers, mirror, nested, parent, reporting, stored, turns
from reno_sweeps.app.opening import Opened, state_of, write_state
from reno_sweeps.app.preparing import Prepared, prepare
from reno_sweeps.app.progress import Progress
from reno_sweeps.records import FoldScore, Model, Trial
from reno_sweeps.reports import cautions, summary, text

if TYPE_CHECKING:
    from reno_sweeps.search.driver import Driver
    from reno_sweeps.search.ledger import Ledger
    from reno_sweeps.search.plan import Plan
    from tracking.writer import Writer

logger = logging.getLogger(__name__)

AHEAD = 8  # `budget.ahead: auto` on a CPU; on a GPU the cohort's size
PARENT_EVERY = 5.0  # seconds between two updates of the parent run while trials end
CATCH_UP = 60.0  # seconds that MLflow has at the end; what it misses is replayed by the next resume or status


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command ends with."""

    result: dict[str, Any]
    exit_code: int
    home: Path
    messages: tuple[str, ...] = ()


def drive(opened: Opened, *, quiet: bool = False) -> Outcome:
    """Drive a sweep to its end, or until it is interrupted: exit codes 0, 3 (too many failed) and 130."""
    began = time.monotonic()
    lines.about(opened.name)
    with ExitStack() as stack:
        try:
            session = _Session(opened, prepare(opened, stack, quiet=quiet), stack, quiet=quiet)
        except Exception:  # refused before anything began; an interrupt is no refusal: resume goes on
            opened.discard()
            raise
        write_state(opened)
        try:
            finished = session.drive()
        except BaseException:
            session.leave()
            raise
        return session.outcome(finished, time.monotonic() - began)


def _ahead(opened: Opened) -> int:
    """`budget.ahead: auto`, settled when the sweep is created: on a GPU a cohort, so that cohorts fill."""
    from reno_sweeps.search.share import GPU_COHORT

    cohort = opened.settings.cohort or GPU_COHORT
    return max(AHEAD, cohort) if devices.settle(opened.settings.device) == "cuda" else AHEAD


def _trained(driver: Driver, models: Sequence[Model]) -> bool:
    """Train a baseline or a refit; False: interrupted. One that fails was said, and does not end the sweep."""
    return driver.train(models[0].key.owner, models) is not None or not driver.was_interrupted


class _Session:
    """One driver's time with a sweep: ledger, mirror, workers; in this order they are opened and asked."""

    def __init__(self, opened: Opened, prepared: Prepared, stack: ExitStack, *, quiet: bool) -> None:
        from reno_sweeps.search.ledger import Ledger

        self._opened, self._prepared, self._stack, self._quiet = opened, prepared, stack, quiet
        self._corpus, sweep = prepared.extraction.corpus, opened.sweep
        data = stored.write_data(opened.folder, self._corpus, prepared.folds, sweep.protocol)
        facts = {"ahead": sweep.budget.ahead or _ahead(opened), "identity": opened.identity}
        self._ledger: Ledger = Ledger(
            opened.settings.storage, opened.name, direction=sweep.objective.direction, facts=facts
        )
        self._ledger.take_lease(time.time())
        stack.callback(self._ledger.end_lease)
        self._stored = stored.Stored(state_of(opened), opened.settings, sweep, data, self._ledger)
        self._writer = self._open_mirror()
        self._progress: Progress | None = None
        self._worked = 0.0
        self._told = 0.0
        self._crew: Callable[[], dict[str, Any]] | None = None
        self._known: dict[str, Any] | None = None

    def _open_mirror(self) -> Writer:
        from tracking import names
        from tracking.system import SystemMetrics
        from tracking.writer import Writer

        settings = self._opened.settings
        writer = Writer(settings.tracking_uri, settings.home / "artifacts", say=logger.warning)
        with self._ledger.in_turn():  # of two drivers that begin at once the second finds the first's runs
            place = writer.open_sweep(parent.sweep_row(self._stored, "RUNNING"))
        self._stack.callback(writer.close, 1.0)
        self._ledger.keep("experiment_id", place.experiment_id)
        self._ledger.keep("parent_run_id", place.parent_run_id)
        watched = SystemMetrics.of_run(settings.tracking_uri, place.parent_run_id)
        if watched is not None:
            self._stack.callback(watched.stop)
        elsewhere = {names.trial(t.number) for t in self._ledger.trials if self._ledger.elsewhere(t.number)}
        for row in mirror.run_rows(self._stored):  # what an earlier driver could not write any more
            if row.key not in elsewhere:
                writer.write(row)
        return writer

    # --- listening to the driver ---

    def trial(self, trial: Trial) -> None:
        """Stored already: show it."""
        self._writer.write(mirror.trial_row(trial, self._opened.sweep))
        if trial.ended and time.monotonic() - self._told > PARENT_EVERY:
            self._writer.update_sweep(parent.sweep_row(self._stored, "RUNNING"))
            self._told = time.monotonic()
        if self._progress is not None:
            self._progress.trial(trial)

    def elsewhere(self, trial: Trial) -> None:
        """Another driver's, who shows it in MLflow."""
        if self._progress is not None:
            self._progress.trial(trial)

    def beside(self, owner: str, scores: Sequence[FoldScore]) -> None:
        """Stored already: show it."""
        if self._progress is not None:
            self._progress.beside(owner, scores)

    def tick(self) -> None:
        """Show where things stand."""
        if self._crew is not None and (crew := self._crew()) != self._known:
            self._ledger.keep_crew(crew)
            self._known = crew
        if self._progress is not None:
            self._progress.tick()

    # --- driving ---

    def drive(self) -> bool:
        """Search, then baselines and the refit; False: interrupted."""
        from reno_sweeps.search.plan import Plan

        plan = Plan(
            self._opened.sweep,
            self._prepared.folds.splits,
            self._opened.folder,
            ahead=self._ledger.facts["ahead"],
            cohort=self._opened.settings.cohort,
        )
        if self._nothing_is_left():
            return True
        self._align()
        self._ledger.keep("done", None)  # until it is again: a longer sweep may have another winner
        began = time.monotonic()
        with interrupt.catching("ending at the end of this epoch") as caught:
            finished = self._drive(plan, caught.is_set)
        self._worked = time.monotonic() - began
        if finished:
            self._ledger.keep("done", self._opened.sweep.budget.trials)
        return finished

    def _nothing_is_left(self) -> bool:
        """Whether all was done before; a sweep that ended by its time, or had no baselines, may go on."""
        facts, wanted = self._ledger.facts, self._opened.settings.baselines
        ended = sum(trial.ended for trial in self._ledger.trials)
        done = facts.get("done") == self._opened.sweep.budget.trials and ended >= facts.get("asked", 0)
        controlled = any(key.startswith("extra:control ") for key in facts) or not self._opened.settings.controls
        return done and controlled and (not wanted or "majority" in facts)

    def _drive(self, plan: Plan, interrupted: Callable[[], bool]) -> bool:
        from reno_sweeps import cluster

        settings = self._opened.settings
        cluster.prepare(settings.ray_address)
        from reno_sweeps.config.sweep_file import cost
        from reno_sweeps.search.dispatch import Dispatcher
        from reno_sweeps.search.driver import Driver

        with Dispatcher(
            self._data(), address=settings.ray_address, device=settings.device, gpus=settings.gpus
        ) as workers:
            plan = replace(plan, device=workers.share.device)
            self._crew = workers.crew
            driver = Driver(plan, self._ledger, workers, self, interrupted=interrupted)
            self._ledger.keep("asked", driver.asked)
            trials = self._ledger.trials
            sweep = self._opened.sweep
            with Progress(sweep, trials, asked=driver.asked, quiet=self._quiet) as self._progress:
                count, device = workers.share.workers, workers.share.device
                said = f"sweep {self._opened.name}: {count} workers on {device}"
                self._progress.say(said, "begin", workers=count, device=device)
                if sweep.protocol.selection == "nested":
                    asked = cost(sweep)
                    inner, whole = asked["nested_trainings"], asked["trainings"]
                    self._progress.say(f"nested: {inner} of {whole} trainings search inside the outer folds", "nested")
                for message in self._prepared.folds.messages:
                    self._progress.say(text.spell(message), "data")  # paths come from others
                for sentence in cautions.of_data(self._ledger.facts):
                    self._progress.say(f"caution: {text.spell(sentence)}", "caution", "warning")
                finished = driver.search()
                ours = finished and turns.wait_for_end(self._ledger, sweep.budget.trials, interrupted)
                finished = self._finish(driver, plan) if ours else finished and ours is not None
            if ours and finished and sweep.protocol.selection == "nested":
                quiet, name = self._quiet, self._opened.name
                outer = nested.Outer(plan, self._corpus, self._ledger, name, workers, interrupted, quiet)
                finished = outer.drive()
            return finished

    def _align(self) -> None:
        """Whether the rows of every encoder belong to their clips: looked at once, kept as a fact."""
        if "alignment" not in self._ledger.facts:
            arrays, labels = self._prepared.extraction.arrays, [clip.label for clip in self._corpus.clips]
            self._ledger.keep("telltales", beside.telltales(arrays, labels))
            self._ledger.keep("alignment", beside.aligned(arrays, labels, self._opened.sweep.protocol.seed))

    def _data(self) -> Any:
        import numpy as np

        from reno_sweeps.training.data import Data

        classes = self._corpus.classes
        labels = np.array([classes.index(clip.label) for clip in self._corpus.clips], dtype=np.int64)
        arrays = dict(self._prepared.extraction.arrays)
        if self._opened.settings.controls:
            arrays |= beside.shuffled(arrays, self._opened.sweep.protocol.seed)
        return Data(arrays, labels, classes)

    def _finish(self, driver: Driver, plan: Plan) -> bool:
        """Baselines on the same folds and the winner's refit, outside the budget."""
        best = driver.best()
        if best is None:
            return True
        models = []
        if self._opened.settings.baselines:
            self._ledger.keep("linear", beside.LINEAR)
            from reno_sweeps.folds import without_seeds

            own = without_seeds(self._prepared.folds.splits, plan.sweep.protocol)
            self._ledger.keep("majority", beside.majority(self._data(), own))
            models.append(beside.linear_models(plan, best))
        if self._opened.sweep.protocol.selection != "paper":
            models.append(beside.refit_models(plan, best))
        if self._opened.settings.controls:
            models.append(beside.control_models(plan, best))
        return all(_trained(driver, group) for group in models)

    # --- the end ---

    def leave(self) -> None:
        """Something ended the driver: MLflow shows nothing as running that is not."""
        for trial in self._ledger.trials:
            if trial.state == "running" and not self._ledger.elsewhere(trial.number):
                self._writer.write(mirror.trial_row(replace(trial, state="waiting"), self._opened.sweep))
        self._writer.update_sweep(parent.sweep_row(self._stored, self._left_as("KILLED")))

    def _left_as(self, status: str) -> str:
        """The parent run's status after this driver: RUNNING where others go on."""
        return "RUNNING" if self._ledger.others and status == "KILLED" else status

    def outcome(self, finished: bool, seconds: float) -> Outcome:
        """Bring MLflow up to date, and say what there is."""
        for row in mirror.run_rows(self._stored):
            self._writer.write(row)
        self._writer.drain(CATCH_UP)
        self._ledger.keep(summary.FORMER, mirror.run_ids(self._stored, self._writer.run_id))
        if self._worked or "ended" not in self._ledger.facts:
            self._ledger.keep("ended", time.time())
            self._keep_seconds(seconds)
        if not self._ledger.others:
            leftovers.drop_halves(self._opened.folder)
        if self._ledger.trials:
            reporting.keep_maps(self._stored, self._prepared.extraction.arrays)
            reporting.write_report(self._stored)
        self._writer.update_sweep(parent.sweep_row(self._stored, "FINISHED" if finished else self._left_as("KILLED")))
        behind = self._writer.drain(CATCH_UP)
        name = self._opened.name
        messages = []
        if behind:
            messages.append(f"MLflow is {behind} runs behind; `reno-sweep resume {name}` brings it up to date")
        result = self._stored.summary()
        home = self._opened.settings.home
        if not finished:
            messages.append(f"interrupted; go on with: reno-sweep resume {name}")
            return Outcome(result, interrupt.INTERRUPTED, home, tuple(messages))
        failed = result["trials"]["failed"] + nested.failed(self._ledger.facts)
        limit = self._opened.settings.max_failed
        if failed > limit:
            messages.append(f"{failed} trials failed (--max-failed {limit}); their reasons are in MLflow")
        return Outcome(result, 3 if failed > limit else 0, home, tuple(messages))

    def _keep_seconds(self, seconds: float) -> None:
        known = self._ledger.facts.get("seconds", {})
        new = {
            "total": seconds,
            "embedding": self._prepared.seconds,
            "training": self._worked,
            "tracking_wait": self._writer.waited_seconds,
        }
        self._ledger.keep("seconds", {name: round(known.get(name, 0.0) + value, 3) for name, value in new.items()})
