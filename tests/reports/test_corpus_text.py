"""`corpus check` for people: figures first, faults last, nothing that a terminal would obey."""

from __future__ import annotations

from typing import Any

from reno_sweeps.reports.corpus_text import lines

SPREAD = {"shortest": 0.25, "median": 0.5, "longest": 12.0}
NONE = {"clips": 0, "first": []}


def report(**changes: Any) -> dict[str, Any]:
    of_class = {"clips": 2, "speakers": 2, "minutes": 0.25, **SPREAD}
    clean = {
        "corpus": "mine",
        "synthetic": False,
        "clips": 4,
        "hours": 0.0083,
        "speakers": 2,
        "classes": {"joy": 2, "pain": 2},
        "per_speaker": {"s1": 1, "s2": 3},
        "per_class": {"joy": of_class, "pain": of_class},
        "seconds": SPREAD,
        "sample_rates": {"16000": 3, "48000": 1},
        "channels": {"1": 4},
        "short": {"below": 0.3, "clips": 1, "first": ["a.wav"]},
        "long": {"above": 10.0, "clips": 2, "first": ["b.wav", "c.wav"]},
        "silent": {"below_dbfs": -60, **NONE},
        "clipped": NONE,
        "skipped": [],
        "skipped_why": {},
        "left_out": {},
        "duplicates": [],
        "near_duplicates": [],
        "conflicts": [],
        "deviations": [],
        "took": {"listening": 1.0, "comparing": 0.2},
        "folds": {"kind": "given", "n_folds": 2, "seed": 0, "test": [1, 3], "messages": ["folds: its own"]},
        "leaks": [],
        "warnings": [],
        "faults": [],
    }
    return clean | changes


def test_a_clean_corpus_is_figures_and_a_table() -> None:
    assert lines(report()) == [
        "corpus    mine",
        "clips     4, 0.01 h, 2 classes",
        "speakers  2, 1 to 3 clips each",
        "length    0.25 to 12.00 s, median 0.50 s; 1 below 0.3 s, 2 above 10 s",
        "rate      16000 Hz: 3, 48000 Hz: 1",
        "channels  1: 4",
        "level     0 silent (below −60 dBFS), 0 clipped",
        "time      listening 1.0 s, comparing 0.2 s",
        "folds     given, 2 with 1 to 3 clips each, seed 0",
        "          folds: its own",
        "",
        "class  clips  speakers  minutes  shortest s  median s  longest s",
        "-----  -----  --------  -------  ----------  --------  ---------",
        "joy        2         2      0.2        0.25      0.50      12.00",
        "pain       2         2      0.2        0.25      0.50      12.00",
        "",
        "the same sound: none",
        "",
        "near duplicates: none",
        "",
        "faults: none",
    ]


def test_faults_stand_last_after_warnings_and_deviations() -> None:
    said = lines(report(deviations=["4 clips"], warnings=["speakers mix"], faults=["leak: one", "leak: two"]))

    assert said[-9:] == [
        "deviations: 1",
        "  4 clips",
        "",
        "warnings: 1",
        "  speakers mix",
        "",
        "faults: 2",
        "  leak: one",
        "  leak: two",
    ]


def test_copies_and_what_was_left_out_are_listed() -> None:
    said = lines(
        report(
            duplicates=[["a.wav", "b.wav"]],
            near_duplicates=[["a.wav", "c.wav", 0.98765]],
            skipped=[{"path": "notes.txt", "why": "not audio"}],
            skipped_why={"not audio": 1},
            left_out={"speech": 5_080},
        )
    )

    assert said[said.index("no part of the corpus: 5080 files") + 1] == "  5080 × speech"
    assert said[said.index("skipped: 1") + 1] == "  notes.txt: not audio"
    assert said[said.index("the same sound: 1") + 1] == "  a.wav = b.wav"
    assert said[said.index("near duplicates: 1") + 1] == "  0.988  a.wav ~ c.wav"


def test_a_long_list_is_counted_by_reason_and_shortened() -> None:
    skipped = [{"path": f"{n}.txt", "why": "not audio"} for n in range(25)]
    said = lines(report(skipped=skipped, skipped_why={"not audio": 25}))

    assert said[said.index("skipped, by reason: 1") + 1] == "  25 × not audio"
    assert said[said.index("skipped: 25") + 11] == "  … and 15 more (--json has all)"


def test_folds_that_cannot_be_are_called_so() -> None:
    folds = {"kind": "speaker", "n_folds": 5, "seed": 0, "test": [], "messages": []}

    assert "folds     speaker, 5: impossible" in lines(report(folds=folds))


def test_unknown_speakers_and_synthetic_clips_are_said() -> None:
    said = lines(report(synthetic=True, speakers=0, per_speaker={}))

    assert said[0] == "corpus    mine (synthetic clips)"
    assert "speakers  not known" in said
    assert not any("speakers  minutes" in line for line in said)


def test_a_report_of_nothing_can_be_read() -> None:
    nothing = report(clips=0, classes={}, per_class={}, seconds={}, sample_rates={}, channels={}, faults=["no sound"])

    assert lines(nothing)[-1] == "  no sound"


def test_a_path_that_would_move_the_cursor_is_spelled_out() -> None:
    said = "\n".join(lines(report(duplicates=[["a\x1b[2J.wav", "b\n.wav"]], faults=["leak: a\x1b[2J.wav"])))

    assert "\x1b" not in said
    assert "a\\x1b[2J.wav = b\\n.wav" in said


def test_no_fault_is_left_to_guess() -> None:
    said = lines(report(faults=[f"fault {n}" for n in range(12)], warnings=[f"warning {n}" for n in range(12)]))

    assert [line for line in said if line.startswith("  fault")] == [f"  fault {n}" for n in range(12)]
    assert [line for line in said if line.startswith("  warning")] == [f"  warning {n}" for n in range(12)]
