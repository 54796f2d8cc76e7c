"""Whole sweeps side by side: what is compared is comparable, and both sides really run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sweeps

BENCHMARKS = Path(sweeps.__file__).parent


def run(*ends: tuple[float, float | None], began: float = 100.0, wall: float = 60.0) -> dict[str, Any]:
    """A side's sweep whose trials ended after so many seconds with such scores."""
    trials = [
        {"finished": began + after, "objective": score, "state": "pruned" if score is None else "complete"}
        for after, score in ends
    ]
    return {"began": began, "wall_seconds": wall, "trials": trials}


def test_the_race_is_timed_to_the_first_trial_as_good_as_the_peers_best() -> None:
    peer = run((20, 0.5), (40, 0.7), (60, 0.6))

    found = sweeps.compared(peer, run((4, 0.6), (6, None), (8, 0.7), (9, 0.9)))

    assert (found["ratio_when_found"], found["ratio_to_end"]) == (5.0, 7.5)  # 40/8, 60/8
    assert found["ours_trials"] == {"complete": 3, "pruned": 1}


def test_a_score_that_is_never_reached_is_no_win() -> None:
    found = sweeps.compared(run((20, 0.5)), run((1, 0.49), (2, None)))

    assert (found["ours_seconds"], found["ratio_when_found"], found["ratio_to_end"]) == (None, 0.0, 0.0)


def test_sides_that_trained_different_things_are_no_comparison() -> None:
    def trials(lr: float, epochs: int) -> dict[str, Any]:
        return {"trials": [{"values": {"training.lr": lr}, "folds": [{"epochs": epochs, "clips": 8}]}]}

    job = {"configurations": [{"training.lr": 0.1}]}
    sweeps.refuse_unlike(job, trials(0.1, 3), trials(0.1, 3))
    for other in (trials(0.2, 3), trials(0.1, 2)):
        with pytest.raises(RuntimeError, match="did not train the same"):
            sweeps.refuse_unlike(job, trials(0.1, 3), other)


@pytest.mark.slow
def test_both_sides_train_the_same_trials_to_the_end(tmp_path: Path) -> None:
    output = tmp_path / "found.json"
    tiny = ["--trials", "2", "--epochs", "1", "--clips", "60", "--folds", "2"]
    command = [sys.executable, str(BENCHMARKS / "sweeps.py"), "throughput", *tiny, "--output", str(output)]

    subprocess.run(command, check=True, capture_output=True, timeout=280)

    found = json.loads(output.read_text())
    for side in ("peer", "ours"):
        assert found["throughput"][side]["trials_per_hour"] > 0
        assert 0 < found["throughput"][side]["outside_training"] < 1
        assert found["throughput"][side]["peak_memory_mb"] > 100
    assert found["sizes"]["clips"] == 60
