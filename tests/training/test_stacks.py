"""Who trains with whom: widths, memory that does not suffice, captured steps, stacks that unite."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reno_sweeps.records import EpochEnded, FoldFailed, FoldFinished, Key, Split
from reno_sweeps.training import memory, replay
from reno_sweeps.training.data import Tensors
from reno_sweeps.training.optimizer import AdamW
from reno_sweeps.training.stack import Stack
from reno_sweeps.training.stacks import Stacks
from reno_sweeps.training.trainer import train_cohort

DOUBLE = {"training.precision": "float64", "training.epochs": 3}


@pytest.fixture
def family(model):
    """Six models of one structure; two of them have other clips, and fewer."""

    def make(head: str = "concat", **values: object):
        shorter = Split(tuple(range(5, 50)), tuple(range(50, 80)), tuple(range(80, 120)))
        return [
            model(
                head,
                owner=f"m{i}",
                seed=i,
                values=DOUBLE | values | {"training.lr": 1e-3 * (i + 1), "training.dropout": 0.1 * i},
                **({"split": shorter} if i % 3 == 2 else {}),
            )
            for i in range(6)
        ]

    return make


def losses(events) -> dict[Key, list[float]]:
    found: dict[Key, list[float]] = {}
    for event in events:
        if isinstance(event, EpochEnded):
            found.setdefault(event.key, []).append(event.metrics["loss"])
    return found


def same(one: dict[Key, list[float]], other: dict[Key, list[float]]) -> bool:
    return set(one) == set(other) and all(np.allclose(one[key], other[key], rtol=1e-9, atol=0) for key in one)


@pytest.fixture
def small_memory(monkeypatch):
    """A device that takes at most `room` models at once, and says so at the given step of an epoch."""

    def limit(room: int, at: int = 0, error: type[Exception] = torch.OutOfMemoryError) -> list[int]:
        true, tried = Stack._step, []

        def step(self, *inputs):
            tried.append(len(self))
            if len(self) > room and len([n for n in tried if n == len(self)]) > at:
                raise error("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
            return true(self, *inputs)

        monkeypatch.setattr(Stack, "_step", step)
        return tried

    return limit


@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_a_cohort_that_memory_does_not_take_is_halved_said_once_and_loses_nothing(
    at, error, data, family, small_memory
):
    expected = losses(train_cohort(family(), data, width=1))
    tried, said = small_memory(2, at, error), []
    events = list(train_cohort(family(), data, width=6, say=said.append))

    assert same(losses(events), expected)
    assert sum(isinstance(event, FoldFinished) for event in events) == 6
    assert said == ["cpu ran out of memory with 6 models at once; going on with 3"]
    assert tried.count(6) == at + 1


@pytest.mark.parametrize("where", ["_loss", "_validated"])
@pytest.mark.parametrize("head", ["reno", "linear"])
def test_memory_that_ends_anywhere_in_an_epoch_costs_no_step_and_repeats_none(where, head, data, family, monkeypatch):
    expected = losses(train_cohort(family(head), data, width=1))
    true, steps, calls = getattr(Stack, where), [], []

    def short(self, *inputs):
        calls.append(len(self))
        if len(self) > 2 and len(calls) % 2 == 0:
            raise torch.OutOfMemoryError
        return true(self, *inputs)

    step = AdamW.step
    monkeypatch.setattr(AdamW, "step", lambda self, *inputs: steps.append(len(self._decay)) or step(self, *inputs))
    monkeypatch.setattr(Stack, where, short)
    found = losses(train_cohort(family(head), data, width=6, say=lambda _: None))

    assert max(calls) == 6
    assert same(found, expected)
    sizes = [len(model.split.train) for model in family(head)]
    assert sum(steps) >= sum(len(found[m.key]) * -(-n // 13) for m, n in zip(family(head), sizes, strict=True))
    assert sum(steps) <= sum(map(len, found.values())) * -(-max(sizes) // 13)


def test_a_step_that_finds_no_memory_changes_nothing(data, family, monkeypatch):
    one = Stack(family("linear"), data, Tensors(data, "cpu"), "cpu")
    one.advance()
    state = (one._weights.block, one._moments.first, one._moments.second, one._moments.steps)
    before = [x.clone() for x in state]

    def short(*inputs):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch, "empty_like", short)  # the last memory that the optimizer asks for

    with pytest.raises(torch.OutOfMemoryError):
        one.advance()
    assert all(torch.equal(x, y) for x, y in zip(state, before, strict=True))


def test_a_device_without_room_for_one_model_fails_it_with_the_reason(data, family, small_memory):
    small_memory(0)
    events = list(train_cohort(family()[:2], data, say=lambda _: None))

    assert [type(event) for event in events] == [FoldFailed, FoldFailed]
    assert "has not the memory to train even one such model" in events[0].reason


def test_an_error_that_is_not_of_memory_rises(data, family, monkeypatch):
    def broken(self, *inputs):
        raise RuntimeError("something else")

    monkeypatch.setattr(Stack, "_step", broken)

    with pytest.raises(RuntimeError, match="something else"):
        list(train_cohort(family(), data))


@pytest.mark.parametrize("head", ["reno", "linear"])
def test_a_captured_step_with_fixed_shapes_is_the_plain_one(head, data, family, monkeypatch):
    expected = losses(train_cohort(family(head), data, width=6))
    programs = []

    def captured(step, inputs):
        """What CUDA does, without CUDA: steps before the capture count, results lie where they always lay."""
        for _ in range(replay.WARM):
            results = step(*inputs)
        programs.append(inputs)

        def run():
            for name, value in step(*inputs).items():
                results[name].copy_(value)

        return run, results

    monkeypatch.setattr(replay, "possible", lambda device: True)
    monkeypatch.setattr(replay, "_captured", captured)
    found = losses(train_cohort(family(head), data, width=6))

    assert same(found, expected)
    assert [tuple(rows.shape) for rows, *_ in programs] == [(6, 13)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("head", ["reno", "linear", "fcn", "cnn", "concat"])
def test_a_gpu_trains_as_a_cpu_does(head, data, family):
    here, there = (losses(train_cohort(family(head), data, device=device)) for device in ("cpu", "cuda"))

    assert all(np.allclose(here[key], there[key], rtol=1e-6, atol=0) for key in here)


def test_newcomers_join_between_epochs_where_there_is_room_and_are_what_they_are_alone(data, family):
    models = family()
    expected = losses(train_cohort(models, data, width=1))
    waiting = [[], models[4:], []]
    events = list(train_cohort(models[:4], data, width=5, newcomers=lambda: waiting.pop(0) if waiting else []))

    assert same(losses(events), expected)


def test_newcomers_are_waited_for_when_all_others_have_left(data, family):
    models = family()[:2]
    waiting = [[], [], [], [models[1]]]
    events = list(train_cohort(models[:1], data, newcomers=lambda: waiting.pop(0) if waiting else []))

    assert [e.key for e in events if isinstance(e, FoldFinished)] == [m.key for m in models]


def test_stacks_that_became_small_unite(data, family):
    stacks = Stacks(data, "cpu", 3, lambda _: None)
    models = family()
    stacks.join(models)
    before = [len(stack) for stack in stacks]
    events = stacks.leave({models[0].key, models[3].key, models[4].key})

    assert before == [3, 3]
    assert [(event.key, event.epoch) for event in events] == [(models[i].key, 0) for i in (0, 3, 4)]
    assert [len(stack) for stack in stacks] == [3]


def test_models_of_another_structure_never_join(data, model):
    one, other = (Stack([model(head)], data, Tensors(data, "cpu"), "cpu") for head in ("fcn", "cnn"))
    with pytest.raises(ValueError, match="another structure"):
        one.join(other)


# --- memory ---------------------------------------------------------------------------------------------------


def peak(stack: Stack) -> int:
    """Bytes that an epoch allocates beyond what was there, at most at once."""
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        stack.advance()
    now = most = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most


@pytest.mark.parametrize(("head", "trunk"), [("linear", "conv"), ("cnn", "conv"), ("reno", "conv"), ("reno", "linear")])
def test_the_need_of_a_model_is_estimated_from_above_and_not_by_far(head, trunk, data, model):
    values = {"training.epochs": 1, "training.batch_size": 32, "trunk.kind": trunk}
    values |= {} if head == "reno" else {"training.batch_size": 16}
    one = Stack([model(head, small=False, values=values)], data, Tensors(data, "cpu"), "cpu")
    weights, activations = memory.need(one)
    estimate = memory.COPIES * weights + memory.BACKWARD * activations
    real = peak(one) + 4 * weights  # weights, moments and best are there before

    assert 0.9 * real - 1e5 < estimate < 4 * real + 1e6  # of tiny models, bookkeeping is the most


def test_as_many_models_train_at_once_as_the_memory_takes(data, model, monkeypatch):
    one = Stack([model("fcn", small=False)], data, Tensors(data, "cuda" if torch.cuda.is_available() else "cpu"), "cpu")
    weights, activations = memory.need(one)
    each = memory.COPIES * weights + int(memory.BACKWARD * activations)
    found = []
    for models in (0, 1, 10, 1000):
        monkeypatch.setattr(memory, "free", lambda device, models=models: int(each * models / memory.RESERVE) + 9)
        found.append((memory.fitting(one, "cuda"), memory.fitting(one, "cpu")))

    assert found == [(1, 1), (1, 1), (10, 10), (1000, memory.CROWD)]


def test_the_smallest_memory_that_still_works_trains_one_model_at_a_time(data, family, monkeypatch):
    expected = losses(train_cohort(family(), data, width=6))
    monkeypatch.setattr(memory, "free", lambda device: 0)
    widths = []
    true = Stack.advance
    monkeypatch.setattr(Stack, "advance", lambda self: widths.append(len(self)) or true(self))
    found = losses(train_cohort(family(), data))

    assert same(found, expected)
    assert set(widths) == {1}
