"""How long a sweep's trials take, and so how many of them a worker is given at a time."""

from __future__ import annotations

from collections.abc import Sequence

from reno_sweeps.records import Trial
from reno_sweeps.search.plan import Plan
from reno_sweeps.search.share import cohort_size


class Pace:
    """Mean seconds of training of the complete trials. Results do not depend on it: companies change nothing."""

    def __init__(self, plan: Plan, trials: Sequence[Trial]) -> None:
        self._plan, self._seconds, self._count = plan, 0.0, 0
        for trial in trials:
            self.end(trial)

    def end(self, trial: Trial) -> None:
        """Take in an ended trial."""
        if trial.state == "complete":
            self._seconds += sum(score.seconds for score in trial.scores)
            self._count += 1

    def cohort(self, workers: int) -> int:
        """Configurations that train together: as asked, else what every worker can be given now."""
        if self._plan.cohort is not None:
            return self._plan.cohort
        seconds = self._seconds / self._count if self._count else None
        return cohort_size(self._plan.device, ahead=self._plan.ahead, workers=workers, seconds=seconds)
