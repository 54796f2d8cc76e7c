#!/bin/sh
# The stack's MLflow server: runs in PostgreSQL, artifacts in S3-compatible storage, nobody in without a login.
# Environment: MLFLOW_BACKEND_STORE_URI, MLFLOW_AUTH_DATABASE_URI, MLFLOW_ARTIFACTS_DESTINATION,
# MLFLOW_AUTH_ADMIN_USERNAME, MLFLOW_AUTH_ADMIN_PASSWORD, MLFLOW_FLASK_SERVER_SECRET_KEY; MLFLOW_BIND and MLFLOW_PORT.
set -eu
umask 077
MLFLOW_AUTH_CONFIG_PATH=$(mktemp)
export MLFLOW_AUTH_CONFIG_PATH MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true
export MLFLOW_DEFAULT_ARTIFACT_ROOT=mlflow-artifacts:/  # clients send artifacts to this server, not to S3
{
    echo '[mlflow]'
    echo 'default_permission = READ'
    echo 'authorization_function = mlflow.server.auth:authenticate_request_basic_auth'
    printf 'database_uri = %s\n' "$MLFLOW_AUTH_DATABASE_URI" | sed 's/%/%%/g'
} > "$MLFLOW_AUTH_CONFIG_PATH"
# An empty database gets its tables; one of an older MLflow is refused with the command that migrates it.
python -m tracking.database
exec python -m mlflow server --host "${MLFLOW_BIND:-0.0.0.0}" --port "${MLFLOW_PORT:-5000}" --workers 1 \
    --app-name basic-auth --uvicorn-opts '--log-level warning --no-access-log'
