"""Answers as people and programs read them."""

from __future__ import annotations

import csv
import io

import numpy as np

from reno_sweeps.serving import Table

ROWS = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)


def test_a_row_names_the_clip_its_emotion_and_every_class():
    table = Table(["a.wav", "b, c.wav"], ("joy", "fear"), ROWS)

    assert table.as_json() == [
        {"path": "a.wav", "emotion": "fear", "probabilities": {"joy": 0.25, "fear": 0.75}},
        {"path": "b, c.wav", "emotion": "joy", "probabilities": {"joy": 0.5, "fear": 0.5}},
    ]
    assert table.as_csv() == 'path,emotion,joy,fear\na.wav,fear,0.25,0.75\n"b, c.wav",joy,0.5,0.5\n'


def test_json_csv_and_frame_hold_the_same_numbers():
    odd = np.float32([[1 / 3, 2 / 3]])
    table = Table(["x"], ("joy", "fear"), odd)
    line = list(csv.reader(io.StringIO(table.as_csv())))[1]

    assert np.float32(line[2]) == odd[0, 0]
    assert table.as_json()[0]["probabilities"]["joy"] == float(line[2]) == table.as_frame()["joy"][0]


def test_a_class_called_as_another_column_keeps_its_own():
    frame = Table(["x"], ("emotion", "path"), np.float32([[1, 0]])).as_frame()

    assert list(frame.columns) == ["path", "emotion", "emotion (probability)", "path (probability)"]
    assert frame["emotion"][0] == "emotion"
