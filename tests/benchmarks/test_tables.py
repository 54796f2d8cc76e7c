"""The document's tables are made of the stored results, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tables


def measured(ratio: float, load: float = 0.1) -> dict[str, Any]:
    """A result of sweeps.py."""
    side = {
        "trials_per_hour": 12.0, "wall_seconds": [300.0], "outside_training": 0.25, "peak_memory_mb": 2000,
        "mean_objective": 0.5,
    }  # fmt: skip
    machine = {"cpu": "A processor", "cores": 2, "load": load, "gpu": None, "torch": "2.11.0"}
    parts = {"peer": side, "ours": side, "ratio": ratio, "ratios": [ratio]}
    return {"benchmark": "sweeps", "machine": machine, "sizes": {"clips": 60}, "throughput": parts}


def test_runs_of_one_measurement_are_shown_as_their_median(tmp_path: Path) -> None:
    for number, ratio in enumerate((1.0, 4.0, 2.5)):
        (tmp_path / f"{number}.json").write_text(json.dumps(measured(ratio, load=number)))

    text = tables.block("throughput", tables.results(tmp_path))

    assert "**2.50×**" in text
    assert "Medians of 3 runs" in text
    assert text.count("naive peer") == 1


def test_what_run_py_wrote_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(json.dumps({"sweeps": measured(3.0), "heads": {"machine": {}}}))

    assert "**3.00×**" in tables.block("throughput", tables.results(tmp_path))


def test_a_search_of_many_trials_is_split(tmp_path: Path) -> None:
    seconds = {
        "wall": 200.0,
        "training": 150.0,
        "waiting_for_trainings": 160.0,
        "study_and_tracking": 8.0,
        "rest": 32.0,
    }
    found = {"machine": measured(1.0)["machine"], "asked": {"epochs": 4}, "trials": {"asked": 1000}, "seconds": seconds}
    (tmp_path / "a.json").write_text(json.dumps({**found, "ms_a_trial": 8.0, "trials_per_hour": 18000}))

    text = tables.block("study", tables.results(tmp_path))

    assert "| search and tracking, waited for | 8.0 | 4.0% |" in text
    assert "trials 1000, epochs 4" in text


def test_what_was_not_measured_is_said_to_be_open() -> None:
    made = tables.rendered("a\n<!-- table: floor cuda -->\nold\n<!-- end -->\nb", [])

    assert made == f"a\n<!-- table: floor cuda -->\n\n{tables.OPEN}\n\n<!-- end -->\nb"
    assert tables.rendered(made, []) == made


def test_the_document_is_as_made_of_the_stored_results() -> None:
    text = tables.DOCUMENT.read_text()

    assert text == tables.rendered(text, tables.results(tables.RESULTS))
    assert {marker.partition(" ")[0] for marker in tables.markers(text)} == set(tables.TABLES)
