"""A process of its own that reads spoilt inputs one by one, with bounded memory: what it does to itself is a crash.

Asked by lines of JSON on stdin, [kind, seed, first, last]; answers on stdout before and after every input.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import IO, Any

ROOM = 1 << 30  # bytes that one input may take beyond what the process has
WORDS = 5_000  # letters of a refusal: a terminal is not to be flooded


def main() -> None:
    """Answer until stdin ends."""
    answers, questions = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # libraries may say what they like, and no input is to read our questions
        os.dup2(nothing, number)
    warnings.simplefilter("ignore")
    from tests.fuzz.kind import kinds

    known, warm = kinds(), set()
    for line in questions:
        kind, seed, first, last = json.loads(line)
        for number in range(first, last):
            _say(answers, {"begins": number})
            if kind not in warm:  # imports and threads are no input's fault
                _tried(known[kind], seed, 0)
                warm.add(kind)
                _say(answers, {"begins": number})
            _say(answers, {"number": number, **_tried(known[kind], seed, number)})
        _say(answers, {"ends": kind})


def _say(answers: IO[str], said: Any) -> None:
    answers.write(json.dumps(said) + "\n")
    answers.flush()


def _tried(kind: Any, seed: int, number: int) -> dict[str, Any]:
    """One input: how it ended, its seconds of processor time and its bytes of memory."""
    from tests.fuzz.kind import dice_of

    folder = Path(tempfile.mkdtemp())
    try:
        try:
            given = kind.make(dice_of(kind.name, seed, number), folder)
        except Exception:
            return {"end": "crash", "why": f"not made: {traceback.format_exc(limit=-4)}", "seconds": 0.0, "bytes": 0}
        before, start = _bounded(), time.process_time()
        try:
            end, why = _read(kind, given)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return {"end": end, "why": why, "seconds": time.process_time() - start, "bytes": _status("VmHWM") - before}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read(kind: Any, given: Path) -> tuple[str, str]:
    from reno_sweeps.records import UserError

    try:
        kind.read(given)
    except UserError as refusal:
        said = str(refusal)
        if not said.strip() or len(said) > WORDS:
            return "crash", f"a refusal of {len(said)} letters: {said[:200]}"
        return "refused", said[:300]
    except BaseException:
        return "crash", traceback.format_exc(limit=-8)[-2_000:]
    return "accepted", ""


def _bounded() -> int:
    """Bound the memory; bytes that are held now. The highest mark is set back."""
    Path("/proc/self/clear_refs").write_text("5")
    size = _status("VmSize") + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    return _status("VmRSS")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    main()
