"""The floor's benchmark needs torch and numpy alone, and both its sides train."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import floor
import pytest

BENCHMARKS = Path(floor.__file__).parent

TINY = ["--device", "cpu", "--cohorts", "2", "--concurrent", "1", "--epochs", "1", "--clips", "60", "--folds", "2"]


@pytest.mark.slow
def test_the_floor_needs_neither_ray_nor_mlflow_nor_optuna() -> None:
    lines = [
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})",
        "import bound, floor, floor_race",
        "asked = floor.Asked(None, 36, 3, 1, 1, 'cpu', 'float32')",
        "floor.ours(asked, 1), floor_race.ours(asked, 0, 2), floor.nested(asked)",
        "print(*sys.modules)",
    ]
    code = "\n".join(lines)

    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()

    assert not {"ray", "mlflow", "optuna", "pydantic", "yaml", "sklearn"} & set(found)
    assert "torch" in found


@pytest.mark.slow
def test_both_sides_train_and_are_compared(tmp_path: Path) -> None:
    output = tmp_path / "found.json"

    subprocess.run(
        [sys.executable, str(BENCHMARKS / "floor.py"), *TINY, "--output", str(output)],
        check=True,
        capture_output=True,
        timeout=280,
    )

    found = json.loads(output.read_text())
    assert found["peer"]["1"]["trials"] == 1
    assert found["ours"]["2"]["trials"] == 2
    assert found["ours"]["2"]["over_one_at_a_time"] == found["ours"]["2"]["over_peers_best"]


def test_the_nested_protocol_never_shows_a_search_its_test_clips() -> None:
    asked = floor.Asked(None, 120, 5, 1, 1, "cpu", "float32")
    given = asked.material()
    outer = given.splits()[1]

    models = floor.inner(given, outer, asked, number=1)

    assert len(models) == floor.SEARCHED * 4
    for model in models:
        seen = {*model.split.train, *model.split.validation}
        assert seen == set(outer.train)
        assert not seen & set(outer.test)


def test_more_processes_are_tried_until_more_give_less(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {1: 10.0, 2: 12.0, 4: 30.0, 8: 1.0}

    def pretend(_: floor.Asked, count: int) -> list[floor.Timed]:
        return [floor.Timed(0.0, seconds[count], 5, 1.0, 0.0, (0.5,) * 5)] * count

    monkeypatch.setattr(floor, "at_once", pretend)
    asked = floor.Asked(None, 60, 5, 1, 1, "cpu", "float32")

    assert list(floor.peers(asked, [1, 2, 4, 8], rounds=1)) == ["1", "2", "4"]
