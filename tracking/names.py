"""Every experiment, run, tag, metric and artifact name that MLflow ever sees."""

from __future__ import annotations

import re

# --- tags ---------------------------------------------------------------------------------------------------

SWEEP = "reno.sweep"  # the sweep's identity: all runs of one sweep share it
KEY = "reno.key"  # which run of the sweep: unique among the sweep's runs
KIND = "reno.kind"  # trial, baselines, nested, refit, winner, sweep
STATE = "reno.state"  # of a trial, in the study's words
REASON = "reno.reason"  # why it failed or was pruned
TRIAL = "reno.trial"  # its number
SELECTION = "reno.selection"  # what selects: validation, nested, paper
OPTIMISTIC = "reno.optimistic"  # "true": the test fold selected
CORPUS = "reno.corpus"
VERSION = "reno.version"  # of the code that drove the sweep last; a param could never change
MIRRORED = "reno.mirrored"  # digest of what the run holds, written last: a run without it is half written
DUPLICATE = "reno.duplicate"  # "true": a second run that an interrupted call left behind; not part of the sweep

EXPERIMENT_KIND = "mlflow.experimentKind"
TRAINING_EXPERIMENT = "custom_model_development"  # a UI without a GenAI/training switch opens it on its runs
VIEW = "mlflow.sharedViewState."  # + key: columns, sorting and filter of the runs' table, as JSON
PRIMARY_METRIC = "mlflow.experiment.primaryMetric.name"  # the UI's charts begin with it
NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
SOURCE_NAME = "mlflow.source.name"
TABLES = "mlflow.loggedArtifacts"  # JSON list of the tables that the UI offers under Evaluation
VERSIONS = "mlflow.modelVersions"  # at a logged model: the registered versions that it became
DATA_CONTEXT = "mlflow.data.context"

# --- kinds and keys of runs ---------------------------------------------------------------------------------

SWEEP_KIND = "sweep"
TRIAL_KIND = "trial"
BASELINES = "baselines"  # these four are kinds, and keys of the one child that holds their runs
NESTED = "nested"
REFIT = "refit"
WINNER = "winner"
CHILDREN = (WINNER, REFIT, NESTED, BASELINES)
DUPLICATE_KIND = "duplicate"

PARENT_KEY = "sweep"  # the sweep's parent run


def trial(number: int) -> str:
    """The key and name of a trial's run: 'trial 0017'."""
    return f"trial {number:04d}"


def experiment(corpus: str) -> str:
    """The experiment that holds a corpus's sweeps: 'reno/demo'."""
    return f"reno/{slug(corpus)}"


def view(identity: str) -> str:
    """The key of a sweep's own view of the runs' table, as it stands in the UI's URL."""
    return identity[:12]


def model(corpus: str) -> str:
    """The registered model of a corpus: 'reno-demo'."""
    return f"reno-{slug(corpus)}"


def slug(corpus: str) -> str:
    """A corpus's id, or for a path the folder that holds it: 'data/emogator6/manifest.csv' is 'emogator6'."""
    parts = [part for part in corpus.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    if len(parts) > 1 and "." in parts[-1]:
        parts.pop()
    last = parts[-1] if parts else corpus
    return re.sub(r"[^\w.-]+", "-", last).strip("-.") or "corpus"


# --- metrics ------------------------------------------------------------------------------------------------

BEST_EPOCH = "best_epoch"


def val(metric: str) -> str:
    """A validation metric: 'val_macro_f1'."""
    return f"val_{metric}"


def test(metric: str) -> str:
    """A test metric: 'test_macro_f1'."""
    return f"test_{metric}"


def std(metric: str) -> str:
    """The deviation over folds that stands beside a mean: 'test_macro_f1_std'."""
    return f"{metric}_std"


def best(metric: str) -> str:
    """The sweep's best so far, over trial numbers: 'best_val_macro_f1'."""
    return f"best_{val(metric)}"


def fold_metric(place: tuple[int, int, int], metric: str, repeats: int = 1, seeds: int = 1) -> str:
    """A metric of (repeat, seed, fold): 'fold_0/val_macro_f1', or 'repeat_1/seed_2/fold_0/…' where there are more."""
    repeat, seed, fold = place
    repeated, seeded = f"repeat_{repeat}/" * (repeats > 1), f"seed_{seed}/" * (seeds > 1)
    return f"{repeated}{seeded}fold_{fold}/{metric}"


def refit(metric: str) -> str:
    """The winner's test metric after its refit: 'test_refit_macro_f1'."""
    return f"test_refit_{metric}"


def nested(metric: str) -> str:
    """A test metric of the nested protocol: 'nested_test_macro_f1'."""
    return f"nested_{test(metric)}"


OPTIMISM_GAP = "optimism_gap"


# --- params, artifacts, registry ----------------------------------------------------------------------------

PARAMETERS = "model.parameters"  # the number of trainable parameters
FOLDS_TABLE = "folds.json"
SPACE_FILE = "space.yaml"  # the whole question; beside it the file as the user gave it, and the same as JSON
SPACE_AS_GIVEN = "space-as-given.yaml"
SPACE_JSON = "sweep.json"
VERSIONS_FILE = "versions.json"
CLIPS = "clips.csv"
NOTE_FILE = "note.md"
REPORT = "report.html"
FIGURES = "figures"
TABLES_FOLDER = "tables"
MODEL_FOLDER = "model"  # the artifact of a registered pyfunc that holds weights and facts
CANDIDATE = "candidate"


def clean(name: str) -> str:
    """A param's or metric's name as MLflow takes it: other signs become '_', no empty or dotted steps between '/'."""
    allowed = re.sub(r"[^\w.\- /:]", "_", name)
    steps = [step for step in allowed.split("/") if step.strip(". ")]
    return "/".join(steps)[:250] or "_"
