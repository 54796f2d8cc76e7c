"""A sweep on a corpus with copies says so wherever a figure of it appears."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reno_sweeps.app.preparing import leaks
from reno_sweeps.audio import decode, samples_digest
from reno_sweeps.corpora import folder
from reno_sweeps.corpora._tones import write_tones
from reno_sweeps.embeddings.extract import Extraction
from reno_sweeps.folds import make_splits
from reno_sweeps.records import Protocol
from tracking import reader

SPACE = """
name: tones
head: linear
encoders: [mfcc]
search: {training.lr: {type: float, low: 1e-3, high: 1e-2, log: true}}
fixed: {training.epochs: 1}
budget: {trials: 1, sampler: random}
protocol: {folds: stratified, n_folds: 2}
"""
SAID = "leak: 1 sound with copies is in training and in test (folds 0, 1): joy/0.wav = joy/copy"


def with_copy(root: Path, name: str) -> Path:
    """Eight tones of two emotions, and one of them again: of its five joys the two folds hold two and three."""
    write_tones(root, [f"{label}/{n}.wav" for label in ("joy", "sadness") for n in range(4)])
    shutil.copy(root / "joy/0.wav", root / f"joy/{name}.wav")
    return root


def leaking_seed(root: Path) -> int:
    """A seed whose folds test the copies apart."""
    corpus = folder.read(root)
    rows = {row for row, clip in enumerate(corpus.clips) if clip.path == "joy/0.wav" or "copy" in clip.path}
    tests = {seed: make_splits(corpus, Protocol("stratified", 2, seed=seed)).splits[0].test for seed in range(20)}
    return next(seed for seed, test in tests.items() if len(rows & set(test)) == 1)


@pytest.mark.parametrize("apart", [True, False])
def test_copies_are_said_where_they_are_tested_apart_and_nowhere_else(tmp_path: Path, apart: bool) -> None:
    corpus = folder.read(with_copy(tmp_path / "tones", "copy"))
    sounds = {clip.path: samples_digest(decode(corpus.root / clip.path)) for clip in corpus.clips}
    rows = {row for row, clip in enumerate(corpus.clips) if clip.path in {"joy/0.wav", "joy/copy.wav"}}
    made = (make_splits(corpus, Protocol("stratified", 2, seed=seed)) for seed in range(20))
    folds = next(f for f in made if (len(rows & set(f.splits[0].test)) == 1) == apart)

    said = leaks(Extraction(corpus, {}, {}, sounds), folds)

    assert said == ([f"{SAID}.wav; remove the copies: the test figures are too good"] if apart else [])


@pytest.mark.slow
def test_a_sweep_says_its_leak_on_stderr_in_the_note_and_in_the_report(cli: Any, tmp_path: Path) -> None:
    root = with_copy(tmp_path / "tones", "copy[red]\x1b[31m")
    (tmp_path / "tones.yaml").write_text(SPACE)
    asked = ["run", "--space", str(tmp_path / "tones.yaml"), "--corpus", str(root), "--no-baselines", "--json"]

    process = cli.start(*asked, "--fold-seed", str(leaking_seed(root)))
    out, err = process.communicate(timeout=280)

    assert process.returncode == 0, err
    result = json.loads(out)
    assert SAID in err
    assert "\x1b" not in err
    for name in ("note.md", "report.html"):
        assert SAID in reader.artifact(result["tracking_uri"], result["parent_run_id"], name)


@pytest.mark.slow
def test_a_feature_that_holds_the_label_is_said_before_anything_trains_and_wherever_a_figure_is(
    cli: Any, tmp_path: Path
) -> None:
    root = write_and_embed(tmp_path)
    (tmp_path / "tones.yaml").write_text(SPACE)
    embedded = f"file:{tmp_path / 'leaking.npz'}"
    asked = ["run", "--space", str(tmp_path / "tones.yaml"), "--corpus", str(root), "--encoders", embedded]

    process = cli.start(*asked, "--no-baselines", "--json")
    out, err = process.communicate(timeout=280)

    assert process.returncode == 0, err
    result = json.loads(out)
    said = "feature 3 of file:leaking.npz alone tells 'joy' from all other classes (area under the ROC curve 1.000)"
    assert f"caution: {said}" in err
    assert any(sentence.startswith(said) for sentence in result["cautions"])
    assert said in reader.artifact(result["tracking_uri"], result["parent_run_id"], "note.md")
    page = reader.artifact(result["tracking_uri"], result["parent_run_id"], "report.html")
    assert "feature 3 of file:leaking.npz alone tells" in page


def write_and_embed(folder: Path) -> Path:
    """Twelve tones of two emotions, and embeddings of them by chance, whose last feature is the label."""
    paths = [f"{label}/{n}.wav" for label in ("joy", "sadness") for n in range(6)]
    write_tones(folder / "tones", paths)
    vectors = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
    vectors[:, 3] = [path.startswith("joy") for path in paths]
    np.savez(folder / "leaking.npz", ids=np.array(paths), X=vectors)
    return folder / "tones"
