"""The code that MLflow runs for a registered model: its table in, reno_sweeps.serving's answers out."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import mlflow.models  # noqa: TID253  # MLflow alone reads this file; nothing of ours imports it
from mlflow.exceptions import MlflowException  # noqa: TID253
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE  # noqa: TID253
from mlflow.pyfunc import PythonModel  # noqa: TID253
from pandas import DataFrame  # noqa: TID253  # MLflow reads the hint below, and has imported pandas anyway

from reno_sweeps.records import UserError
from reno_sweeps.serving import guard, limits, table


class Refused(MlflowException):  # type: ignore[misc]  # MLflow ships no types
    """What was asked cannot be answered: over HTTP 400 and one sentence, without the data that MLflow adds to it."""

    def __init__(self, fault: UserError) -> None:
        super().__init__("; ".join(str(fault).splitlines()), INVALID_PARAMETER_VALUE)

    def serialize_as_json(self) -> str:
        """The body of the answer."""
        return json.dumps({"error_code": self.error_code, "message": self.args[0]}, ensure_ascii=False)


class Served(PythonModel):  # type: ignore[misc]  # MLflow ships no types
    """Opens the model once and answers tables, one at a time: encoders set torch's global switches while they hear."""

    def load_context(self, context: Any) -> None:
        """Load head and encoders from the model's own folder; stand before MLflow's server where it asks."""
        self._limits = limits.of()
        self._turn = threading.Lock()
        self._model = table.opened(Path(context.artifacts["model"]), context.model_config or {})
        if self._limits is not None and limits.SERVER in os.environ:
            guard.install(self._limits, table.offer(self._model))

    def predict(self, context: Any, model_input: DataFrame, params: Any = None) -> DataFrame:  # noqa: ARG002
        """A row a clip: emotion and one probability column per class, with `path` where it was given.

        Refused, an MlflowException, where the table cannot be answered.
        """
        with self._turn:
            try:
                return table.answered(self._model, model_input, self._limits)
            except UserError as fault:
                raise Refused(fault) from fault


mlflow.models.set_model(Served())
