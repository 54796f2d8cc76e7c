"""The short form of the fuzz run: no spoilt input crashes, hangs or fills the memory; `make fuzz` is the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.arena import Arena, Score, table
from tests.fuzz.kind import ROOMS, dice_of, kinds

INPUTS = 40  # of each kind
KINDS = (
    "space file", "table (CSV)", "table (Parquet)", "corpus folder", "corpus archive (zip)", "recording (wav)",
    "recording (flac)", "recording (ogg)", "recording (mp3)", "embeddings (npz)", "cache entry", "cache index",
    "fold file", "Audio-Mamba checkpoint (pth)", "Audio-Mamba weights (safetensors)", "speech encoder's folder",
    "model folder",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux's /proc"
)


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    """One worker for all kinds: its imports are paid once."""
    with Arena() as found:
        yield found


def test_every_kind_is_tried() -> None:
    assert tuple(kinds()) == KINDS
    assert {file.stem for file in Path(__file__).parent.glob("*.py")} >= set(ROOMS)


@pytest.mark.rough
@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_input_is_accepted_and_a_spoilt_one_is_accepted_or_refused(kind: str, arena: Arena) -> None:
    score = arena.run(kind, seed=0, first=0, last=INPUTS + 1)

    assert score.faults == []
    assert score.inputs == INPUTS + 1
    assert score.counts["accepted"] >= 1


@pytest.mark.parametrize("kind", ["space file", "table (CSV)", "cache entry", "Audio-Mamba weights (safetensors)"])
def test_an_input_can_be_made_again_from_its_number(kind: str, tmp_path: Path) -> None:
    made = []
    for again in ("one", "two"):
        (tmp_path / again).mkdir()
        kinds()[kind].make(dice_of(kind, 3, 17), tmp_path / again)
        files = [file for file in (tmp_path / again).rglob("*") if file.is_file()]
        made.append({str(file.relative_to(tmp_path / again)): file.read_bytes() for file in files})

    assert made[0]
    assert made[0] == made[1]


# --- the harness itself: what it must notice -----------------------------------------------------------------


class Readers:
    """Readers that do what none may do, in place of one of ours."""

    CODE = """
import os, sys
from pathlib import Path
from tests.fuzz import kind, worker
from reno_sweeps.records import UserError

def read(_):
    HARM

kind.kinds = lambda: {"harm": kind.Kind("harm", lambda dice, folder: folder, lambda p: None if NUMBER[0] == 0 else read(p))}
NUMBER = [0]
before = worker._tried
def tried(one, seed, number):
    NUMBER[0] = number
    return before(one, seed, number)
worker._tried = tried
worker.main()
"""


HARMS = {
    "raise KeyError('x')": "crash",
    "os.kill(os.getpid(), 11)": "crash",
    "os._exit(0)": "crash",
    "bytearray(3 << 30)": "crash",
    "raise UserError('x' * 2000 + chr(10) + 'y' * 2000 + chr(10) + 'z' * 2000)": "refused",
    "raise UserError('')": "crash",
    "raise UserError('no')": "refused",
    "while True: pass": "hang",
    "__import__('time').sleep(600)": "hang",
    "pass": "accepted",
}


@pytest.mark.parametrize(("harm", "end"), HARMS.items())
def test_the_harness_notices_what_a_reader_does(harm: str, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = Readers.CODE.replace("HARM", harm)
    monkeypatch.setattr("tests.fuzz.arena.COMMAND", ["-c", code])

    with Arena(patience=1.0, waiting=3.0) as arena:
        score = arena.run("harm", seed=0, first=1, last=3)

    assert score.counts[end] == 2, score.faults
    assert score.kind in table([score])


def test_a_table_of_nothing_is_a_table() -> None:
    assert table([Score("x")]).splitlines()[-1] == "| x | 0 | 0 | 0 | 0 | 0 | 0.00 | 0 MB |"
