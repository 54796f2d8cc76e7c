"""The mailbox between driver and workers: what is put in comes out once, in order, whoever dies on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reno_sweeps.records import EpochEnded, FoldFailed, FoldStopped, Key, Model, Split
from reno_sweeps.search import mailbox as module
from reno_sweeps.search.mailbox import ATTEMPTS, CLOSED, Mailbox


def models(owner: str, folds: int = 2) -> list[Model]:
    return [Model(Key(owner, 0, fold), "linear", ("a",), {}, 0, Split((), (), ())) for fold in range(folds)]


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


def test_cohorts_are_taken_once_in_the_order_in_which_they_were_put(mailbox):
    mailbox.put("a", models("trial 0"))
    mailbox.put("b", models("trial 1"))

    assert [mailbox.next() for _ in range(3)] == ["a", "b", None]
    assert mailbox.cohort("b") == models("trial 1")


def test_events_are_taken_once_in_the_order_in_which_they_were_posted(mailbox):
    mailbox.put("a", models("trial 0"))
    news = [EpochEnded(Key("trial 0", 0, fold), 1, {}) for fold in (1, 0)]
    mailbox.post("a", news)

    assert mailbox.take()[0] == news
    assert mailbox.take()[0] == []


def test_after_a_death_only_what_had_not_ended_is_trained_again_and_it_is_noted(mailbox):
    mailbox.put("a", models("trial 0"))
    assert len(mailbox.cohort("a")) == 2
    assert mailbox.take()[1] == []
    mailbox.post("a", [FoldFailed(Key("trial 0", 0, 0), "why"), EpochEnded(Key("trial 0", 0, 1), 1, {})])

    assert [m.key.fold for m in mailbox.cohort("a")] == [1]
    assert mailbox.take()[1] == [f"a worker died; attempt 2 of {ATTEMPTS} for trial 0"]
    assert mailbox.take()[1] == []


def test_a_model_that_is_stopped_before_it_begins_answers_and_does_not_begin(mailbox):
    mailbox.put("a", models("trial 0"))
    mailbox.stop({Key("trial 0", 0, 0)})

    assert [m.key.fold for m in mailbox.cohort("a")] == [1]
    assert mailbox.take()[0] == [FoldStopped(Key("trial 0", 0, 0), epoch=0)]
    assert mailbox.stops() == {Key("trial 0", 0, 0)}


def test_a_worker_that_posts_hears_which_models_should_leave_until_they_have_left(mailbox):
    mailbox.put("a", models("trial 0"))
    mailbox.cohort("a")
    one, other = Key("trial 0", 0, 0), Key("trial 0", 0, 1)
    mailbox.stop({one, other})

    assert mailbox.post("a", [EpochEnded(one, 1, {})]) == ({one, other}, [])
    assert mailbox.post("a", [FoldStopped(one, epoch=2)]) == ({other}, [])


def test_what_is_left_of_an_abandoned_cohort_fails_with_the_reason(mailbox):
    mailbox.put("a", models("trial 0"))
    mailbox.cohort("a")
    mailbox.post("a", [FoldFailed(Key("trial 0", 0, 0), "its own")])
    mailbox.abandon("a", "no memory")
    mailbox.abandon("a", "again")

    assert [event.reason for event in mailbox.take()[0]] == ["its own", "no memory"]
    assert mailbox.cohort("a") == []


def test_a_cohort_whose_workers_die_before_they_begin_is_forgiven_for_a_while_and_begun_by_another(mailbox):
    mailbox.put("a", models("trial 0"))
    mailbox.put("b", models("trial 1"))
    assert mailbox.next() == "a"
    mailbox.cohort("a")  # begun once
    mailbox.post("a", [FoldStopped(Key("trial 0", 0, 0), epoch=2)])
    mailbox.wake("idle")
    mailbox.take()

    mailbox.bury("a", "died", patience=60.0)
    assert mailbox.take() == ([], ["workers died before they began; others are sought for trial 0"])
    assert mailbox.next(free=True) == "a"
    assert [model.key.fold for model in mailbox.cohort("a")] == [1]
    mailbox.cohort("a")  # the third time
    mailbox.take()
    mailbox.bury("a", "died", patience=60.0)

    assert [event.reason for event in mailbox.take()[0]] == ["died"]
    assert mailbox.cohort("a") == []


@pytest.mark.parametrize("seconds", [0.0, 59.0, 61.0])
def test_workers_that_die_before_they_begin_are_not_forgiven_for_ever(seconds, mailbox, monkeypatch):
    mailbox.put("a", models("trial 0"))
    now = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    mailbox.next()
    mailbox.bury("a", "died", patience=60.0)
    assert mailbox.next() == "a"
    monkeypatch.setattr(module.time, "monotonic", lambda: now + seconds)
    mailbox.bury("a", "died", patience=60.0)

    assert [event.reason for event in mailbox.take()[0]] == ["died"] * (2 * (seconds > 60))


def test_on_one_machine_nobody_is_forgiven(mailbox):
    mailbox.put("a", models("trial 0"))
    mailbox.bury("a", "died", patience=0.0)

    assert len(mailbox.take()[0]) == 2


def test_a_closed_mailbox_gives_nothing_and_stops_everything(mailbox):
    mailbox.put("a", models("trial 0"))
    mailbox.close()

    assert mailbox.next() == CLOSED
    assert mailbox.stops() == {model.key for model in models("trial 0")}
    assert mailbox.wake("one")


def test_one_resting_worker_is_woken_for_each_cohort_that_nobody_has_begun(mailbox):
    assert not mailbox.wake("one")
    mailbox.put("a", models("trial 0"))
    mailbox.put("b", models("trial 1"))
    assert [mailbox.wake(worker) for worker in ("one", "two", "three")] == [True, True, False]

    mailbox.cohort("a")
    mailbox.abandon("b", "why")
    assert not mailbox.wake("three")
    mailbox.put("c", models("trial 2"))
    assert [mailbox.wake(worker) for worker in ("three", "four")] == [True, False]


def test_a_cohort_that_another_worker_has_begun_wakes_nobody_even_when_it_begins_again(mailbox):
    mailbox.put("a", models("trial 0"))
    mailbox.cohort("a")
    mailbox.cohort("a")

    assert not mailbox.wake("one")


def test_a_cohort_is_kept_for_an_idle_worker_until_that_one_comes(mailbox):
    mailbox.wake("one")
    mailbox.put("a", models("trial 0"))
    assert mailbox.next() is None
    assert mailbox.wake("one")
    assert mailbox.next() is None

    assert mailbox.next(free=True) == "a"


def test_a_second_cohort_needs_a_second_worker(mailbox):
    mailbox.wake("one")
    mailbox.put("a", models("trial 0"))
    mailbox.put("b", models("trial 1"))
    mailbox.wake("one")
    taken = mailbox.next(free=True)
    mailbox.cohort(taken)

    assert mailbox.next() == "b"


@pytest.mark.parametrize("woken", [False, True])
def test_an_idle_worker_that_says_nothing_any_more_is_not_waited_for(woken, mailbox, monkeypatch):
    mailbox.wake("one")
    mailbox.put("a", models("trial 0"))
    if woken:
        mailbox.wake("one")
    monkeypatch.setattr("reno_sweeps.search.mailbox.LOST", 0.0)

    assert mailbox.next() == "a"
    assert mailbox.wake("two")


# --- models that join a cohort in training ---


def wide(owner: str) -> list[Model]:
    """Models of another structure."""
    return [replace(model, encoders=("a", "b")) for model in models(owner)]


@pytest.fixture
def training(mailbox) -> Mailbox:
    """Cohort a trains, with room for two; b and c wait."""
    mailbox.put("a", models("trial 0", folds=3))
    mailbox.cohort(mailbox.next())
    mailbox.put("b", models("trial 1"))
    mailbox.put("c", models("trial 2"))
    mailbox.post("a", [FoldFailed(Key("trial 0", 0, fold), "why") for fold in (0, 1)])
    return mailbox


def test_as_many_join_as_have_left_and_no_worker_takes_them_besides(training):
    stops, joined = training.post("a", [], adopts=True)

    assert (stops, joined) == (set(), models("trial 1"))
    assert training.post("a", [], adopts=True) == (set(), [])
    assert [training.next(), training.next()] == ["c", None]


def test_those_that_joined_are_trained_again_after_their_workers_death_and_fail_with_the_cohort(training):
    training.post("a", [], adopts=True)
    left = [model.key for model in training.cohort("a")]
    training.post("a", [FoldStopped(Key("trial 1", 0, 0), epoch=3)])
    training.take()
    training.abandon("a", "no memory")

    assert left == [Key("trial 0", 0, 2), Key("trial 1", 0, 0), Key("trial 1", 0, 1)]
    assert training.take()[0] == [FoldFailed(key, "no memory") for key in (left[0], left[2])]


def test_nobody_joins_where_none_is_asked_for_a_worker_rests_all_is_over_or_the_cohort_has_ended(training):
    assert training.post("a", []) == (set(), [])
    training.wake("idle")
    assert training.post("a", [], adopts=True) == (set(), [])
    training._resting.clear()
    training._woken.clear()
    training.post("a", [FoldStopped(Key("trial 0", 0, 2), epoch=3)])
    assert training.post("a", [], adopts=True) == (set(), [])
    training.close()
    assert training.post("b", [], adopts=True)[1] == []


def test_only_models_of_a_structure_that_the_cohort_has_had_join(mailbox):
    mailbox.put("a", models("trial 0", folds=3))
    mailbox.cohort(mailbox.next())
    mailbox.put("b", wide("trial 1"))
    mailbox.put("c", models("trial 2"))
    mailbox.post("a", [FoldFailed(Key("trial 0", 0, fold), "why") for fold in (0, 1)])

    assert mailbox.post("a", [], adopts=True)[1] == models("trial 2")
    assert mailbox.next() == "b"


def test_what_a_worker_has_to_say_is_noted(mailbox):
    mailbox.note("out of memory: 8 models at a time from now on")

    assert mailbox.take()[1] == ["out of memory: 8 models at a time from now on"]
