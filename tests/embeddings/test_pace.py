"""Speed and time left, by a clock of our own."""

from __future__ import annotations

import pytest

from reno_sweeps.embeddings._pace import RECENT, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_speed_is_that_of_computed_clips_and_time_left_follows(clock):
    pace = Pace(100, "mfcc", clock)
    pace.looked = pace.lacking = 100
    clock.now += 5
    pace.compute(20)
    standing = pace.standing()

    assert (standing.done, standing.total, standing.computed) == (20, 100, 20)
    assert standing.rate == 4.0
    assert standing.left == 20.0


def test_clips_that_the_cache_holds_are_done_and_take_no_time(clock):
    pace = Pace(100, "mfcc", clock)
    pace.looked, pace.lacking, pace.done = 50, 10, 40
    clock.now += 5
    pace.compute(5)

    assert pace.standing().done == 45
    assert pace.standing().left == 15.0  # half was looked at: 20 lack an embedding in all, 15 are to do, one a second


def test_loading_an_encoder_is_not_counted(clock):
    pace = Pace(10, "mfcc", clock)
    pace.looked = pace.lacking = 10
    clock.now += 60
    pace.begin()
    clock.now += 1
    pace.compute(2)

    assert pace.standing().rate == 2.0


def test_speed_is_that_of_the_last_minute(clock):
    pace = Pace(10_000, "mfcc", clock)
    pace.looked = pace.lacking = 10_000
    for clips in [1] * 100 + [8] * 200:
        clock.now += 1
        pace.compute(clips)

    assert pace.standing().rate == pytest.approx(8, rel=0.01)
    assert RECENT < 100


def test_nothing_is_said_of_speed_before_there_is_one(clock):
    standing = Pace(10, "mfcc", clock).standing()

    assert standing.rate is None
    assert standing.left is None


def test_at_the_end_nothing_is_left(clock):
    pace = Pace(4, "mfcc", clock)
    pace.looked = pace.lacking = 4
    clock.now += 1
    pace.compute(4)

    assert pace.standing().left is None
