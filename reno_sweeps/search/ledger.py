"""The truth: a sweep in Optuna's storage. Trials, finished folds, what selects, who drives."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from reno_sweeps.records import FoldScore, Trial, UserError
from reno_sweeps.search import lease
from reno_sweeps.search.storage import StorageError, TakenOverError, explained, shown
from reno_sweeps.search.stored_study import DRIVER, StoredStudy
from reno_sweeps.search.study import STATES, adopted, frozen
from reno_sweeps.space import Distribution, Value

__all__ = ["Ledger", "StorageError"]


class Ledger(StoredStudy):
    """One sweep's study. Every change is written before it is seen here: what `trials` shows, a crash cannot take.

    Facts of the sweep (identity, settled protocol, baselines, refits) are user attributes of the study; a finished
    (trial, fold) is one user attribute of its trial; a trial is told after its last fold is stored. Changes that
    belong together are stored together: `with ledger.together(): …`.

    A storage that is no local file is shared: several drivers may drive the sweep, each with a lease of its own. Every
    transaction is then a turn (changes.py), which begins with what the others did; `take_news` tells of it.
    """

    def __init__(self, url: str, name: str, *, direction: str, facts: Mapping[str, Any] | None = None) -> None:
        """Open the study `name`; with `facts`, create it where there is none.

        Raises UserError where the storage cannot be opened, or the study is another sweep's.
        """
        super().__init__(url, name, direction=direction, make=facts is not None)
        self._driving, self._renewed = False, 0.0
        if facts:
            self._begin(facts)

    def _begin(self, facts: Mapping[str, Any]) -> None:
        """Keep the facts of a sweep that has none yet; refuse another sweep's study."""
        if "identity" not in self.facts:  # new, or created by a driver that died at once
            for key in sorted(facts, key=lambda key: key == "identity"):  # last: a study without it was never begun
                self._keep_first(key, facts[key])
        if self.facts["identity"] != facts["identity"]:
            raise UserError(
                f"{shown(self.url)} has another sweep named {self.name!r}\n"
                "give this one another --name, or another --storage"
            )

    def _keep_first(self, key: str, value: Any) -> None:
        with self.in_turn():
            if not self.shared or key not in self.facts:  # else another driver was faster
                self.keep(key, value)

    # --- who drives ---

    def take_lease(self, now: float) -> None:
        """Become the driver: refuse where another lives; put what a dead one was training back to WAITING.

        On a shared storage become one of the drivers: nobody is refused.
        """
        if self.shared:
            with self.together():
                self._driving = True
                self._renew()
                self._put_back_from({self._me})
            return
        with self.together(at_once=True):
            self._refresh()  # another driver may have gone on since this one looked
            other, mine = self._holder(), lease.own(now)
            if other is not None and other.alive(now) and not other.same_driver(mine):
                raise UserError(
                    f"sweep {self.name!r} is driven by process {other.pid} on {other.host}\n"
                    "stop that one first, or wait"
                )
            self.keep("lease", mine.to_dict())
            self._renewed = now
            for trial in self.trials:
                if trial.state == "running":
                    self.put_back(trial.number)

    def renew_lease(self, now: float) -> None:
        """Say that the driver lives; costs a write every few seconds. Refuses where another has taken over."""
        if self.shared:  # every turn renews it when it is time
            if not self._changes.open and time.monotonic() - self._renewed > lease.RENEW:
                with self.together():
                    pass
            return
        if now - self._renewed < lease.RENEW:
            return
        mine, other = lease.own(now), self._holder()
        if other is None or not other.same_driver(mine):
            raise TakenOverError(f"sweep {self.name!r} was taken over by another driver while this one did not answer")
        self.keep("lease", mine.to_dict())
        self._renewed = now

    def end_lease(self) -> None:
        """Let go, with what is still running put back to WAITING; nothing where another has taken over."""
        if self.shared:
            self._driving = False
            with contextlib.suppress(TakenOverError), self.together():
                self._put_back_from({self._me})
                self.keep("leases", {k: v for k, v in self._leases().items() if k != self._me})
            return
        other = self._holder()
        if other is None or not other.same_driver(lease.own(0.0)):
            return
        for trial in self.trials:
            if trial.state == "running":
                self.put_back(trial.number)
        self.keep("lease", None)

    def keep_crew(self, crew: Mapping[str, Any]) -> None:
        """Tell who works for this driver, for those who watch; what dead drivers told is forgotten."""
        with self.in_turn():
            known = {self._me} | {other.driver for other in self.others}
            crews = {driver: found for driver, found in (self.facts.get("crews") or {}).items() if driver in known}
            self.keep("crews", {**crews, self._me: crew})

    def elsewhere(self, number: int) -> bool:
        """Whether another driver trains a trial."""
        running = self.trials[number].state == "running"
        return self.shared and running and self._drivers.get(number) != self._me

    @property
    def others(self) -> list[lease.Lease]:
        """The other drivers, as far as the last turn knew."""
        return [lease.Lease(**plain) for driver, plain in self._leases().items() if driver != self._me]

    def take_end(self) -> bool:
        """Whether what comes after the search is this driver's to do: of several the first's that asks.

        Where that one dies, it is the next one's that asks.
        """
        if not self.shared:
            return True
        with self.together():
            if self.facts.get("ends") in {other.driver for other in self.others}:
                return False
            self.keep("ends", self._me)
            return True

    def _leases(self) -> dict[str, Any]:
        return dict(self.facts.get("leases") or {})

    def _holder(self) -> lease.Lease | None:
        with explained(self.url):
            held = self._storage.get_study_user_attrs(self._study).get("lease")
        return lease.Lease(**held) if held else None

    def _stay(self) -> None:
        """Renew a lease when it is time; at the same time see to those of dead drivers."""
        mine = self._leases().get(self._me)
        if self._driving and (mine is None or self._changes.now - mine["renewed"] > lease.RENEW):
            self._renew()

    def _renew(self) -> None:
        now, leases = self._changes.now, self._leases()
        mine = leases.get(self._me)
        # After an outage all leases look ended: who was away himself gives the others time to come back.
        away = mine is not None and now - mine["renewed"] > lease.LASTS / 2
        dead = set() if away else {d for d, plain in leases.items() if not lease.Lease(**plain).alive(now)} - {self._me}
        leases = {driver: plain for driver, plain in leases.items() if driver not in dead}
        self.keep("leases", {**leases, self._me: lease.own(now).to_dict()})
        self._renewed = time.monotonic()
        known = {*leases, self._me}
        self._put_back_from({driver for driver in self._drivers.values() if driver not in known})

    def _put_back_from(self, drivers: set[str | None]) -> None:
        """What these were training waits again."""
        for trial in self.trials:
            if trial.state == "running" and self._drivers.get(trial.number) in drivers:
                self.put_back(trial.number)
                self._news[trial.number] = None

    # --- trials ---

    def add(self, cell: int, proposal: Mapping[str, Value], search: Mapping[str, Distribution]) -> Trial:
        """Create the next trial, WAITING."""
        template = frozen("waiting", proposal, search)
        template.user_attrs = {"cell": cell}

        with self.in_turn():
            return self._create(template, Trial(len(self.trials), cell, "waiting", dict(proposal)))

    def adopt(self, trial: Trial, search: Mapping[str, Distribution]) -> None:
        """Create the next trial as another ledger had it: state, scores and times. ValueError where it fits nowhere."""
        template = adopted(trial, search)
        folds = {f"fold:{score.repeat}:{score.fold}": score.to_dict() for score in trial.scores}
        known = {"curve": list(trial.curve) or None, "reason": trial.reason}
        known = {key: value for key, value in known.items() if value is not None}
        template.user_attrs = {"cell": trial.cell, **folds, **known}
        with self.in_turn():
            self._create(template, replace(trial, number=len(self.trials)))

    def _create(self, template: FrozenTrial, trial: Trial) -> Trial:
        def create() -> None:
            self._ids[trial.number] = self._storage.create_new_trial(self._study, template)

        self._changes.do(create)
        self._drivers[trial.number] = None
        self.trials.append(trial)
        return trial

    def claim(self, number: int, now: float) -> bool:
        """WAITING → RUNNING by compare-and-set: False where another driver was faster."""
        with self.in_turn():
            if not self._write(lambda: self._storage.set_trial_state_values(self._ids[number], TrialState.RUNNING)):
                return False
            if self.shared:
                self._attribute(number, DRIVER, self._me)
                self._drivers[number] = self._me
            started = self.trials[number].started or now
            self._replace(number, state="running", started=started)
        return True

    def put_back(self, number: int) -> None:
        """RUNNING → WAITING: its finished folds stay, the others will be trained again."""
        self._write(lambda: self._storage.set_trial_state_values(self._ids[number], TrialState.WAITING))
        self._replace(number, state="waiting")

    def keep_fold(self, number: int, score: FoldScore) -> None:
        """Store a finished fold. Its file is already there."""
        self._attribute(number, f"fold:{score.repeat}:{score.fold}", score.to_dict())
        others = [s for s in self.trials[number].scores if (s.repeat, s.fold) != (score.repeat, score.fold)]
        self._replace(number, scores=tuple(sorted([*others, score], key=lambda s: (s.repeat, s.fold))))

    def drop_fold(self, number: int, repeat: int, fold: int) -> None:
        """Forget a finished fold of an unfinished trial: its file is lost, it will be trained again."""
        self._attribute(number, f"fold:{repeat}:{fold}", None)
        kept = [s for s in self.trials[number].scores if (s.repeat, s.fold) != (repeat, fold)]
        self._replace(number, scores=tuple(kept))

    def tell(
        self,
        number: int,
        state: str,
        *,
        now: float,
        objective: float | None = None,
        curve: Sequence[float] = (),
        reason: str | None = None,
    ) -> Trial:
        """End a trial: complete with its objective, pruned or failed with the reason."""
        if curve:
            self._attribute(number, "curve", list(curve))
        if reason:
            self._attribute(number, "reason", reason)
        values = None if objective is None else [objective]
        self._write(lambda: self._storage.set_trial_state_values(self._ids[number], STATES[state], values))
        return self._replace(number, state=state, objective=objective, curve=tuple(curve), reason=reason, finished=now)

    def _attribute(self, number: int, key: str, value: Any) -> None:
        self._write(lambda: self._storage.set_trial_user_attr(self._ids[number], key, value))

    def _replace(self, number: int, **changes: Any) -> Trial:
        self.trials[number] = replace(self.trials[number], **changes)
        return self.trials[number]
