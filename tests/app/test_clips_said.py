"""What a person sees of an extraction: plain lines now and then, one changing line on a terminal, or nothing."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from reno_sweeps.app import progress
from reno_sweeps.app.progress import clips_line, clips_said
from reno_sweeps.embeddings._pace import Standing

MIDDLE = Standing(120, 240, "mfcc", 100, 31.25, 3.84)
END = Standing(240, 240, "mfcc", 220, 31.25, None)


def test_a_line_says_clips_speed_and_time_left():
    assert clips_line(MIDDLE).startswith("mfcc: 120/240 clips · 31.2 clips/s · about ")
    assert clips_line(MIDDLE).endswith(" left")
    assert clips_line(END) == "mfcc: 240/240 clips · 31.2 clips/s"
    assert clips_line(Standing(3, 9, "mfcc", 0, None, None)) == "mfcc: 3/9 clips"


def test_plain_lines_come_every_few_seconds_and_at_the_end(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.5, 8.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with clips_said() as said:
        for _ in range(6):
            said.stands(MIDDLE)
        said.say("2 workers")
        said.stands(END)
    err = capsys.readouterr().err

    assert err.splitlines() == [clips_line(MIDDLE)] * 2 + ["2 workers", clips_line(END)]


def test_on_a_terminal_one_line_changes_and_what_stays_is_written_above_it(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    clock = iter([0.0, 1.0, 2.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with clips_said() as said:
        said.stands(MIDDLE)
        said.say("2 workers")
        said.stands(END)
    err = capsys.readouterr().err

    assert err == f"\r{clips_line(MIDDLE)}\x1b[K\r\x1b[K2 workers\n\r{clips_line(END)}\x1b[K\n"


def test_quiet_is_silent(capsys):
    with clips_said(quiet=True) as said:
        said.stands(END)
        said.say("2 workers")

    assert capsys.readouterr().err == ""
