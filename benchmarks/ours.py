"""Our side, a whole sweep by the public way: `Sweep.from_yaml(…).run()` on the same job as the peer's.

python benchmarks/ours.py JOB.json FOUND.json
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reno_sweeps import Sweep
from reno_sweeps.app.run import _Session as Session
from reno_sweeps.app.stored import load
from reno_sweeps.records import Trial


def row(trial: Trial) -> dict[str, Any]:
    """A trial as the peer reports its own."""
    return {
        "state": trial.state,
        "objective": trial.objective,
        "finished": trial.finished,
        "training_seconds": sum(score.seconds for score in trial.scores),
        "folds": [{"best_epoch": s.best_epoch, "epochs": s.epochs, "clips": s.sizes["train"]} for s in trial.scores],
        "values": dict(trial.proposal),
    }


def end_at(target: float) -> None:
    """Interrupt the sweep, as Control-C would, once a trial is as good: what it would do later is not timed."""
    heard = Session.trial

    def trial(self: Session, one: Trial) -> None:
        heard(self, one)
        if one.objective is not None and one.objective >= target:
            os.kill(os.getpid(), signal.SIGINT)

    Session.trial = trial  # type: ignore[method-assign]


def run(job: dict[str, Any]) -> dict[str, Any]:
    """The sweep; a row a trial, in the order of their ends, and what the sweep says of its own seconds."""
    if job.get("target") is not None:
        end_at(job["target"])
    limit = {} if job["time"] is None else {"time": job["time"]}
    sweep = Sweep.from_yaml(
        job["space"],
        corpus=job["corpus"],
        encoders=job["encoders"],
        home=job["home"],
        cache=job["cache"],
        device=job["device"],
        cohort=job["cohort"],
        no_baselines=True,
        **limit,
    )
    result = sweep.run()
    stored = load(result.name, result.home)
    ended = sorted((t for t in stored.trials if t.ended), key=lambda t: t.finished or 0.0)
    return {
        "trials": [row(trial) for trial in ended],
        "seconds": result.summary["seconds"],
        "budget": asdict(stored.sweep.budget),
    }


def main() -> None:
    """Read the job, write what was found."""
    job = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(run(job)))


if __name__ == "__main__":
    main()
