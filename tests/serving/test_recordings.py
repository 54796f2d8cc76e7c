"""Which files a folder stands for, and how a recording is heard whatever it comes as."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from reno_sweeps import audio
from reno_sweeps.corpora._tones import write_tones
from reno_sweeps.serving import recordings


def test_a_folder_stands_for_every_recording_below_it_but_hidden_ones(tmp_path):
    write_tones(tmp_path, ["b.wav", "a/c.WAV", ".hidden.wav", ".git/d.wav"])
    (tmp_path / "a" / "notes.txt").write_text("laughs")
    found = recordings.expand([tmp_path / "b.wav", tmp_path])

    assert found == [tmp_path / "b.wav", tmp_path / "b.wav", tmp_path / "a" / "c.WAV"]


def test_recordings_come_a_few_at_a_time_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "BATCH", 2)
    write_tones(tmp_path, [f"{n}.wav" for n in range(5)])
    files = recordings.expand([tmp_path])
    batches = list(recordings.heard(files))

    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert [one.name for batch in batches for one in batch] == list(map(str, files))


def test_bytes_sound_as_their_file_does(tmp_path):
    write_tones(tmp_path, ["a.wav"])
    content = (tmp_path / "a.wav").read_bytes()
    ((heard, broken),) = recordings.heard([content, content[:30]])

    np.testing.assert_array_equal(heard.samples, audio.decode(tmp_path / "a.wav"))
    assert broken.samples is None
    assert broken.fault.startswith("30 bytes: not readable as audio")


def test_samples_are_taken_as_they_are():
    samples = np.linspace(-1, 1, 800)
    ((heard,),) = recordings.heard([samples], ["mine"])

    assert heard.name == "mine"
    assert heard.samples.dtype == np.float32


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_every_format_of_the_house_is_heard_from_bytes(tmp_path, suffix):
    import soundfile

    write_tones(tmp_path, ["a.wav"])
    samples, rate = soundfile.read(tmp_path / "a.wav")
    soundfile.write(tmp_path / f"a.{suffix}", samples, rate)
    shutil.move(tmp_path / f"a.{suffix}", tmp_path / "nameless")
    ((heard,),) = recordings.heard([(tmp_path / "nameless").read_bytes()])

    assert heard.fault is None
    assert len(heard.samples) >= 4000
