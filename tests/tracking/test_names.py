"""What tracking/names.py and errors.py promise: names that MLflow takes, errors that fit a line."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from tracking import names
from tracking.errors import one_line
from tracking.rows import RunRow, table_json


def test_a_folds_metric_names_its_repeat_only_when_there_are_several() -> None:
    assert names.fold_metric((0, 0, 3), names.val("macro_f1")) == "fold_3/val_macro_f1"
    assert names.fold_metric((1, 0, 0), names.test("uar"), repeats=2) == "repeat_1/fold_0/test_uar"
    assert names.fold_metric((1, 2, 0), names.test("uar"), 2, 3) == "repeat_1/seed_2/fold_0/test_uar"


def test_means_deviations_and_the_best_are_named_after_their_metric() -> None:
    assert names.std(names.test("macro_f1")) == "test_macro_f1_std"
    assert names.best("macro_f1") == "best_val_macro_f1"
    assert names.trial(17) == "trial 0017"


@pytest.mark.parametrize(
    ("corpus", "slug"),
    [
        ("demo", "demo"),
        ("../shared/data/emogator6/manifest.csv", "emogator6"),
        ("/data/my recordings/", "my-recordings"),
        ("manifest.csv", "manifest.csv"),
        ("../..", "corpus"),
    ],
)
def test_a_corpus_gives_its_name_to_experiment_and_model(corpus: str, slug: str) -> None:
    assert names.experiment(corpus) == f"reno/{slug}"
    assert names.model(corpus) == f"reno-{slug}"


@given(st.text(max_size=300))
def test_every_cleaned_name_is_one_that_mlflow_takes_and_stays_as_it_is(name: str) -> None:
    clean = names.clean(name)

    _validate_metric_name(clean)
    assert names.clean(clean) == clean


@given(st.text())
def test_an_error_is_one_line_without_a_password(text: str) -> None:
    line = one_line(f"{text}\npostgresql://me:secret@db/x")

    assert len(line.splitlines()) <= 1
    assert len(line) <= 300
    assert "secret" not in line


def test_a_rows_digest_tells_contents_and_place_apart() -> None:
    row = RunRow("trial 0000", "trial", "RUNNING", 1, params={"a": 1, "b": 2})
    same = RunRow("trial 0000", "trial", "RUNNING", 1, params={"b": 2, "a": 1})
    other = RunRow("trial 0000", "trial", "RUNNING", 1, params={"a": 1, "b": 3})

    assert row.digest("x") == same.digest("x")
    assert len({row.digest("x"), row.digest("y"), other.digest("x")}) == 3


def test_columns_of_unequal_length_are_no_table() -> None:
    with pytest.raises(ValueError, match="shorter"):
        table_json({"fold": [0, 1], "test_uar": [0.5]})


@pytest.mark.slow
def test_names_and_rows_are_light_and_nothing_of_ours_is_known_here() -> None:
    code = "import sys, tracking.names, tracking.rows, tracking.server; print('mlflow' in sys.modules)"
    heavy = (
        "import sys, tracking.writer, tracking.reader, tracking.registry;"
        "print([name for name in ('torch', 'ray', 'optuna', 'reno_sweeps') if name in sys.modules])"
    )

    answers = [subprocess.check_output([sys.executable, "-c", one], text=True) for one in (code, heavy)]

    assert answers == ["False\n", "[]\n"]
