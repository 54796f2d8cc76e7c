"""The ledger on a real SQLite file: what it said is there after any death, and read back equal to the last bit."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.storages import RDBStorage

from reno_sweeps.records import Trial, UserError
from reno_sweeps.search import lease, ledger, storage
from reno_sweeps.search.ledger import Ledger, StorageError
from reno_sweeps.space import Categorical, Float, Int

SPACE = {
    "lr": Float(1e-6, 1.0, log=True),
    "decay": Float(0.0, 0.9, step=0.1),
    "width": Int(1, 2**40),
    "kind": Categorical((None, True, False, "a+b", 'ü"{', 0.1, 7)),
    "beta": Float(1.05, 10.0, when=(("kind", "a+b"),)),
}
LR, FACTS = 0.1 + 0.2 * 1e-5 / 3, {"ahead": 8, "identity": "f00"}
WRITES = ("create_new_trial", "set_trial_state_values", "set_trial_user_attr", "set_study_user_attr")


def begin(url: str, name: str = "sweep", facts=FACTS, direction: str = "maximize") -> Ledger:
    return Ledger(url, name, direction=direction, facts=facts)


def proposal(kind=None) -> dict:
    return {"lr": LR, "decay": 0.30000000000000004, "width": 2**33 + 1, "kind": kind}


def said(ledger: Ledger) -> dict:
    """The facts without the mark of a shared storage's transactions."""
    return {key: value for key, value in ledger.facts.items() if key != "turn"}


def timeless(trial: Trial) -> Trial:
    """The storage notes its own times, a moment after ours."""
    return replace(trial, started=None, finished=None)


# --- what was written is there ---


def test_a_full_storage_takes_a_transaction_whole_or_not_at_all(url):
    one = begin(url)
    one.add(0, proposal(), SPACE)
    one.claim(0, time.time())

    def fill() -> None:
        one.tell(0, "complete", now=time.time(), objective=0.5)
        pages = one._changes._connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        one._changes._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        for _ in range(500):
            one.add(0, proposal(), SPACE)

    with pytest.raises(StorageError), one.together():
        fill()

    (trial,) = begin(url).trials
    assert (trial.state, trial.objective) == ("running", None)


@pytest.mark.parametrize("kind", SPACE["kind"].values)
def test_a_proposal_is_read_back_equal_in_value_type_and_last_bit(kind, url):
    asked = proposal(kind) | ({"beta": 1.05 + 1e-15} if kind == "a+b" else {})
    begin(url).add(0, asked, SPACE)
    (again,) = begin(url).trials

    assert again.proposal == asked
    assert [type(again.proposal[name]) for name in asked] == [type(value) for value in asked.values()]
    assert set(again.proposal) == set(asked)


def test_everything_is_read_back_equal(url, fold_score):
    one = begin(url)
    for _ in range(5):
        one.add(1, proposal("a+b") | {"beta": 10.0}, SPACE)
    for number in (0, 1, 2, 3):
        one.claim(number, time.time())
    for repeat, fold in ((1, 0), (0, 1), (0, 0)):
        one.keep_fold(0, fold_score(fold, repeat))
    one.keep_fold(2, fold_score(3))
    one.tell(0, "complete", now=time.time(), objective=1 / 3, curve=(0.1, 1 / 3))
    one.tell(1, "failed", now=time.time(), reason="fold 2: loss became infinite — “ü”\n")
    one.tell(2, "pruned", now=time.time(), curve=(5e-324,), reason="median")
    one.keep("extra:refit 0:0:0", fold_score().to_dict())
    again = begin(url)

    assert [timeless(t) for t in again.trials] == [timeless(t) for t in one.trials]
    assert again.facts == one.facts
    for was, now in zip(one.trials, again.trials, strict=True):
        assert (now.started is None, now.finished is None) == (was.started is None, was.finished is None)
        assert now.started == pytest.approx(was.started, abs=5) if was.started else True
    assert [t.state for t in again.trials] == ["complete", "failed", "pruned", "running", "waiting"]
    assert [(s.repeat, s.fold) for s in again.trials[0].scores] == [(0, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 0.0, -1e308])
def test_an_extreme_objective_is_read_back(value, url):
    one = begin(url, direction="minimize")
    one.add(0, proposal(), SPACE)
    one.claim(0, 0.0)
    one.tell(0, "complete", now=0.0, objective=value)

    assert begin(url).trials[0].objective == value


def test_a_fold_can_be_stored_again_and_dropped(url, fold_score):
    one = begin(url)
    one.add(0, proposal(), SPACE)
    one.claim(0, 0.0)
    for score in (fold_score(0), fold_score(1), fold_score(0, value=0.25)):
        one.keep_fold(0, score)
    one.drop_fold(0, 0, 1)

    assert [s.validation["macro_f1"] for s in one.trials[0].scores] == [0.25]
    assert timeless(begin(url).trials[0]) == timeless(one.trials[0])


def test_a_storage_is_made_where_there_is_none(tmp_path):
    url = f"sqlite:///{tmp_path}/new.db"

    assert begin(url).facts == begin(url).facts == FACTS


def test_two_sweeps_in_one_storage_know_nothing_of_each_other(url):
    one, other = begin(url, "one"), begin(url, "other", {"identity": "b"})
    one.add(0, proposal(), SPACE)
    other.add(0, proposal(True), SPACE)
    other.add(0, proposal(), SPACE)

    assert [t.number for t in begin(url, "other", {"identity": "b"}).trials] == [0, 1]
    assert begin(url, "one").trials[0].proposal["kind"] is None


# --- who claims, who drives ---


def test_a_claim_is_given_to_one_of_two(url):
    one = begin(url)
    one.add(0, proposal(), SPACE)
    other = begin(url)

    assert one.claim(0, 0.0)
    assert not other.claim(0, 0.0)
    one.put_back(0)
    assert other.claim(0, 0.0)


def test_what_a_dead_driver_was_training_waits_again_with_its_folds(url, fold_score):
    dead = begin(url)
    dead.keep("lease", lease.Lease("another", "boot", 1, 1.0, renewed=1000.0).to_dict())
    for _ in range(3):
        dead.add(0, proposal(), SPACE)
    for number in (0, 1):
        dead.claim(number, 0.0)
        dead.keep_fold(number, fold_score(2))
    dead.tell(0, "complete", now=0.0, objective=0.5)
    alive = begin(url)
    alive.take_lease(1000.0 + lease.LASTS)

    assert [t.state for t in alive.trials] == ["complete", "waiting", "waiting"]
    assert [len(t.scores) for t in alive.trials] == [1, 1, 0]
    assert [timeless(t) for t in begin(url).trials] == [timeless(t) for t in alive.trials]


@pytest.mark.parametrize("moment", [1000.0, 1000.0 + lease.LASTS - 1])
def test_a_living_lease_refuses_and_says_who(moment, url):
    one = begin(url)
    one.keep("lease", lease.Lease("another", "boot", 321, 1.0, renewed=1000.0).to_dict())

    with pytest.raises(UserError, match="'sweep' is driven by process 321 on another"):
        begin(url).take_lease(moment)


def test_taking_the_lease_sees_what_a_driver_did_since_the_ledger_was_opened(url, fold_score):
    early = begin(url)
    other = begin(url)
    other.take_lease(time.time())
    other.add(0, proposal(), SPACE)
    other.claim(0, 0.0)
    other.keep_fold(0, fold_score())
    other.end_lease()
    early.take_lease(time.time())

    assert early.add(0, proposal(), SPACE).number == 1
    assert [len(t.scores) for t in early.trials] == [1, 0]


def test_a_driver_that_was_taken_over_stops_and_lets_the_other_be(url):
    slow = begin(url)
    slow.take_lease(1000.0)
    slow.add(0, proposal(), SPACE)
    slow.claim(0, 1000.0)
    theirs = lease.Lease("another", "boot", 1, 1.0, renewed=2000.0).to_dict()
    begin(url).keep("lease", theirs)
    slow.renew_lease(1001.0)

    with pytest.raises(StorageError, match="taken over"):
        slow.renew_lease(1000.0 + lease.RENEW)
    slow.end_lease()
    again = begin(url)
    assert again.facts["lease"] == theirs
    assert again.trials[0].state == "running"


def test_a_lease_is_renewed_now_and_then_and_ends(url):
    one = begin(url)
    one.take_lease(1000.0)
    one.renew_lease(1000.0 + lease.RENEW)
    assert begin(url).facts["lease"]["renewed"] == 1000.0 + lease.RENEW

    one.end_lease()
    assert begin(url).facts["lease"] is None


# --- which sweep ---


def test_another_sweep_of_that_name_is_refused(url):
    begin(url)

    with pytest.raises(UserError, match="another sweep named 'sweep'\ngive this one another --name"):
        begin(url, facts={"identity": "other"})


def test_an_unknown_sweep_is_refused_where_none_may_be_made(url):
    begin(url, "known")

    with pytest.raises(UserError, match="no sweep named 'unknown'"):
        begin(url, "unknown", facts=None)


# --- death between two writes ---


class KilledError(BaseException):
    """As a killed process: nothing after it is done."""


def one_trial_after_another(one: Ledger, fold_score) -> None:
    one.take_lease(time.time())
    for _ in range(len(one.trials), 2):
        one.add(0, proposal(), SPACE)
    for number in range(2):
        if one.trials[number].ended or not one.claim(number, 0.0):
            continue
        for fold in {0, 1} - {s.fold for s in one.trials[number].scores}:
            one.keep_fold(number, fold_score(fold))
        if number:
            one.tell(number, "failed", now=0.0, reason="why", curve=(0.5,))
        else:
            one.tell(number, "complete", now=0.0, objective=0.5, curve=(0.5,))
    one.end_lease()


def dies_at(monkeypatch, write: int) -> None:
    """Let storage calls be made until `write` of them were; the next kills."""
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


@pytest.mark.parametrize("write", range(17))
def test_after_a_death_between_any_two_writes_the_ledger_is_whole_and_goes_on(write, url, fold_score, monkeypatch):
    with monkeypatch.context() as dying:
        dies_at(dying, write)
        with pytest.raises(KilledError):
            one_trial_after_another(begin(url), fold_score)
    found = begin(url)

    assert found.facts["identity"] == "f00"
    assert found.facts["ahead"] == 8
    assert all(len(t.scores) == 2 for t in found.trials if t.ended)
    assert all(not t.curve and t.reason is None for t in found.trials if not t.ended)

    one_trial_after_another(found, fold_score)
    assert [(t.state, t.objective, len(t.scores), t.curve, t.reason) for t in begin(url).trials] == [
        ("complete", 0.5, 2, (0.5,), None),
        ("failed", None, 2, (0.5,), "why"),
    ]


def test_a_trial_that_nearly_failed_and_then_completed_has_no_reason(url, monkeypatch):
    one = begin(url)
    one.add(0, proposal(), SPACE)
    one.claim(0, 0.0)
    with monkeypatch.context() as dying:
        dies_at(dying, 2)  # curve and reason are there, the state is not
        with pytest.raises(KilledError):
            one.tell(0, "failed", now=0.0, reason="a worker was killed", curve=(0.1,))
    again = begin(url)
    again.take_lease(0.0)
    again.claim(0, 0.0)
    again.tell(0, "complete", now=0.0, objective=0.5, curve=(0.5,))

    assert begin(url).trials[0].reason is None


# --- changes that belong together ---


def several_changes(one: Ledger, fold_score) -> None:
    one.keep("fact", 1)
    one.claim(0, 0.0)
    one.keep_fold(0, fold_score())
    one.tell(0, "complete", now=0.0, objective=0.5, curve=(0.5,))
    one.add(0, proposal(), SPACE)


def several_changes_after_a_loss(one: Ledger, fold_score) -> None:
    one.keep("early", 1)
    one._changes._transaction.rollback()  # as Optuna does where another process has written the same key
    several_changes(one, fold_score)


def several_changes_then(error: type[BaseException], one: Ledger, fold_score) -> None:
    several_changes(one, fold_score)
    raise error


def test_changes_made_together_are_seen_by_others_at_once_at_the_end(url, fold_score):
    one = begin(url)
    one.add(0, proposal(), SPACE)
    with one.together():
        several_changes(one, fold_score)
        before = begin(url)
    after = begin(url)

    assert [t.state for t in before.trials] == ["waiting"]
    assert "fact" not in before.facts
    assert [timeless(t) for t in after.trials] == [timeless(t) for t in one.trials]
    assert [t.state for t in after.trials] == ["complete", "waiting"]
    assert after.facts == one.facts


@pytest.mark.parametrize("error", [KilledError, RuntimeError, UserError])
def test_of_changes_made_together_an_error_leaves_none_here_or_there(error, url, fold_score):
    one = begin(url)
    one.add(0, proposal(), SPACE)
    trials = one.trials
    with pytest.raises(error), one.together():
        several_changes_then(error, one, fold_score)

    assert one.trials is trials  # whoever shows them sees it too
    assert [t.state for t in trials] == [t.state for t in begin(url).trials] == ["waiting"]
    assert said(one) == said(begin(url)) == FACTS
    with one.together():
        several_changes(one, fold_score)
    assert [timeless(t) for t in begin(url).trials] == [timeless(t) for t in one.trials]


def test_after_a_transaction_is_lost_half_way_nothing_more_of_it_is_written(url, fold_score):
    one = begin(url)
    one.add(0, proposal(), SPACE)
    with pytest.raises(StorageError, match="gave a transaction up"), one.together():
        several_changes_after_a_loss(one, fold_score)

    assert [t.state for t in one.trials] == [t.state for t in begin(url).trials] == ["waiting"]
    assert said(begin(url)) == FACTS


def test_a_commit_that_fails_is_said_in_one_line_and_nothing_has_happened(url, fold_score, monkeypatch):
    monkeypatch.setattr(storage, "WAIT", 0)
    one = begin(url)
    one.add(0, proposal(), SPACE)
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM trials").fetchone()  # a reader that never ends keeps a writer from its commit
        with pytest.raises(StorageError, match=r"does not work: database is locked$"), one.together():
            several_changes(one, fold_score)

    assert [t.state for t in one.trials] == [t.state for t in begin(url).trials] == ["waiting"]


# --- storages that do not work ---


def garbage(folder: Path) -> str:
    (folder / "study.db").write_bytes(b"no database at all" * 100)
    return f"sqlite:///{folder}/study.db"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (garbage, "does not work: file is not a database"),
        (lambda folder: f"sqlite:///{folder}/no/such/folder/study.db", "does not work: unable to open"),
        (lambda folder: "no address", "does not work: Could not parse"),
        (lambda folder: "sqlite+none://", "does not work: Can't load plugin"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_said_in_one_line(make, why, tmp_path):
    with pytest.raises(StorageError, match=why) as refusal:
        begin(make(tmp_path))

    assert "\n" not in str(refusal.value)


def test_a_read_only_storage_is_said_in_one_line_and_changes_nothing_here(url):
    begin(url)
    one = begin(url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true")

    with pytest.raises(StorageError, match=r"does not work: attempt to write a readonly database$"):
        one.add(0, proposal(), SPACE)
    with pytest.raises(StorageError):
        one.keep("new", 1)
    assert one.trials == []
    assert "new" not in one.facts


def test_a_password_is_not_said(monkeypatch):
    def refuses(*args, **options):
        raise ModuleNotFoundError("no driver", name="psycopg")

    monkeypatch.setattr(storage.sqlalchemy, "create_engine", refuses)

    said = r"postgresql://me:\*\*\*@host/db cannot be used: no driver\npip install \"reno-sweeps\[postgres\]\""
    with pytest.raises(StorageError, match=said):
        begin("postgresql://me:secret@host/db")


FULL = """
import json, resource, sys
from pathlib import Path
from reno_sweeps.search.ledger import Ledger, StorageError
from reno_sweeps.space import Float

url, room = sys.argv[1], int(sys.argv[2])
one = Ledger(url, "sweep", direction="maximize", facts={"identity": "f00"})
size = Path(url.removeprefix("sqlite:///")).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
try:
    while True:
        one.add(0, {"lr": 1 / (3 + len(one.trials))}, {"lr": Float(1e-4, 1.0)})
except StorageError as error:
    print(json.dumps([len(one.trials), str(error)]))
"""


def test_a_full_disk_is_said_in_one_line_and_what_was_said_before_is_there(url):
    done = subprocess.run(
        [sys.executable, "-c", FULL, url, "9000"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(ledger.__file__).parents[2])},
    )
    count, said = json.loads(done.stdout)
    found = begin(url)

    assert "does not work: " in said
    assert "\n" not in said
    assert count > 3
    assert [t.proposal["lr"] for t in found.trials] == [1 / (3 + i) for i in range(count)]
    assert found.add(0, {"lr": 0.5}, {"lr": Float(1e-4, 1.0)}).number == count
