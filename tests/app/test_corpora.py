"""`corpus check`: leaks in the folds that `run` would make, faults that end with exit code 4, text for people."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from reno_sweeps import cli
from reno_sweeps.app import corpora
from reno_sweeps.audio import RATE
from reno_sweeps.records import UserError

NOTHING = {"folds": None, "n_folds": None, "seed": None}


def sound(seed: int, seconds: float = 0.3) -> np.ndarray:
    return 0.3 * np.random.default_rng(seed).uniform(-1, 1, int(seconds * RATE))


def table(root: Path, rows: list[tuple], columns: str = "path,label,speaker,fold") -> Path:
    """A manifest of clips, each of its own noise."""
    root.mkdir(exist_ok=True)
    for number, (path, *_) in enumerate(rows):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if not (root / path).exists():
            soundfile.write(root / path, sound(number), RATE)
    with (root / "manifest.csv").open("w", newline="") as out:
        csv.writer(out).writerows([columns.split(","), *rows])
    return root / "manifest.csv"


def spoken(speakers: int, takes: int = 2, folds: int | None = None) -> list[tuple]:
    """Every speaker utters both emotions `takes` times."""
    return [
        (f"a/s{s}_{label}_{take}.wav", label, f"s{s}", "" if folds is None else s % folds)
        for s in range(speakers)
        for label in ("joy", "sadness")
        for take in range(takes)
    ]


def check(place: Path, **protocol) -> dict:
    return corpora.check(str(place), None, NOTHING | protocol, {}, quiet=True)


def exit_code(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    return int(end.value.code or 0)


def test_a_clean_corpus_with_its_own_folds_has_no_fault(tmp_path):
    found = check(table(tmp_path / "mine", spoken(10, folds=5)))

    assert (found["faults"], found["leaks"], found["warnings"]) == ([], [], [])
    assert found["folds"] == {
        "kind": "given",
        "n_folds": 5,
        "seed": 0,
        "test": [8] * 5,
        "messages": ["folds: the corpus's own 5 (whole speakers); protocol.folds: stratified or speaker makes others"],
    }


def test_speakers_in_train_and_test_are_a_warning_with_the_papers_folds(tmp_path):
    found = check(table(tmp_path / "mine", spoken(10)))

    assert found["folds"]["kind"] == "stratified"
    assert (found["faults"], found["leaks"]) == ([], [])
    (warning,) = found["warnings"]
    assert warning.startswith("10 of 10 speakers are in training and in test, as stratified folds")


def test_speakers_in_several_given_folds_are_a_leak(tmp_path):
    rows = [(path, label, who, n % 5) for n, (path, label, who, _) in enumerate(spoken(5, takes=5))]

    found = check(table(tmp_path / "mine", rows))

    assert {leak["kind"] for leak in found["leaks"]} == {"speaker"}
    assert found["faults"] == ["leak: 5 speakers are in training and in test (folds 0, 1, 2, 3, 4): s0, s1, s2, …"]


def test_folds_by_speaker_leak_no_speaker(tmp_path):
    found = check(table(tmp_path / "mine", spoken(10)), folds="speaker")

    assert (found["folds"]["kind"], found["leaks"], found["faults"]) == ("speaker", [], [])


@pytest.mark.parametrize("kind", ["duplicates", "near_duplicates"])
def test_copies_across_folds_are_a_leak_and_within_one_are_said(tmp_path, kind):
    rows = spoken(10, folds=5)
    place = table(tmp_path / "mine", rows)
    copied = soundfile.read(tmp_path / "mine" / "a/s0_joy_0.wav")[0] * (1 if kind == "duplicates" else 0.5)
    name = {"duplicates": "duplicate", "near_duplicates": "near duplicate"}[kind]

    soundfile.write(tmp_path / "mine" / "a/s5_joy_0.wav", copied, RATE)  # speakers 0 and 5 are both in fold 0
    within = check(place)
    soundfile.write(tmp_path / "mine" / "a/s5_joy_0.wav", sound(99), RATE)
    soundfile.write(tmp_path / "mine" / "a/s1_joy_0.wav", copied, RATE)
    across = check(place)

    assert [pair[:2] for pair in within[kind]] == [["a/s0_joy_0.wav", "a/s5_joy_0.wav"]]
    assert (within["leaks"], within["faults"]) == ([], [])
    assert any("in one fold alone: no leak" in warning for warning in within["warnings"])
    assert across["leaks"] == [{"kind": name, "paths": ["a/s0_joy_0.wav", "a/s1_joy_0.wav"], "folds": [0, 1]}]
    assert across["faults"][0].startswith("leak: 1 ")


def test_what_is_near_to_a_copy_in_another_fold_leaks(tmp_path):
    place = table(tmp_path / "mine", spoken(10, folds=5))
    folder, samples = tmp_path / "mine" / "a", sound(0)
    for path, gain in (("s0_joy_0", 1), ("s1_joy_0", 1), ("s5_joy_0", 0.5)):
        soundfile.write(folder / f"{path}.wav", gain * samples, RATE)

    assert [leak["kind"] for leak in check(place)["leaks"]] == ["duplicate", "near duplicate"]


def test_impossible_folds_are_a_fault_with_the_way_out_and_the_rest_is_reported(tmp_path):
    """JNV's shape: four speakers."""
    place = table(tmp_path / "jnv", spoken(4))

    found, four = check(place, folds="speaker"), check(place, folds="speaker", n_folds=4)

    (fault,) = found["faults"]
    assert "corpus jnv: 4 speakers for 5 speaker-independent folds; --folds 4" in fault
    assert (found["clips"], found["speakers"], found["folds"]["test"]) == (16, 4, [])
    assert (four["faults"], four["folds"]["test"]) == ([], [4, 4, 4, 4])


def test_a_corpus_without_a_sound_is_reported(tmp_path):
    place = table(tmp_path / "mine", spoken(5))
    shutil.rmtree(tmp_path / "mine" / "a")

    found = check(place)

    assert found["clips"] == 0
    assert [fault.split(":")[0] for fault in found["faults"]] == [
        "20 of 20 recordings cannot be decoded",
        "no such folds",
    ]
    assert "impossible" in corpora.spelled(found)


@pytest.mark.parametrize(
    ("protocol", "answer"),
    [({"folds": "random"}, "--kind random: there are no such folds"), ({"n_folds": 1}, "--folds 1: at least 2")],
)
def test_folds_that_no_corpus_could_have_are_refused(tmp_path, protocol, answer):
    with pytest.raises(UserError, match=answer):
        check(table(tmp_path / "mine", spoken(5)), **protocol)


def test_the_folds_are_those_of_run(tmp_path):
    from reno_sweeps.corpora import manifest
    from reno_sweeps.folds import make_splits
    from reno_sweeps.records import Protocol

    place = table(tmp_path / "mine", spoken(10))
    shutil.copy(tmp_path / "mine/a/s0_joy_0.wav", tmp_path / "mine/a/s7_joy_1.wav")
    corpus = manifest.read(place)
    rows = [row for row, clip in enumerate(corpus.clips) if clip.path in {"a/s0_joy_0.wav", "a/s7_joy_1.wav"}]

    for seed in range(6):
        leaks = check(place, folds="speaker", seed=seed)["leaks"]
        splits = make_splits(corpus, Protocol("speaker", seed=seed)).splits
        crossed = [n for n, split in enumerate(splits) if len(set(rows) & set(split.test)) == 1]
        assert [leak["folds"] for leak in leaks] == ([crossed] if crossed else [])


def test_a_named_corpus_is_compared_with_what_was_published(tmp_path):
    from reno_sweeps.corpora import vivae

    found = corpora.check("vivae", vivae.miniature(tmp_path / "mini"), NOTHING, {}, quiet=True)

    assert any(line.endswith("the published corpus has 1085") for line in found["deviations"])


def test_the_command_prints_json_and_its_exit_code_follows_the_faults(tmp_path, capsys):
    place = table(tmp_path / "mine", spoken(10, folds=5))

    clean = exit_code("corpus", "check", str(place), "--json", "--quiet")
    said = json.loads(capsys.readouterr().out)
    (tmp_path / "mine/a/s0_joy_0.wav").write_text("no sound")
    broken = exit_code("corpus", "check", str(place), "--quiet")
    out, err = capsys.readouterr()

    assert (clean, said["faults"]) == (0, [])
    assert broken == 4
    assert out.splitlines()[-2:] == [
        "faults: 1",
        "  1 of 40 recordings cannot be decoded: a/s0_joy_0.wav (not readable as audio (Format not recognised))",
    ]
    assert err == ""


def test_progress_is_on_stderr_alone(tmp_path, capsys):
    corpora.check(str(table(tmp_path / "mine", spoken(5))), None, NOTHING, {})

    out, err = capsys.readouterr()
    assert out == ""
    assert {"listening to clips: 20/20", "comparing clips: 20/20"} <= set(err.splitlines())


def test_the_list_says_which_corpora_lie_on_the_shelf(tmp_path, monkeypatch, capsys):
    from reno_sweeps.corpora import vivae

    vivae.miniature(tmp_path / "vivae")
    (tmp_path / "jnv").mkdir()
    monkeypatch.setenv("RENO_CORPORA", str(tmp_path))

    code = exit_code("corpus", "list", "--json")
    rows = {row["id"]: (row["at_hand"], row["root"]) for row in json.loads(capsys.readouterr().out)}
    exit_code("corpus", "list")
    blocks = capsys.readouterr().out.split("\n\n")

    assert code == 0
    assert rows == {
        "asvp-esd": (False, None),
        "demo": (True, None),
        "folder": (None, None),
        "jnv": (False, None),
        "manifest": (None, None),
        "vivae": (True, str(tmp_path / "vivae")),
    }
    assert blocks[3].splitlines()[0] == "JNV: Japanese nonverbal vocalisations"
    assert blocks[3].splitlines()[-1] == "  at hand  no: reno-sweep corpus fetch jnv"
    assert blocks[5].splitlines()[-1] == f"  at hand  {tmp_path / 'vivae'}"


def test_the_list_needs_no_shelf(monkeypatch):
    monkeypatch.delenv("RENO_CORPORA", raising=False)

    assert [row["id"] for row in corpora.known() if row["at_hand"]] == ["demo"]
