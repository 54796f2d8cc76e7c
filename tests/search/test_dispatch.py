"""Dispatch on a real local Ray: results are those of training in this process, whoever dies; nothing stays behind."""

from __future__ import annotations

import dataclasses
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from reno_sweeps.cluster import TEMPORARY
from reno_sweeps.records import EpochEnded, Event, FoldFailed, FoldFinished, FoldStopped, Key, Model, Split, UserError
from reno_sweeps.search import dispatch
from reno_sweeps.search.dispatch import Dispatcher
from reno_sweeps.training.trainer import Data, train_cohort

LONG = 100_000  # epochs: until it is told to stop


@pytest.fixture(scope="module")
def data() -> Data:
    """Three clusters in one encoder's embeddings."""
    source, labels = np.random.default_rng(0), np.arange(60) % 3
    x = source.normal(size=(3, 8))[labels] + source.normal(size=(60, 8))
    return Data({"a": x.astype(np.float32)}, labels, ("x", "y", "z"))


@pytest.fixture(scope="module")
def workers(data) -> Dispatcher:
    with Dispatcher(data, address=None, device="cpu", gpus=None) as dispatcher:
        yield dispatcher


def model(owner: str, fold: int = 0, **values: object) -> Model:
    values = {"training.epochs": 3, "training.batch_size": 13, **values}
    split = Split(tuple(range(36)), tuple(range(36, 48)), tuple(range(48, 60)))
    return Model(Key(owner, 0, fold), "linear", ("a",), values, seed=7 + fold, split=split)


def long(owner: str) -> Model:
    return model(owner, **{"training.epochs": LONG, "training.patience": LONG})


def news(workers: Dispatcher, until: Callable[[list[Event]], bool], patience: float = 120.0) -> list[Event]:
    """Events until they are enough; the test fails where they never are."""
    found: list[Event] = []
    end = time.monotonic() + patience
    while not until(found):
        assert time.monotonic() < end, f"only {len(found)} events: {found[-3:]}"
        found += workers.take(0.2)
    return found


def ends(count: int) -> Callable[[list[Event]], bool]:
    return lambda found: sum(not isinstance(event, EpochEnded) for event in found) >= count


def begun(owner: str) -> Callable[[list[Event]], bool]:
    return lambda found: any(event.key.owner == owner for event in found)


def plain(events: list[Event]) -> dict[Key, tuple]:
    """Curves and results by model, arrays as bytes, clocks aside."""
    found: dict[Key, dict] = {}
    for event in events:
        entry = found.setdefault(event.key, {"epochs": {}})
        if isinstance(event, EpochEnded):
            entry["epochs"][event.epoch] = dict(event.metrics)
        elif isinstance(event, FoldFinished):
            result = dataclasses.asdict(dataclasses.replace(event.result, seconds=0.0, finished=0.0))
            entry["arrays"] = [result.pop(f"{part}_probabilities").tobytes() for part in ("validation", "test")]
            entry["weights"] = {name: array.tobytes() for name, array in result.pop("weights").items()}
            entry["result"] = result
        else:
            entry["end"] = event
    return found


def processes(word: str) -> dict[int, str]:
    """Ray's processes below this one whose title has the word."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:  # it has just ended
            continue
        if word in title:
            found[process.pid] = title
    return found


def kill_the_busy_one() -> None:
    """The worker that trains: the others rest."""

    def seconds(pid: int) -> float:
        return sum(psutil.Process(pid).cpu_times()[:2])

    before = {pid: seconds(pid) for pid in processes("ray::ResourceTrainable")}
    time.sleep(0.5)
    os.kill(max(before, key=lambda pid: seconds(pid) - before[pid]), signal.SIGKILL)


def test_results_are_those_of_training_in_this_process_bit_for_bit(workers, data):
    cohorts = [[model(f"trial {n}", fold, **{"training.lr": 10.0**-n}) for fold in (0, 1)] for n in (1, 2, 3)]
    for cohort in cohorts:
        workers.send(cohort)
    found = plain(news(workers, ends(6)))

    assert found == plain([event for cohort in cohorts for event in train_cohort(cohort, data)])


def test_workers_are_reused_even_after_they_had_nothing_to_do(workers):
    workers.send([long("trial 10")])
    workers.send([long("trial 11")])
    news(workers, lambda found: begun("trial 10")(found) and begun("trial 11")(found))
    before = set(processes("ray::ResourceTrainable"))
    workers.stop({Key("trial 10"), Key("trial 11")})
    stopped = news(workers, ends(2))
    time.sleep(1.5)
    for n in range(12, 18):
        workers.send([model(f"trial {n}")])
    news(workers, ends(6))
    for n in range(18, 22):  # one at a time: none starts beside those that have nothing to do
        workers.send([model(f"trial {n}")])
        news(workers, ends(1))
        assert set(processes("ray::ResourceTrainable")) == before

    assert [type(event) for event in stopped if not isinstance(event, EpochEnded)] == [FoldStopped] * 2
    assert len(before) == 2
    assert set(processes("ray::ResourceTrainable")) == before


def test_a_cohort_that_raises_fails_with_the_reason_and_others_go_on(workers):
    broken = dataclasses.replace(model("trial 20"), encoders=("unknown",))
    workers.send([broken, model("trial 20", 1)])
    workers.send([model("trial 21")])
    found = {event.key: event for event in news(workers, ends(3)) if not isinstance(event, EpochEnded)}

    assert found[broken.key].reason == found[Key("trial 20", 0, 1)].reason == "KeyError: 'unknown'"
    assert isinstance(found[Key("trial 21")], FoldFinished)


@pytest.mark.rough
def test_a_killed_worker_is_replaced_and_the_result_is_the_same(workers, data, capfd, caplog):
    epochs = {"training.epochs": 4000, "training.patience": LONG}
    one, other = model("trial 30", **{**epochs, "training.epochs": 2}), model("trial 30", 1, **epochs)
    workers.send([one, other])
    first = news(workers, lambda found: any(isinstance(event, FoldFinished) for event in found))
    kill_the_busy_one()
    found = first + news(workers, ends(1))
    said = capfd.readouterr()

    assert plain(found) == plain(list(train_cohort([one, other], data)))
    assert "a worker died; attempt 2 of 3 for trial 30" in caplog.text
    assert "raylet" not in said.out + said.err
    assert "Traceback" not in said.err


@pytest.mark.rough
def test_a_cohort_that_kills_its_worker_every_time_fails_with_the_reason_and_others_go_on(workers):
    poison = long("trial 40")
    workers.send([poison])
    for _ in range(3):
        news(workers, begun("trial 40"))
        kill_the_busy_one()
        workers.take(1.0)  # what it had said before
    (failed,) = [event for event in news(workers, ends(1)) if not isinstance(event, EpochEnded)]
    workers.send([model("trial 41")])

    assert failed == FoldFailed(poison.key, "its worker process died 3 times (killed from outside, or out of memory)")
    assert isinstance(news(workers, ends(1))[-1], FoldFinished)


def test_the_token_is_for_our_eyes_alone_and_in_no_home(workers):
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])

    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    assert not token.is_relative_to(Path.home())


def test_ray_that_runs_already_is_refused(workers, data):
    with pytest.raises(UserError, match="Ray runs in this process already"):
        Dispatcher(data, address=None, device="cpu", gpus=None)

    workers.send([model("trial 50")])
    assert isinstance(news(workers, ends(1))[-1], FoldFinished)


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{TEMPORARY}{os.getpid()}-*"))


def test_closing_ends_every_process_removes_the_folder_and_another_ray_can_start(workers, data):
    workers.send([long("trial 60")])
    news(workers, begun("trial 60"))
    assert len(folders()) == 1
    home = Path.home() / ".ray"
    before = sorted(home.rglob("*")) if home.exists() else None
    workers.close()

    assert processes("ray") == {}
    assert folders() == set()
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ
    with Dispatcher(data, address=None, device="cpu", gpus=None) as again:
        again.send([model("trial 61")])
        assert isinstance(news(again, ends(1))[-1], FoldFinished)
    assert folders() == set()
    assert (sorted(home.rglob("*")) if home.exists() else None) == before


def test_closing_does_not_wait_for_workers_that_are_just_starting(data):
    dispatcher = Dispatcher(data, address=None, device="cpu", gpus=None)
    dispatcher.send([long("trial 70")])
    time.sleep(0.5)
    began = time.monotonic()
    dispatcher.close()

    assert time.monotonic() - began < 10
    assert processes("ray") == {}
    assert folders() == set()


def test_a_refused_device_leaves_no_ray_behind(data):
    with pytest.raises(UserError, match="no GPU is visible"):
        Dispatcher(data, address=None, device="cuda", gpus=None)

    assert processes("ray") == {}
    assert folders() == set()


class Answering:
    """A mailbox that hands out models at the second news; what is called is done at once."""

    def __init__(self, joining: list[Model]) -> None:
        self.adopts: list[bool] = []
        self.notes: list[str] = []
        self._joining = joining
        self.post = SimpleNamespace(remote=self._post)
        self.note = SimpleNamespace(remote=self.notes.append)

    def _post(self, cohort: str, news: list[Event], *, adopts: bool = False) -> tuple[set[Key], list[Model]]:
        self.adopts.append(adopts)
        return {Key("trial 9")}, self._joining if adopts and len(self.adopts) == 2 else []


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_worker_tells_its_trainer_who_leaves_and_joins_and_the_mailbox_what_the_trainer_says(
    device, data, monkeypatch
):
    """Only a GPU's asks for models that join, and waits for them; a core's hears a batch later who leaves."""
    joined, told = [], []

    def trains(models, data, *, device, told_to_stop, newcomers, say):
        for epoch in range(1, 5):
            joined.append(newcomers())
            told.append(set(told_to_stop()))
            yield EpochEnded(models[0].key, epoch, {})
        say("out of memory: 8 models at a time")

    monkeypatch.setattr("reno_sweeps.training.trainer.train_cohort", trains)
    monkeypatch.setattr(dispatch, "BATCH", -1.0)
    monkeypatch.setattr(dispatch.ray, "get", lambda answer: answer)
    worker = object.__new__(dispatch.CohortTrainable)
    mailbox = Answering([model("trial 1"), model("trial 2")])
    worker._data, worker._mailbox, worker._device = data, mailbox, device
    worker._train("cohort-00000", [model("trial 0")])

    gpu, leaving = device == "cuda", {Key("trial 9")}
    assert joined == [[], [], [model("trial 1"), model("trial 2")] if gpu else [], []]
    assert told == [set(), leaving if gpu else set(), leaving, leaving]
    assert mailbox.adopts == [gpu] * 4 + [False]
    assert mailbox.notes == ["out of memory: 8 models at a time"]
