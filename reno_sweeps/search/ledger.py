"""The truth: a sweep in Optuna's storage. Trials, finished folds, what selects, who drives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy.exc
import sqlalchemy.orm
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import RootTransaction, make_url

from reno_sweeps.records import FoldScore, Trial, UserError
from reno_sweeps.search import lease
from reno_sweeps.search.study import STATES, frozen
from reno_sweeps.space import Distribution, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = {state: word for word, state in STATES.items()}
WAIT = 60  # seconds that a write waits for another process's write to a local SQLite file


class Ledger:
    """One sweep's study. Every change is written before it is seen here: what `trials` shows, a crash cannot take.

    Facts of the sweep (identity, settled protocol, baselines, refits) are user attributes of the study; a finished
    (trial, fold) is one user attribute of its trial; a trial is told after its last fold is stored. Changes that
    belong together are stored together: `with ledger.together(): …`.
    """

    def __init__(self, url: str, name: str, *, direction: str, facts: Mapping[str, Any] | None = None) -> None:
        """Open the study `name`; with `facts`, create it where there is none.

        Raises UserError where the storage cannot be opened, or the study is another sweep's.
        """
        self.url, self.name = url, name
        self._transaction: RootTransaction | None = None
        with _explained(url):
            self._storage = _open(url)
            self._study = self._find_or_create(direction, facts)
        self._refresh()
        if facts and "identity" not in self.facts:  # created by a driver that died at once
            for key in sorted(facts, key=lambda key: key == "identity"):  # last: a study without it was never begun
                self.keep(key, facts[key])
        if facts and self.facts["identity"] != facts["identity"]:
            raise UserError(
                f"{_shown(url)} has another sweep named {name!r}\ngive this one another --name, or another --storage"
            )

    def _find_or_create(self, direction: str, facts: Mapping[str, Any] | None) -> int:
        try:
            return int(self._storage.get_study_id_from_name(self.name))
        except KeyError:
            if facts is None:
                raise UserError(f"{_shown(self.url)} has no sweep named {self.name!r}") from None
        way = StudyDirection.MAXIMIZE if direction == "maximize" else StudyDirection.MINIMIZE
        try:
            return int(self._storage.create_new_study([way], self.name))
        except DuplicatedStudyError:  # another process was faster
            return int(self._storage.get_study_id_from_name(self.name))

    def _refresh(self) -> None:
        with _explained(self.url):
            self.facts: dict[str, Any] = self._storage.get_study_user_attrs(self._study)
            read = self._storage.get_all_trials(self._study, deepcopy=False)
        self._ids = {trial.number: trial._trial_id for trial in read}  # Optuna's storages name trials by it
        self.trials: list[Trial] = [_read(trial) for trial in sorted(read, key=lambda t: t.number)]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Store the changes made inside in one transaction: all or none of them, here as in the storage.

        A transaction costs a sync of the disk, its changes hardly anything. Whoever tells others of a change (workers,
        MLflow) waits until the block has ended.
        """
        trials, facts, own = list(self.trials), dict(self.facts), self._storage.scoped_session
        with _explained(self.url):
            connection = self._storage.engine.connect()
        self._transaction = transaction = connection.begin()
        # Optuna commits after every change; a session that joins an open transaction leaves that to us.
        joined = sqlalchemy.orm.sessionmaker(bind=connection, join_transaction_mode="rollback_only")
        self._storage.scoped_session = sqlalchemy.orm.scoped_session(joined)
        try:
            yield
            with _explained(self.url):
                transaction.commit()
        except BaseException:
            self.trials[:], self.facts = trials, facts
            with _explained(self.url):
                connection.rollback()  # also after a commit that failed, which would keep its lock
            raise
        finally:
            self._storage.scoped_session, self._transaction = own, None
            connection.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One write; refused where the transaction that it belongs to has been lost."""
        if self._transaction is not None and not self._transaction.is_active:
            raise StorageError(
                f"the study's storage {_shown(self.url)} gave a transaction up: another process wrote too"
            )
        with _explained(self.url):
            yield

    # --- the sweep ---

    def keep(self, key: str, value: Any) -> None:
        """Store a fact of the sweep; None takes it back."""
        with self._writing():
            self._storage.set_study_user_attr(self._study, key, value)
        self.facts[key] = json.loads(json.dumps(value))  # as a reader finds it: tuples are lists

    def take_lease(self, now: float) -> None:
        """Become the driver: refuse where another lives; put what a dead one was training back to WAITING."""
        self._refresh()  # another driver may have gone on since this one looked
        other, mine = self._holder(), lease.own(now)
        if other is not None and other.alive(now) and not other.same_driver(mine):
            raise UserError(
                f"sweep {self.name!r} is driven by process {other.pid} on {other.host}\nstop that one first, or wait"
            )
        self.keep("lease", mine.to_dict())
        self._renewed = now
        for trial in self.trials:
            if trial.state == "running":
                self.put_back(trial.number)

    def renew_lease(self, now: float) -> None:
        """Say that the driver lives; costs a write every few seconds. Refuses where another has taken over."""
        if now - self._renewed < lease.RENEW:
            return
        mine, other = lease.own(now), self._holder()
        if other is None or not other.same_driver(mine):
            raise StorageError(f"sweep {self.name!r} was taken over by another driver while this one did not answer")
        self.keep("lease", mine.to_dict())
        self._renewed = now

    def end_lease(self) -> None:
        """Let go, with what is still running put back to WAITING; nothing where another has taken over."""
        other = self._holder()
        if other is None or not other.same_driver(lease.own(0.0)):
            return
        for trial in self.trials:
            if trial.state == "running":
                self.put_back(trial.number)
        self.keep("lease", None)

    def _holder(self) -> lease.Lease | None:
        with _explained(self.url):
            held = self._storage.get_study_user_attrs(self._study).get("lease")
        return lease.Lease(**held) if held else None

    # --- trials ---

    def add(self, cell: int, proposal: Mapping[str, Value], search: Mapping[str, Distribution]) -> Trial:
        """Create the next trial, WAITING."""
        template = frozen("waiting", proposal, search)
        template.user_attrs = {"cell": cell}
        with self._writing():
            trial_id = self._storage.create_new_trial(self._study, template)
        number = len(self.trials)
        self._ids[number] = trial_id
        trial = Trial(number, cell, "waiting", dict(proposal))
        self.trials.append(trial)
        return trial

    def claim(self, number: int, now: float) -> bool:
        """WAITING → RUNNING by compare-and-set: False where another driver was faster."""
        with self._writing():
            if not self._storage.set_trial_state_values(self._ids[number], TrialState.RUNNING):
                return False
        started = self.trials[number].started or now
        self._replace(number, state="running", started=started)
        return True

    def put_back(self, number: int) -> None:
        """RUNNING → WAITING: its finished folds stay, the others will be trained again."""
        with self._writing():
            self._storage.set_trial_state_values(self._ids[number], TrialState.WAITING)
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
        with self._writing():
            self._storage.set_trial_state_values(self._ids[number], STATES[state], values)
        return self._replace(number, state=state, objective=objective, curve=tuple(curve), reason=reason, finished=now)

    def _attribute(self, number: int, key: str, value: Any) -> None:
        with self._writing():
            self._storage.set_trial_user_attr(self._ids[number], key, value)

    def _replace(self, number: int, **changes: Any) -> Trial:
        self.trials[number] = replace(self.trials[number], **changes)
        return self.trials[number]


def _open(url: str) -> RDBStorage:
    arguments = {"connect_args": {"timeout": WAIT}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    return RDBStorage(url, engine_kwargs=arguments)


def _read(trial: FrozenTrial) -> Trial:
    attributes, ended = trial.user_attrs, trial.state.is_finished()
    scores = [FoldScore.from_dict(v) for k, v in attributes.items() if k.startswith("fold:") and v is not None]
    return Trial(
        number=trial.number,
        cell=attributes.get("cell", 0),
        state=WORDS[trial.state],
        proposal=trial.params,
        scores=tuple(sorted(scores, key=lambda s: (s.repeat, s.fold))),
        curve=tuple(attributes.get("curve", ())) if ended else (),  # a driver may have died before the trial was told
        objective=trial.values[0] if trial.values else None,
        reason=attributes.get("reason") if trial.state in {TrialState.FAIL, TrialState.PRUNED} else None,
        started=trial.datetime_start.timestamp() if trial.datetime_start else None,
        finished=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
    )


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Storage errors in one line: the storage cannot be opened, is full, is read-only, or is damaged."""
    try:
        yield
    except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        cause = error.__cause__ or error
        raise StorageError(f"the study's storage {_shown(url)} does not work: {_line(cause)}") from error
    except (ImportError, RuntimeError) as error:  # no driver for the URL; a schema of another Optuna
        raise StorageError(f"the study's storage {_shown(url)} cannot be used: {_line(error)}") from error


def _shown(url: str) -> str:
    """Without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url


def _line(error: BaseException) -> str:
    said = str(getattr(error, "orig", error)).splitlines()
    return said[0] if said else type(error).__name__


class StorageError(UserError):
    """The truth cannot be read or written: the sweep stops at once, and goes on with resume."""
