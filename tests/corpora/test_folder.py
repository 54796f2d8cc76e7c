"""The folder corpus: labels from folders, speakers from a regular expression, nothing dropped silently."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from reno_sweeps.corpora import content_digest, folder
from reno_sweeps.records import Skipped, UserError


def layout(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_the_first_folder_is_the_label_however_deep_the_file(tmp_path):
    root = layout(tmp_path / "voices", "joy/a.wav", "joy/x/y/b.FLAC", "sadness/c.mp3", "sadness/d.ogg")

    corpus = folder.read(root)

    assert [(clip.path, clip.label) for clip in corpus.clips] == [
        ("joy/a.wav", "joy"),
        ("joy/x/y/b.FLAC", "joy"),
        ("sadness/c.mp3", "sadness"),
        ("sadness/d.ogg", "sadness"),
    ]
    assert corpus.id == "voices"


def test_what_is_no_clip_is_listed_with_the_reason(tmp_path):
    root = layout(tmp_path, "joy/a.wav", "sadness/b.wav", "joy/notes.txt", "loose.wav", ".hidden", ".git/c.wav")

    assert folder.read(root).skipped == (
        Skipped("loose.wav", "lies in no emotion's folder"),
        Skipped("joy/notes.txt", "not a wav, flac, ogg, mp3 file"),
    )


def test_a_name_that_is_no_text_is_listed(tmp_path):
    root = layout(tmp_path, "joy/a.wav", "sadness/b.wav")
    (root / "joy" / os.fsdecode(b"\xff.wav")).touch()

    corpus = folder.read(root)

    assert corpus.skipped == (Skipped("joy/\\udcff.wav", "its name is no UTF-8 text"),)
    assert content_digest(corpus, with_audio=True)


def test_a_link_to_a_folder_is_listed_and_not_followed(tmp_path):
    root = layout(tmp_path / "voices", "joy/a.wav", "sadness/b.wav")
    (root / "again").symlink_to(root / "joy")

    corpus = folder.read(root)

    assert [clip.path for clip in corpus.clips] == ["joy/a.wav", "sadness/b.wav"]
    assert [left.path for left in corpus.skipped] == ["again"]


@pytest.mark.parametrize("pattern", [r"(?P<speaker>s\d)_(\d)", r"(s\d)_", r"s\d(?=_)"])
def test_a_regular_expression_names_the_speaker(tmp_path, pattern):
    root = layout(tmp_path, "joy/s1_1.wav", "sadness/s2_1.wav")

    assert [clip.speaker for clip in folder.read(root, pattern).clips] == ["s1", "s2"]


def test_a_path_without_a_speaker_is_refused(tmp_path):
    root = layout(tmp_path, "joy/s1_1.wav", "sadness/unknown.wav")

    with pytest.raises(UserError, match=r"no speaker in 1 of 2 paths, the first: sadness/unknown\.wav"):
        folder.read(root, r"s\d")


def test_a_broken_regular_expression_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a regular expression"):
        folder.read(layout(tmp_path, "joy/a.wav"), "(")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        folder.read(tmp_path / "none")


def test_an_empty_folder_is_refused_with_what_was_left_out(tmp_path):
    with pytest.raises(UserError, match=r"no clips in .* \(1 files left out, the first: a.wav: lies in no"):
        folder.read(layout(tmp_path, "a.wav"))


def test_one_emotion_is_refused(tmp_path):
    with pytest.raises(UserError, match="all 2 clips are labelled 'joy'"):
        folder.read(layout(tmp_path, "joy/a.wav", "joy/b.wav"))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(?:a|aa)+$", ".*.*.*.*.*.*.*.*="])
def test_a_regular_expression_that_finds_no_end_is_refused(tmp_path, monkeypatch, pattern):
    monkeypatch.setattr(folder, "PATIENCE", 0.5)
    root = layout(tmp_path, f"joy/{'a' * 200}!.wav", "fear/a.wav")

    with pytest.raises(UserError, match="finds no end on these paths"):
        folder.read(root, pattern)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


@pytest.mark.parametrize("pattern", ["(" * 3_000 + ")" * 3_000, "a{99999999999}"])
def test_a_regular_expression_that_is_too_large_is_refused(tmp_path, pattern):
    with pytest.raises(UserError, match="not a regular expression"):
        folder.read(layout(tmp_path, "joy/a.wav", "fear/b.wav"), pattern)


def test_a_pipe_or_a_device_is_no_recording_and_is_not_waited_for(tmp_path):
    root = layout(tmp_path, "joy/a.wav", "fear/b.wav")
    os.mkfifo(root / "joy" / "pipe.wav")
    (root / "joy" / "endless.wav").symlink_to("/dev/zero")

    with pytest.raises(
        UserError, match=r"2 of 4 recordings in .* cannot be read: joy/endless\.wav \(no regular file\)"
    ):
        content_digest(folder.read(root), with_audio=True)
