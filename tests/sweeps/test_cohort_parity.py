"""A sweep trained in cohorts of eight is the sweep trained one configuration at a time, on real embeddings."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from reno_sweeps.app import stored
from reno_sweeps.config import _places
from reno_sweeps.records import FoldScore, Trial

FILES = ("embeddings_gpvad_crnn.npz", "embeddings_silero_vad_state.npz")
TRIALS = 16
SMALL = {"training.epochs": 2, "training.precision": "float64", "trunk.positions": 4, "align.width": 64}


@pytest.fixture
def few(shared_data: Path, tmp_path: Path) -> Path:
    """Two speakers of each of the given folds, a recording of each emotion: a manifest and its vectors."""
    rows = list(csv.DictReader((shared_data / "emogator6" / "manifest.csv").open(encoding="utf-8")))
    speakers = {fold: sorted({r["speaker"] for r in rows if r["fold"] == fold})[:2] for fold in "01234"}
    rows = [r for r in rows if r["speaker"] in speakers[r["fold"]] and r["instance"] == "1"]
    with (tmp_path / "manifest.csv").open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, ["path", "label", "speaker", "fold"], extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    for file in FILES:
        with np.load(shared_data / "emogator6" / file) as all_of_them:
            chosen = np.isin(all_of_them["ids"], [r["path"] for r in rows])
            np.savez(tmp_path / file, ids=all_of_them["ids"][chosen], X=all_of_them["X"][chosen])
    return tmp_path / "manifest.csv"


def space(folder: Path) -> Path:
    """The shipped rd_params.yaml: what it searches, drawn at random, in float64, briefly, on a small network."""
    plain = yaml.safe_load(_places.find("rd_params.yaml").read_text(encoding="utf-8"))
    plain["fixed"] = SMALL
    plain["budget"] = {"trials": TRIALS, "sampler": "random"}
    file = folder / "rd_params.yaml"
    file.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return file


def swept(cli: Any, few: Path, cohort: int) -> Sequence[Trial]:
    """The trials of the whole sweep."""
    encoders = ",".join(f"file:{few.parent / file}" for file in FILES)
    asked = ("run", "--space", str(space(few.parent)), "--corpus", str(few), "--encoders", encoders)
    how = ("--name", f"by-{cohort}", "--cohort", str(cohort), "--device", "cpu", "--no-baselines", "--quiet")
    cli(*asked, *how)
    return stored.load(f"by-{cohort}", cli.home).trials


def metrics(score: FoldScore) -> dict[str, Any]:
    """Every figure of a fold, its curves included."""
    figures = {f"test {name}": value for name, value in score.test.items()}
    return figures | {f"validation {n}": v for n, v in score.validation.items()} | dict(score.curves)


@pytest.mark.slow
def test_cohorts_of_one_and_of_eight_have_the_same_configurations_and_fold_metrics(cli: Any, few: Path) -> None:
    single, joined = (swept(cli, few, cohort) for cohort in (1, 8))

    assert [trial.state for trial in single] == ["complete"] * TRIALS
    assert [trial.proposal for trial in joined] == [trial.proposal for trial in single]
    for one, other in zip(single, joined, strict=True):
        assert [(s.fold, s.best_epoch, s.test_confusion) for s in other.scores] == [
            (s.fold, s.best_epoch, s.test_confusion) for s in one.scores
        ]
        for mine, theirs in zip(one.scores, other.scores, strict=True):
            expected, found = metrics(mine), metrics(theirs)
            assert set(found) == set(expected)
            for name, value in expected.items():
                np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=f"trial {one.number}: {name}")
