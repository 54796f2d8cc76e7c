"""The command line before anything heavy: help, refusals, exit codes, what goes to which stream."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from reno_sweeps import cli

HEAVY = ("torch", "ray", "mlflow", "optuna", "pandas", "numpy", "sklearn", "transformers")  # Typer has pydantic


def command(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Our command in a process of its own."""
    line = [sys.executable, "-m", "reno_sweeps.cli", *arguments]
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}, check=False)


def imported_by(*arguments: str) -> set[str]:
    """The heavy packages that a command imports."""
    code = (
        "import sys\nfrom reno_sweeps import cli\n"
        f"try:\n    cli.main({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        f"print('IMPORTED', *[m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rsplit("IMPORTED", 1)[1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["corpus", "check", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported_by(*arguments) == set()


def test_the_examination_of_imports_finds_what_is_imported() -> None:
    assert {"torch", "numpy"} <= imported_by("encoders", "check", "mfcc")


def test_a_space_is_checked_without_torch_or_numpy() -> None:
    assert imported_by("space", "check", "rd_params.yaml") == set()


def test_help_takes_less_than_three_tenths_of_a_second_of_cpu() -> None:
    best = min(_cpu_seconds("--help") for _ in range(5))

    assert best < 0.3


def _cpu_seconds(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands() -> list[tuple[str, ...]]:
    """Every command of the command line."""
    groups = {"corpus": cli.corpus_app, "encoders": cli.encoders_app, "space": cli.space_app}
    plain = [(c.name or c.callback.__name__,) for c in cli.app.registered_commands if c.callback]
    inner = [(g, c.name or "") for g, app in groups.items() for c in app.registered_commands]
    return [*plain, *inner]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--help"])

    assert ended.value.code == 0
    assert f"Example: reno-sweep {' '.join(words)}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["corpus"]])
def test_no_command_is_answered_with_all_of_them(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)

    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert ("  check" if words else "  predictions") in err


BAD = {
    "an unknown command": (["runn"], "Did you mean 'run'?"),
    "an option without its value": (["run", "--space"], "--space"),
    "text where a number belongs": (["run", "--space", "rd_params", "--trials", "many"], "--trials"),
    "an unknown space": (["run", "--space", "rd_parms"], "rd_params"),
    "an unknown corpus": (["run", "--space", "rd_params", "--corpus", "viva"], "demo"),
    "an unknown encoder": (["run", "--space", "rd_params", "--encoders", "mfc,log-mel"], "mfcc"),
    "an unknown head": (["run", "--space", "rd_params", "--head", "renno"], "reno"),
    "one encoder for a fusion head": (["run", "--space", "rd_params", "--encoders", "mfcc"], "reno"),
    "an unknown selection": (["run", "--space", "rd_params", "--selection", "test"], "validation"),
    "more folds than clips in a class": (["run", "--space", "rd_params", "--folds", "99"], "99"),
    "a missing npz": (["run", "--space", "rd_params", "--encoders", "file:no.npz,mfcc"], "no.npz"),
    "a client of a Ray cluster": (
        ["run", "--space", "rd_params", "--ray-address", "ray://head:10001"],
        "ray job submit",
    ),
    "a sweep that nobody began": (["resume", "nobody"], "nobody"),
    "a status of nobody": (["status", "nobody"], "nobody"),
    "a report of nobody": (["report", "nobody"], "nobody"),
    "a model that nobody registered": (["predict", "models:/nobody@champion", "x.wav"], "nobody"),
    "a name that leaves its folder": (["resume", "../../etc"], "no name of a sweep"),
    "an unknown device": (["run", "--space", "rd_params", "--device", "tpu"], "cuda"),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_answered_in_three_lines_and_nothing_is_begun(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)

    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert 1 <= len(err.splitlines()) <= 3
    assert said in err
    assert not list((tmp_path / "home").glob("sweeps/*"))


def test_a_server_that_does_not_answer_is_said_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "--space", "rd_params", "--tracking-uri", "http://127.0.0.1:9", "--quiet"]

    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)

    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert "127.0.0.1:9" in err
    assert not list((tmp_path / "home").glob("sweeps/*"))


def test_a_home_without_permission_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--space", "rd_params", "--home", str(tmp_path / "file" / "home")])

    assert ended.value.code == 2
    assert "file" in capsys.readouterr().err


def test_a_dry_run_says_the_cost_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--space", "rd_params", "--trials", "8", "--dry-run", "--json"])

    shown = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert (shown["clips"], shown["cost"]["trainings"]) == (240, 40)
    assert not (tmp_path / "home").exists()


def test_a_broken_recording_is_listed_and_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from reno_sweeps.corpora import folder

    place = folder.miniature(tmp_path / "clips")
    broken = min(place.rglob("*.wav"))
    broken.write_bytes(b"RIFF, but not much more")

    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "--space", "rd_params", "--corpus", str(place), "--folds", "2", "--quiet"])

    err = capsys.readouterr().err
    assert ended.value.code == 2
    assert broken.name in err
    assert "--skip-broken" in err
    assert not list((tmp_path / "home").glob("sweeps/*"))
