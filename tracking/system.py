"""What the machine is doing while a sweep runs: MLflow's own system metrics, at the sweep's parent run."""

from __future__ import annotations

import logging

from tracking.errors import one_line

logger = logging.getLogger(__name__)

EVERY = 10.0  # seconds; MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL goes before


class SystemMetrics:
    """Cores, memory, disk, network and GPUs of this machine as `system/…` metrics, from `start` to `stop`.

    They go beside the mirror, from a thread of MLflow's: nothing of a result, so nothing is kept for an outage.
    """

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        from mlflow.system_metrics import system_metrics_monitor

        logging.getLogger(system_metrics_monitor.__name__).setLevel(logging.WARNING)
        self._monitor = system_metrics_monitor.SystemMetricsMonitor(
            run_id, sampling_interval=EVERY, resume_logging=True, tracking_uri=tracking_uri
        )

    @classmethod
    def of_run(cls, tracking_uri: str, run_id: str) -> SystemMetrics | None:
        """Watching already; None, and a line of why, where this machine cannot be watched."""
        try:
            found = cls(tracking_uri, run_id)
            found._monitor.start()
        except Exception as error:  # noqa: BLE001 - psutil, drivers and MLflow raise kinds of their own; a sweep needs none
            logger.warning("no system metrics: %s", one_line(error))
            return None
        return found

    def stop(self) -> None:
        """End the thread; what it had measured goes out."""
        self._monitor.finish()
