"""The ledger on PostgreSQL: the contract that it keeps on SQLite, and what only a shared storage has."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb import models

from reno_sweeps.search import changes, lease, storage
from reno_sweeps.search.ledger import Ledger, StorageError
from tests.search import test_ledger as contract
from tests.search.test_ledger import (
    FACTS,
    SPACE,
    begin,
    proposal,
    several_changes,
    timeless,
)

CONTRACT = (  # the same tests, with a database's `url`; those of leases on a local storage are not for it
    "test_a_proposal_is_read_back_equal_in_value_type_and_last_bit",
    "test_everything_is_read_back_equal",
    "test_an_extreme_objective_is_read_back",
    "test_a_fold_can_be_stored_again_and_dropped",
    "test_two_sweeps_in_one_storage_know_nothing_of_each_other",
    "test_another_sweep_of_that_name_is_refused",
    "test_an_unknown_sweep_is_refused_where_none_may_be_made",
    "test_after_a_death_between_any_two_writes_the_ledger_is_whole_and_goes_on",
    "test_a_trial_that_nearly_failed_and_then_completed_has_no_reason",
    "test_changes_made_together_are_seen_by_others_at_once_at_the_end",
    "test_of_changes_made_together_an_error_leaves_none_here_or_there",
    "test_after_a_transaction_is_lost_half_way_nothing_more_of_it_is_written",
)
globals().update({name: getattr(contract, name) for name in CONTRACT})

ROOT = str(Path(storage.__file__).parents[2])


@pytest.fixture
def another(monkeypatch):
    """`another(url)`: a driver in another process, as far as a lease tells."""

    def make(url: str, pid: int = 1, host: str = "another") -> Ledger:
        with monkeypatch.context() as there:
            there.setattr(lease, "own", lambda now: lease.Lease(host, "boot", pid, 1.0, now))
            one = begin(url)
        real = one._renew

        def renew() -> None:
            with monkeypatch.context() as there:
                there.setattr(lease, "own", lambda now: lease.Lease(host, "boot", pid, 1.0, now))
                real()

        one._renew = renew
        return one

    return make


def shown(ledger: Ledger) -> list:
    return [timeless(trial) for trial in ledger.trials]


# --- several drivers ---


def test_drivers_see_what_others_did_at_the_begin_of_every_turn(url, another, fold_score):
    one, other = begin(url), another(url)
    one.take_lease(0.0)
    other.take_lease(0.0)
    for ledger in (one, other, one):
        ledger.add(0, proposal(), SPACE)
    assert one.claim(0, 0.0)
    assert not other.claim(0, 0.0)
    assert other.claim(1, 0.0)
    other.keep_fold(1, fold_score())
    other.tell(1, "complete", now=0.0, objective=0.5)
    one.take_news()
    with one.together():
        news = one.take_news()

    assert news == [1]
    assert shown(one) == shown(begin(url))
    assert [t.state for t in one.trials] == ["running", "complete", "waiting"]
    assert [other.elsewhere(number) for number in range(3)] == [True, False, False]


def test_what_a_dead_driver_was_training_waits_again_and_a_living_ones_goes_on(url, another, fold_score):
    one, dead, living = begin(url), another(url, pid=1), another(url, pid=2)
    for ledger in (one, dead, living):
        ledger.take_lease(0.0)
    for number, ledger in enumerate((one, dead, living)):
        ledger.add(0, proposal(), SPACE)
        ledger.claim(number, 0.0)
        ledger.keep_fold(number, fold_score())
    with one.together():
        leases = one.facts["leases"]
        leases[dead._me]["renewed"] -= lease.LASTS  # by the server's clock
        leases[one._me]["renewed"] -= lease.RENEW + 1
        one.keep("leases", leases)
    with one.together():
        pass

    assert [(t.state, len(t.scores)) for t in begin(url).trials] == [("running", 1), ("waiting", 1), ("running", 1)]
    assert 1 in one.take_news()
    assert {other.pid for other in one.others} == {2}
    with pytest.raises(StorageError, match="taken over"), dead.together():
        pass
    with living.together():
        living.tell(2, "complete", now=0.0, objective=0.5)


def test_who_was_away_himself_gives_the_others_time(url, another):
    one, other = begin(url), another(url)
    other.take_lease(0.0)
    one.take_lease(0.0)
    with one.together():  # an outage of the storage: nobody could renew
        leases = {d: {**plain, "renewed": plain["renewed"] - lease.LASTS - 5} for d, plain in one._leases().items()}
        one.keep("leases", leases)
    with one.together():
        pass
    assert other._me in one.facts["leases"]

    with one.together():
        leases = one._leases()
        leases[one._me]["renewed"] -= lease.RENEW + 1
        one.keep("leases", leases)
    with one.together():
        pass
    assert other._me not in one.facts["leases"]


def test_letting_go_gives_back_what_was_running_and_ends_one_lease(url, another):
    one, other = begin(url), another(url)
    for number, ledger in enumerate((one, other)):
        ledger.take_lease(0.0)
        ledger.add(0, proposal(), SPACE)
        ledger.claim(number, 0.0)
    one.end_lease()
    again = begin(url)

    assert [t.state for t in again.trials] == ["waiting", "running"]
    assert list(again.facts["leases"]) == [other._me]


def test_what_comes_after_the_search_is_one_drivers_and_anothers_when_it_dies(url, another):
    one, other = begin(url), another(url)
    one.take_lease(0.0)
    other.take_lease(0.0)

    assert one.take_end()
    assert one.take_end()
    assert not other.take_end()
    one.end_lease()
    assert other.take_end()


RACE = """
import sys, time
from reno_sweeps.search.ledger import Ledger
from reno_sweeps.space import Float
url, moment = sys.argv[1], float(sys.argv[2])
time.sleep(max(0.0, moment - time.time()))
one = Ledger(url, "sweep", direction="maximize", facts={"identity": "f00", "ahead": int(sys.argv[3])})
one.take_lease(0.0)
for _ in range(5):
    one.add(0, {"lr": 0.5}, {"lr": Float(0.1, 1.0)})
won = [n for n in range(5) if one.claim(n, 0.0)]
print(one.facts["ahead"], *won, flush=True)
sys.stdin.read()  # a driver that ended would leave its trials to the others
"""


def processes(script: str, count: int, *arguments: str) -> list[subprocess.Popen]:
    moment = str(time.time() + 6)  # when all have imported
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])}
    return [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments, moment, str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for number in range(count)
    ]  # fmt: skip


@pytest.mark.timeout(1000)
def test_four_processes_that_open_an_empty_database_at_once_agree_and_claim_each_trial_once(postgres):
    url = postgres.database()
    drivers = processes(RACE, 4, url)
    words = [driver.stdout.readline().split() for driver in drivers]
    errors = [driver.communicate()[1] for driver in drivers]

    assert [driver.returncode for driver in drivers] == [0] * 4, errors
    assert len({ahead for ahead, *_ in words}) == 1
    assert sorted(number for _, *won in words for number in won) == list("01234")
    found = Ledger(url, "sweep", direction="maximize")
    assert [t.number for t in found.trials] == list(range(20))


def test_a_storage_that_another_is_still_making_is_waited_for(postgres):
    url = postgres.database()
    maker = sqlalchemy.create_engine(url)
    opening = threading.Thread(target=storage.open_storage, args=(url,))
    with maker.begin() as making:
        making.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": storage._MAKING})
        models.BaseModel.metadata.create_all(maker)  # what Optuna makes first
        opening.start()
        opening.join(timeout=1.0)

        assert opening.is_alive()
        RDBStorage(url).engine.dispose()
        assert opening.is_alive()
    opening.join(timeout=30)
    maker.dispose()

    assert not opening.is_alive()
    assert begin(url).trials == []


# --- outages ---


@pytest.fixture
def impatient(monkeypatch):
    """A driver that gives an outage three seconds."""
    monkeypatch.setattr(changes, "PATIENCE", 3.0)


def end_all_sessions(postgres) -> None:
    postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reno-sweeps'")


def test_a_turn_whose_connection_is_cut_half_way_is_made_again_once(url, postgres, fold_score):
    one = begin(url)
    one.add(0, proposal(), SPACE)
    with one.together():
        several_changes(one, fold_score)
        end_all_sessions(postgres)
        one.keep("late", 1)
        one.add(0, proposal(True), SPACE)
    again = begin(url)

    assert shown(again) == shown(one)
    assert [t.state for t in again.trials] == ["complete", "waiting", "waiting"]
    assert again.facts == one.facts


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_a_commit_whose_answer_is_lost_happens_once(made, url, postgres, fold_score, monkeypatch):
    one = begin(url)
    one.add(0, proposal(), SPACE)
    real = changes.Changes._commit
    calls = []

    def lost(self, turn) -> None:
        calls.append(turn)
        if len(calls) > 1 or made:
            real(self, turn)
        if len(calls) == 1:
            end_all_sessions(postgres)
            with storage.explained(url):
                self._connection.exec_driver_sql("SELECT 1")  # the answer that does not come

    monkeypatch.setattr(changes.Changes, "_commit", lost)
    with one.together():
        several_changes(one, fold_score)
    again = begin(url)

    assert shown(again) == shown(one)
    assert len(again.trials) == 2
    assert len(calls) == (1 if made else 2)


def test_after_a_lost_turn_in_which_another_driver_had_one_nothing_is_stored_and_resume_goes_on(
    url, postgres, another, fold_score
):
    one, other = begin(url), another(url)
    one.add(0, proposal(), SPACE)

    def overtaken() -> None:
        several_changes(one, fold_score)
        end_all_sessions(postgres)
        other.add(0, proposal(), SPACE)
        one.keep("late", 1)

    with pytest.raises(StorageError, match="another driver changed the sweep"), one.together():
        overtaken()

    assert [t.state for t in one.trials] == ["waiting"]
    assert [t.state for t in begin(url).trials] == ["waiting", "waiting"]


@pytest.mark.rough
@pytest.mark.parametrize("end", ["fast", "immediate", "kill"])
def test_a_server_that_restarts_is_waited_for(end, url, postgres, caplog):
    one = begin(url)
    one.take_lease(0.0)
    if end == "kill":
        postgres.kill()
        time.sleep(0.5)
    else:
        postgres.stop(end)
    back = threading.Timer(1.0, postgres.start)
    back.start()
    one.add(0, proposal(), SPACE)
    back.join()

    assert len(begin(url).trials) == 1
    assert "trying again" in caplog.text
    assert "answers again" in caplog.text


@pytest.mark.rough
def test_a_server_that_stays_away_ends_the_sweep_with_one_line(postgres, template, impatient):
    url = postgres.database(template)
    one = begin(url)
    one.take_lease(0.0)
    postgres.stop("fast")
    try:
        with pytest.raises(StorageError, match=r"does not work: connection failed.*refused") as refusal:
            one.keep("fact", 1)
        began = time.monotonic()
        with pytest.raises(StorageError):
            one.end_lease()
        waited = time.monotonic() - began
    finally:
        postgres.start()

    assert "\n" not in str(refusal.value)
    assert "p%40ss" not in str(refusal.value)
    assert waited < 2  # once is enough
    assert begin(url).facts == {**FACTS, "turn": one.facts["turn"], "leases": one.facts["leases"]}


# --- storages that are not ours to change ---


def test_another_optunas_schema_is_refused_with_the_command_and_left_as_it_is(url, postgres):
    name = url.rpartition("/")[2]
    postgres.sql("UPDATE alembic_version SET version_num = 'v3.0.0.a'", name)
    postgres.sql("DROP TABLE trial_heartbeats", name)
    with pytest.raises(StorageError, match=r"older Optuna \(v3.0.0.a; .*\n.*optuna storage upgrade --storage postgres"):
        begin(url)

    assert postgres.sql("SELECT version_num FROM alembic_version", name) == [("v3.0.0.a",)]
    assert postgres.sql("SELECT to_regclass('trial_heartbeats')", name) == [(None,)]


def test_a_newer_schema_is_refused(url, postgres):
    postgres.sql("UPDATE alembic_version SET version_num = 'v99'", url.rpartition("/")[2])

    with pytest.raises(StorageError, match=r"schema \(v99\) that this Optuna does not know"):
        begin(url)


def test_mlflows_database_is_no_storage(postgres):
    url = postgres.database()
    postgres.sql("CREATE TABLE alembic_version (version_num TEXT)", url.rpartition("/")[2])

    with pytest.raises(StorageError, match=r"another program's tables.*\n.*a database of its own: createdb optuna"):
        begin(url)
