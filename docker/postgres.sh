#!/bin/sh
# The stack's databases, made once: Optuna's storage, MLflow's store, MLflow's users; each with a role of its own.
set -eu
for name in optuna mlflow mlflow_auth; do
    case $name in
    optuna) password=$OPTUNA_PASSWORD ;;
    *) password=$MLFLOW_DB_PASSWORD ;;
    esac
    psql --set ON_ERROR_STOP=1 --set password="$password" --username "$POSTGRES_USER" --dbname postgres --quiet <<SQL
CREATE ROLE $name LOGIN PASSWORD :'password';
CREATE DATABASE $name OWNER $name;
REVOKE CONNECT, TEMPORARY ON DATABASE $name FROM PUBLIC;
SQL
done
