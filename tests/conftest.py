"""What every test shares: real recordings where they are at hand, one torch thread, nothing phoning home."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# a run finds what the run before found, and no clock decides
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


LONGEST = (  # by their seconds, as measured
    "sweeps/test_killed.py",
    "sweeps/test_whole_sweeps.py",
    "embeddings/test_extract_ray.py",
    "search/test_dispatch.py",
    "sweeps/test_cohort_parity.py",
    "tracking/test_server.py",
    "app/test_models.py",
    "serving/test_pyfunc.py",
    "encoders/test_batches.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, then those with slow tests: none of them is begun alone at the end."""
    rank = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (rank.get(item.path, len(rank)), item.path not in slow))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings and embeddings beside the project; tests that need it skip without it."""
    folder = (Path(__file__).parents[2] / "shared" / "data").resolve()
    if not folder.is_dir():
        pytest.skip(f"real recordings are not at hand: {folder} is absent")
    return folder


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own home or cache."""
    monkeypatch.setenv("RENO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RENO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
