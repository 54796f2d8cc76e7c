"""What a registered model runs: raw audio → encoders → head → emotion. Importing this imports nothing heavy."""

from pathlib import Path

from reno_sweeps.serving.answers import Table as Table
from reno_sweeps.serving.model import EmotionModel as EmotionModel
from reno_sweeps.serving.model import open_model as open_model
from reno_sweeps.serving.wheel import own_wheel as own_wheel


def pyfunc_file() -> Path:
    """The code that MLflow runs for a registered model."""
    return Path(__file__).with_name("pyfunc.py")
