"""The real command, killed in the middle or beside another: a finished clip is never computed again."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

pytestmark = pytest.mark.rough


def stored(folder):
    return len(list(folder.rglob("*.safetensors")))


def test_a_second_run_computes_exactly_what_a_killed_one_had_not_stored(embed, embed_here, tmp_path, wavlm):
    begun = embed("--workers", "1")
    end = time.monotonic() + 120
    while not stored(tmp_path / "cache") and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.communicate()
    kept = stored(tmp_path / "cache")
    out, err = embed_here("--workers", "1")

    assert kept > 0
    assert json.loads(out)["computed"] == {f"hf:{wavlm}": 60 - kept}
    assert stored(tmp_path / "cache") == 60
    assert "60/60 clips" in err


def test_two_that_fill_one_cache_at_once_both_succeed(embed, tmp_path, wavlm):
    both = [embed("--workers", "1", "--quiet") for _ in range(2)]
    ends = [begun.communicate(timeout=200) for begun in both]

    assert [begun.returncode for begun in both] == [0, 0]
    assert [json.loads(out)["clips"] for out, _ in ends] == [60, 60]
    assert [err for _, err in ends] == ["", ""]
    assert stored(tmp_path / "cache") == 60


def test_json_says_speed_and_workers(embed_here):
    out, _ = embed_here()
    found = json.loads(out)

    assert found["workers"] == 1
    assert found["clips_per_second"] > 0
