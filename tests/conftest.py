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


LONGEST = (  # by their seconds, as measured: 110 to 20
    "sweeps/test_sharing.py",
    "sweeps/test_whole_sweeps.py",
    "serving/test_bundle.py",
    "sweeps/test_cohort_parity.py",
    "serving/test_server.py",
    "app/test_models.py",
    "sweeps/test_nested.py",
    "benchmarks/test_sweeps_bench.py",
    "sweeps/test_leaks_said.py",
    "search/test_driver.py",
    "search/test_dispatch.py",
    "embeddings/test_extract_ray.py",
    "sweeps/test_seeds_and_maps.py",
    "backends/test_ledger.py",
    "search/test_ahead.py",
    "training/test_company.py",
    "tracking/test_server.py",
    "test_cluster.py",
    "search/test_ledger.py",
    "encoders/test_batches.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: none of them is begun alone at the end."""
    rank = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


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
