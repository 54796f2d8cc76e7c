"""Words and numbers that every report shares."""

from __future__ import annotations

import pytest

from reno_sweeps.reports import wording
from reno_sweeps.space import Categorical, Float, Int


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.44, "0.4 s"), (42, "42 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert wording.duration(seconds) == said


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"mean": 0.6012, "std": 0.0299}, "60.1 ± 3.0"),
        ({"mean": 0.6012, "std": None}, "60.1"),
        ({"mean": None, "std": None}, "–"),
        (None, "–"),
    ],
)
def test_a_mean_stands_with_its_deviation_in_percent(over: dict[str, float] | None, said: str) -> None:
    assert wording.percent(over) == said


def test_a_loss_is_no_share() -> None:
    assert wording.measured("val_cross_entropy", 1.25) == "1.2500"
    assert wording.measured("val_macro_f1", 0.5) == "50.0 %"


@pytest.mark.parametrize(
    ("distribution", "said"),
    [
        (Float(1e-6, 1.0, log=True), "1e-06 … 1 (log)"),
        (Int(8, 32, 8), "8 … 32 step 8"),
        (Int(1, 4), "1 … 4"),
        (Categorical((None, True, 2)), "null, true, 2"),
        (
            Int(8, 9, when=(("trunk.kind", "conv"), ("trunk.kind", "linear"))),
            "8 … 9; when trunk.kind is conv or linear",
        ),
    ],
)
def test_a_distribution_is_said_in_a_few_signs(distribution: Float | Int | Categorical, said: str) -> None:
    assert wording.span(distribution) == said


def test_encoders_from_files_are_called_by_their_last_name() -> None:
    ids = ("file:/data/a b/x.npz", "hf:/models/wavlm@layer=9", "hf:microsoft/wavlm-base", "mfcc")

    assert wording.encoders(ids) == "file:x.npz + hf:wavlm@layer=9 + hf:microsoft/wavlm-base + mfcc"
