"""The report of a corpus: everything is counted, what cannot be decoded is a fault, what was left out is not."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from reno_sweeps import audio
from reno_sweeps.corpora import folder, manifest
from reno_sweeps.corpora._report import corpus_report, deviations, examine, faults, warnings
from reno_sweeps.records import Clip


def report(root: Path, speaker: str | None = None, **facts) -> dict:
    return corpus_report(examine(folder.read(root, speaker)), **facts)


def save(file: Path, samples: np.ndarray, rate: int = 16_000, **options) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, samples, rate, **options)


def noise(seed: int, seconds: float = 0.5, peak: float = 0.3) -> np.ndarray:
    return peak * np.random.default_rng(seed).uniform(-1, 1, int(seconds * 16_000))


@pytest.fixture
def faulty(tmp_path):
    """Ten tones: one copied within its emotion, one into the other; a broken file, a text and a stray one."""
    root = folder.miniature(tmp_path)
    shutil.copy(root / "joy/s1_1.wav", root / "joy/copy.wav")
    shutil.copy(root / "joy/s2_1.wav", root / "sadness/other.wav")
    (root / "joy/broken.wav").write_text("no sound")
    (root / "notes.txt").touch()
    return root


def test_a_report_counts_what_is_there(tmp_path):
    found = report(folder.miniature(tmp_path / "voices"), r"(s\d)_")

    quarter = {"shortest": 0.25, "median": 0.25, "longest": 0.25}
    of_class = {"clips": 4, "speakers": 2, "minutes": round(1 / 60, 3), **quarter}
    assert found.pop("took").keys() == {"listening", "comparing"}
    assert found == {
        "corpus": "voices",
        "synthetic": False,
        "clips": 8,
        "hours": round(8 * 0.25 / 3600, 4),
        "speakers": 2,
        "classes": {"joy": 4, "sadness": 4},
        "per_speaker": {"s1": 4, "s2": 4},
        "per_class": {"joy": of_class, "sadness": of_class},
        "seconds": quarter,
        "sample_rates": {"16000": 8},
        "channels": {"1": 8},
        "short": {"below": 0.3, "clips": 8, "first": ["joy/s1_1.wav", "joy/s1_2.wav", "joy/s2_1.wav"]},
        "long": {"above": 10.0, "clips": 0, "first": []},
        "silent": {"below_dbfs": -60, "clips": 0, "first": []},
        "clipped": {"clips": 0, "first": []},
        "skipped": [],
        "skipped_why": {},
        "left_out": {},
        "duplicates": [],
        "near_duplicates": [],
        "conflicts": [],
        "deviations": [],
    }


def test_it_finds_copies_and_clips_with_two_labels(faulty):
    found = report(faulty)

    assert found["duplicates"] == [["joy/copy.wav", "joy/s1_1.wav"], ["joy/s2_1.wav", "sadness/other.wav"]]
    assert found["conflicts"] == [{"joy/s2_1.wav": "joy", "sadness/other.wav": "sadness"}]


def test_a_broken_recording_is_listed_and_no_clip(faulty):
    found = report(faulty)

    assert found["clips"] == 10
    assert [left["path"] for left in found["skipped"]] == ["notes.txt", "joy/broken.wav"]
    assert sum(found["skipped_why"].values()) == 2


def test_broken_recordings_and_two_labels_are_faults_and_what_was_skipped_is_none(faulty):
    said = faults(examine(folder.read(faulty)))

    assert [sentence.split(":")[0] for sentence in said] == [
        "1 of 11 recordings cannot be decoded",
        "1 sound with two labels",
    ]
    assert "joy/broken.wav (not readable as audio" in said[0]
    assert said[1].endswith("joy/s2_1.wav (joy) = sadness/other.wav (sadness)")
    assert faults(examine(folder.read(folder.miniature(faulty / "clean")))) == []


def test_reasons_are_counted_without_their_figures(tmp_path):
    root = folder.miniature(tmp_path)
    for name, share in (("a", 0.3), ("b", 0.6)):
        content = (root / "joy/s1_1.wav").read_bytes()
        (root / f"joy/{name}.wav").write_bytes(content[: int(share * len(content))])

    (root / "joy/notes.txt").touch()
    save(root / "joy/loud.wav", np.full(100, 3e38, np.float32), subtype="FLOAT")

    assert report(root)["skipped_why"] == {
        "truncated, … of … bytes of sound": 2,
        "not a wav, flac, ogg, mp3 file": 1,
        "samples up to … times full scale are no sound": 1,
    }


def test_a_copy_in_another_format_and_rate_is_a_near_duplicate(tmp_path):
    root = folder.miniature(tmp_path)
    samples = noise(1)
    save(root / "joy/one.wav", samples)
    save(root / "sadness/two.mp3", 0.4 * np.concatenate([np.zeros(333), samples]))

    found = examine(folder.read(root))

    (one, two, alike), *others = corpus_report(found)["near_duplicates"]
    assert (one, two, others) == ("joy/one.wav", "sadness/two.mp3", [])
    assert 0.8 < alike <= 1
    assert warnings(found) == [
        "1 pair of near duplicates with two labels: joy/one.wav (joy) ~ sadness/two.mp3 (sadness)"
    ]


def test_exact_copies_are_compared_with_others_once(tmp_path):
    root, samples = folder.miniature(tmp_path), noise(1)
    for name in "abc":
        save(root / f"joy/{name}.wav", samples)
    save(root / "joy/near.wav", 0.5 * samples)

    found = report(root)

    assert found["duplicates"] == [["joy/a.wav", "joy/b.wav", "joy/c.wav"]]
    assert [pair[:2] for pair in found["near_duplicates"]] == [["joy/a.wav", "joy/near.wav"]]


def test_short_long_silent_and_clipped_clips_are_counted_with_the_first(tmp_path):
    root = folder.miniature(tmp_path)
    save(root / "joy/long.wav", noise(1, 10.5))
    save(root / "joy/10ms.wav", noise(2, 0.01))
    save(root / "sadness/silent.wav", np.zeros(16_000))
    save(root / "sadness/faint.wav", noise(3, peak=9e-4))
    save(root / "sadness/clipped.wav", np.clip(8 * np.sin(np.arange(16_000) / 20), -1, 1))
    save(root / "sadness/loud.wav", noise(4) / 0.3)  # full scale is touched, but nowhere stayed at

    found = examine(folder.read(root))
    said = corpus_report(found)

    assert said["short"]["clips"] == 9
    assert (said["long"]["first"], said["clipped"]["first"]) == (["joy/long.wav"], ["sadness/clipped.wav"])
    assert said["silent"] == {"below_dbfs": -60, "clips": 2, "first": ["sadness/faint.wav", "sadness/silent.wav"]}
    assert warnings(found)[-1].startswith("2 silent clips (peak below −60 dBFS): ")


def test_silent_clips_of_one_length_are_copies_and_not_near(tmp_path):
    root = folder.miniature(tmp_path)
    for name, length in (("a", 8_000), ("b", 8_000), ("c", 9_000)):
        save(root / f"joy/{name}.wav", np.zeros(length))

    found = report(root)

    assert found["duplicates"] == [["joy/a.wav", "joy/b.wav"]]
    assert found["near_duplicates"] == []


def test_a_sound_under_two_speakers_names_is_said(tmp_path):
    root = folder.miniature(tmp_path)
    shutil.copy(root / "joy/s1_1.wav", root / "joy/s2_9.wav")

    assert warnings(examine(folder.read(root, r"s\d"))) == [
        "1 sound under two speakers' names: joy/s1_1.wav (s1) = joy/s2_9.wav (s2)"
    ]


def test_rates_and_channels_are_those_of_the_files(tmp_path):
    root = folder.miniature(tmp_path)
    save(root / "joy/8.wav", np.stack([noise(seed) for seed in range(8)], axis=1), 48_000)

    found = report(root)

    assert (found["sample_rates"], found["channels"]) == ({"16000": 8, "48000": 1}, {"1": 8, "8": 1})


def test_what_is_no_part_of_a_corpus_is_counted_by_reason(tmp_path):
    corpus = dataclasses.replace(folder.read(folder.miniature(tmp_path)), left_out={"speech": 4})

    assert corpus_report(examine(corpus))["left_out"] == {"speech": 4}


def test_a_copy_of_a_published_corpus_is_compared_with_what_was_published(tmp_path):
    root = folder.miniature(tmp_path)
    right = {"clips": 8, "speakers": 2, "classes": {"joy": 4, "sadness": 4}}
    wrong = {"clips": 9, "speakers": 2, "classes": {"joy": 4, "fear": 1, "sadness": 4}}

    assert report(root, r"s\d", expected=right)["deviations"] == []
    assert report(root, r"s\d", expected=wrong)["deviations"] == [
        "8 clips; the published corpus has 9",
        "0 clips of 'fear'; the published corpus has 1",
    ]


def test_classes_that_were_not_published_are_told_only_where_classes_are_known():
    counts = {"clips": 2, "speakers": 1, "classes": {"joy": 2}}

    assert deviations(counts, {"clips": 2, "speakers": 1}) == []
    assert deviations(counts, {"classes": {"fear": 2}}) == [
        "0 clips of 'fear'; the published corpus has 2",
        "2 clips of 'joy'; the published corpus has 0",
    ]


def test_every_recording_is_decoded_once(tmp_path, monkeypatch):
    corpus, heard, lock = folder.read(folder.miniature(tmp_path)), [], threading.Lock()
    decode = audio.hear

    def counting(file: Path):
        with lock:
            heard.append(file)
        return decode(file)

    monkeypatch.setattr(audio, "hear", counting)
    examine(corpus)

    assert sorted(heard) == [corpus.root / clip.path for clip in corpus.clips]


def test_progress_is_told_to_the_end(tmp_path):
    said = []
    examine(folder.read(folder.miniature(tmp_path)), lambda *step: said.append(step))

    assert {(8, 8, "listening to clips"), (8, 8, "comparing clips")} <= set(said)
    assert said[-1][0] == said[-1][1]


def test_a_corpus_of_broken_recordings_alone_has_a_report(tmp_path):
    corpus = manifest.read(manifest.miniature(tmp_path))
    shutil.rmtree(tmp_path / "audio")

    found = examine(corpus)

    assert corpus_report(found)["clips"] == 0
    assert faults(found)[0].startswith("8 of 8 recordings cannot be decoded: audio/0.wav (there is no such file)")


def test_the_real_recordings_hold_one_exact_copy_and_no_near_one(shared_data):
    corpus = manifest.read(shared_data / "emogator6" / "manifest.csv")
    some = dataclasses.replace(corpus, clips=tuple(c for c in corpus.clips if c.speaker in {"000202", "000205"}))

    found = examine(some)

    assert found.copies == ((_clip(some, "000202-03-1"), _clip(some, "000202-03-2")),)
    assert found.near == ()


def _clip(corpus, name: str) -> Clip:
    return next(clip for clip in corpus.clips if name in clip.path)
