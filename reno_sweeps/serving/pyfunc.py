"""The code that MLflow runs for a registered model: its table in, reno_sweeps.serving's answers out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.models  # noqa: TID253  # MLflow alone reads this file; nothing of ours imports it
from mlflow.pyfunc import PythonModel  # noqa: TID253
from pandas import DataFrame  # noqa: TID253  # MLflow reads the hint below, and has imported pandas anyway

from reno_sweeps.serving import table


class Served(PythonModel):  # type: ignore[misc]  # MLflow ships no types
    """Opens the model once and answers tables."""

    def load_context(self, context: Any) -> None:
        """Load head and encoders from the model's own folder."""
        config = context.model_config or {}
        self._model = table.opened(Path(context.artifacts["model"]), config)

    def predict(self, context: Any, model_input: DataFrame, params: Any = None) -> DataFrame:  # noqa: ARG002
        """A row a clip: emotion and one probability column per class, with `path` where it was given."""
        return table.answered(self._model, model_input)


mlflow.models.set_model(Served())
