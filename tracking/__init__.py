"""Everything that knows MLflow, and nothing that knows training. Importing it settles MLflow's environment first."""

import os

# Read by MLflow when it is imported or at each call. Only defaults: what a user has set stays as it is.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing phones home; it must be this word
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own 7 hold a call to a dead server for 246 s
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds without a byte
    "MLFLOW_LOGGING_LEVEL": "ERROR",  # alembic's and the registry's news are no concern of a sweep's reader
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to results
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else a uv.lock in the working folder replaces a model's requirements
    "MLFLOW_LOG_UV_FILES": "false",
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
