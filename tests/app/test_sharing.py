"""A sweep in an archive: what travels, what does not, and what an import believes."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reno_sweeps.app import archive, discreet, exporting, importing, looking, opening
from reno_sweeps.app.stored import load
from reno_sweeps.files import write_bytes
from reno_sweeps.records import UserError
from reno_sweeps.search import portable
from tests.app.small_home import make_home

Change = Callable[[dict[str, bytes]], None]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the home `a`, which has a nested sweep, and the sweep's archive."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("sharing")
        patch.setenv("RENO_CACHE", str(root / "cache"))
        make_home(root / "a", selection="nested")
        exporting.export("small", root / "a", root / "small.sweep.zip")
        return root


@pytest.fixture(autouse=True)
def mirrored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the sweeps that were shown to MLflow; reports and MLflow's own store take seconds (tests/sweeps)."""
    told: list[str] = []
    monkeypatch.setattr(importing.reporting, "write_report", lambda _: [])
    monkeypatch.setattr(importing.looking, "catch_up", lambda found: told.append(found.name) or 0)
    return told


def bring(file: Path, home: Path, name: str | None = None, **options: Any) -> dict[str, Any]:
    return importing.bring(file, name, {"home": home, **options})


def changed(made: Path, target: Path, change: Change, *, honest: bool = True) -> Path:
    """The archive with changed members; `honest`: the manifest declares what is there."""
    with zipfile.ZipFile(made / "small.sweep.zip") as source:
        members = {name: source.read(name) for name in source.namelist()}
    manifest = json.loads(members.pop(archive.MANIFEST))
    change(members)
    if honest:
        heading = {key: value for key, value in manifest.items() if key != "files"}
        archive.pack(target, heading, members.items())
    else:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in {**members, archive.MANIFEST: json.dumps(manifest).encode()}.items():
                out.writestr(name, content)
    return target


def edited(name: str, edit: Callable[[Any], object]) -> Change:
    """Change a JSON member in place."""

    def change(members: dict[str, bytes]) -> None:
        plain = json.loads(members[name])
        edit(plain)
        members[name] = json.dumps(plain).encode()

    return change


# --- there and back -----------------------------------------------------------------------------------------


def test_a_study_comes_back_equal_to_the_last_bit(made: Path, tmp_path: Path, mirrored: list[str]) -> None:
    said = bring(made / "small.sweep.zip", tmp_path / "b", "taken")
    (was, inner), (now, inner_now) = studies(load("small", made / "a")), studies(load("taken", tmp_path / "b"))

    assert said["trials"] == {"here": 3, "archive": 3}
    assert mirrored == ["taken"]
    assert [reasonless(t) for t in now["trials"]] == [reasonless(t) for t in was["trials"]]
    assert now["facts"] == was["facts"]
    assert [reasonless(t) for t in inner_now["trials"]] == [reasonless(t) for t in inner["trials"]]


def studies(found: Any) -> list[dict[str, Any]]:
    """The study and the nested ones."""
    return [portable.dump(found.ledger), *(portable.dump(ledger) for _, ledger in exporting.searches(found))]


def reasonless(trial: dict[str, Any]) -> dict[str, Any]:
    """A trial without the words that may hold a path."""
    return {key: value for key, value in trial.items() if key != "reason"}


def test_what_was_predicted_and_found_is_shown_in_the_new_home(made: Path, tmp_path: Path) -> None:
    bring(made / "small.sweep.zip", tmp_path / "b")

    assert looking.predictions("small", tmp_path / "b") == looking.predictions("small", made / "a")
    (row,) = looking.status(None, tmp_path / "b")
    assert (row["state"], row["complete"], row["failed"]) == ("stopped", 2, 1)
    weights = tmp_path / "b" / "sweeps" / "small" / "weights"
    assert [folder.name for folder in weights.iterdir()] == ["trial-0001"]


def test_the_same_sweep_is_already_here_and_another_of_its_name_is_refused(made: Path, tmp_path: Path) -> None:
    home = tmp_path / "b"
    make_home(home)  # not nested: another question
    with pytest.raises(UserError, match="'small' that asks another question"):
        bring(made / "small.sweep.zip", home)

    first = bring(made / "small.sweep.zip", home, "taken")
    before = (home / "sweeps" / "taken" / opening.STATE).stat().st_mtime_ns
    again = bring(made / "small.sweep.zip", home, "taken")

    assert (first["already_here"], again["already_here"]) == (False, True)
    assert (home / "sweeps" / "taken" / opening.STATE).stat().st_mtime_ns == before


def test_no_place_address_or_password_travels(tmp_path: Path) -> None:
    home = tmp_path / "a"
    opened = make_home(home, tracking_uri="https://anna:geheim@tracking.example/x")
    write_bytes(opened.folder / "report" / "report.html", f"<p>{home}/studies.db, {opened.settings.cache}</p>".encode())
    exporting.export("small", home, tmp_path / "small.zip")

    with zipfile.ZipFile(tmp_path / "small.zip") as source:
        content = b"".join(source.read(name) for name in source.namelist())
        report = source.read("report/report.html")
        reason = json.loads(source.read("study.json"))["main"]["trials"][2]["reason"]
    for secret in (
        str(tmp_path),
        str(home),
        "geheim",
        "anna",
        "tracking.example",
        "sqlite:////",
        str(Path.home()) + "/",
    ):
        assert secret.encode() not in content, secret
    assert report == "<p>…/studies.db, …</p>".encode()
    assert reason == "FileNotFoundError: …/sweeps/small/secret place/x.wav is gone"


def test_a_space_that_names_a_place_travels_as_the_resolved_one(tmp_path: Path) -> None:
    from tests.app.small_home import SPACE

    secret = SPACE.format(selection="validation") + "run: {storage: 'sqlite:////secret/folder/studies.db'}\n"
    make_home(tmp_path / "a", space=secret)
    exporting.export("small", tmp_path / "a", tmp_path / "small.zip")

    with zipfile.ZipFile(tmp_path / "small.zip") as source:
        text = json.loads(source.read("sweep.json"))["space"]
    assert "secret" not in text
    assert text.startswith("# The whole question")


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["file:/a/b/x.npz"], ["file:x.npz"]),
        (["file:/a/x.npz", "file:/b/x.npz"], ["file:a/x.npz", "file:b/x.npz"]),
        (["hf:/a/model@layer=9"], ["hf:./model@layer=9"]),
    ],
)
def test_encoders_are_called_by_their_file_and_stay_apart(ids: list[str], names: list[str]) -> None:
    assert list(discreet._renamed(ids).values()) == names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no such file: '/opt/data/x.wav'", "no such file: '…/x.wav'"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("sqlite:////data/studies.db is locked", "sqlite:///… is locked"),
        ("postgresql://u:p@db/x", "postgresql://db/x"),
        ("120 clips/s, f1/uar, ~/data/a.csv", "120 clips/s, f1/uar, …/a.csv"),
    ],
)
def test_words_lose_their_places_and_nothing_else(text: str, shown: str) -> None:
    assert discreet.Discreet().text(text) == shown


def test_an_archive_is_never_written_over(made: Path) -> None:
    with pytest.raises(UserError, match="exists"):
        exporting.export("small", made / "a", made / "small.sweep.zip")


# --- what is refused ----------------------------------------------------------------------------------------


def nothing_in(home: Path) -> bool:
    return not list(home.glob("sweeps/*")) and not list(home.glob(f"{importing.STAGE}*"))


LIES: dict[str, tuple[Change, str]] = {
    "another question": (edited("sweep.json", lambda s: s["sweep"]["protocol"].update(seed=5)), "another question's"),
    "another corpus": (edited("sweep.json", lambda s: s["corpus"].update(content="0" * 64)), "another question's"),
    "no sweep": (lambda m: m.pop("sweep.json"), "no sweep.json"),
    "no JSON": (lambda m: m.update({"study.json": b"{"}), "no JSON"),
    "deep JSON": (lambda m: m.update({"study.json": b"[" * 200_000}), "no JSON"),
    "a list": (lambda m: m.update({"study.json": b"[]"}), "study.json is not what"),
    "a trial too many": (edited("study.json", lambda s: s["main"]["trials"].pop(0)), "numbered"),
    "a state": (edited("study.json", lambda s: s["main"]["trials"][0].update(state="running")), "state"),
    "a cell": (edited("study.json", lambda s: s["main"]["trials"][0].update(cell=7)), "study.json is not what"),
    "an objective": (edited("study.json", lambda s: s["main"]["trials"][0].update(objective="1")), "objective"),
    "a proposal": (
        edited("study.json", lambda s: s["main"]["trials"][0]["proposal"].update({"training.weight_decay": 99.0})),
        "study.json is not what",
    ),
    "a fold's file": (
        edited("study.json", lambda s: s["main"]["trials"][0]["scores"][0].update(file="../../x")),
        "no fold's file",
    ),
    "a fold's hash": (
        edited("study.json", lambda s: s["main"]["trials"][0]["scores"][0].update(sha256="0" * 64)),
        "no fold's file",
    ),
    "another study": (edited("study.json", lambda s: s["main"]["facts"].update(identity="0")), "another sweep's"),
    "a clip": (edited("data.json", lambda d: d["clips"].append(["a", 3, None, None])), "data.json is not what"),
    "maps": (lambda m: m.update({"maps.json": b'{"x": {"title": 1}}'}), "maps.json is not what"),
    "a name": (edited("sweep.json", lambda s: s.update(name="../../up")), "no name of a sweep"),
    "a stranger": (lambda m: m.update({"folds/run.sh": b"x"}), "no file of a sweep"),
    "a settings' path": (edited("sweep.json", lambda s: s["sweep"].update(root="/etc")), "places"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_does_not_fit_together_is_refused_before_anything_is_written(lie: str, made: Path, tmp_path: Path) -> None:
    change, why = LIES[lie]
    file = changed(made, tmp_path / "lie.zip", change)

    with pytest.raises(UserError, match=why) as refused:
        bring(file, tmp_path / "b")
    assert len(str(refused.value).splitlines()) <= 3
    assert nothing_in(tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: m.update({"data.json": m["data.json"].replace(b"a", b"b")}), "hash is not its manifest's"),
        (lambda m: m.update({"data.json": m["data.json"] + b" "}), "not what its manifest says"),
        (lambda m: m.update({"more.json": b"{}"}), "not in its manifest"),
        (lambda m: m.pop("data.json"), "is missing"),
    ],
)
def test_what_the_manifest_does_not_declare_is_refused(change: Change, why: str, made: Path, tmp_path: Path) -> None:
    file = changed(made, tmp_path / "lie.zip", change, honest=False)

    with pytest.raises(UserError, match=why):
        bring(file, tmp_path / "b")
    assert nothing_in(tmp_path / "b")


def member(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (member("../up.json"), "leaves the folder"),
        (member("folds/../../up.json"), "leaves the folder"),
        (member("/etc/cron.d/x"), "leaves the folder"),
        (member("C:/x.json"), "leaves the folder"),
        (member("..\\up.json"), "leaves the folder"),
        (member("folds/link", stat.S_IFLNK | 0o777), "is a link"),
        (member("folds/pipe", stat.S_IFIFO | 0o644), "is a link"),
        (member("folds/"), "has a name that no export writes"),
        (member(".hidden"), "has a name that no export writes"),
        (member("a\nb"), "has a name that no export writes"),
    ],
    ids=lambda value: value.filename if isinstance(value, zipfile.ZipInfo) else "",
)
def test_a_member_that_reaches_out_is_refused(info: zipfile.ZipInfo, why: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as out:
        out.writestr(info, b"/etc/passwd")

    with pytest.raises(UserError, match=why):
        archive.Archive(tmp_path / "bad.zip")


def test_a_bomb_is_refused_by_its_declared_size(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("folds/a.safetensors", bytes(70 << 20))

    with pytest.raises(UserError, match="is no sweep"):
        archive.Archive(tmp_path / "bomb.zip")


def test_more_members_than_any_sweep_has_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as out:
        for number in range(30):
            out.writestr(f"folds/{number}", b"")

    with pytest.raises(UserError, match="30 members"):
        archive.Archive(tmp_path / "many.zip", archive.Limits(members=20))
    with pytest.raises(UserError, match="no archive of a sweep"):
        archive.Archive(tmp_path / "many.zip", archive.Limits(table=1000))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(40)])
def test_what_is_no_archive_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)

    with pytest.raises(UserError, match="no archive of a sweep"):
        archive.Archive(tmp_path / "x.zip")


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.99])
def test_a_cut_archive_is_refused(keep: float, made: Path, tmp_path: Path) -> None:
    whole = (made / "small.sweep.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: int(len(whole) * keep)])

    with pytest.raises(UserError):
        bring(tmp_path / "cut.zip", tmp_path / "b")
    assert nothing_in(tmp_path / "b")


def test_any_flipped_byte_is_noticed_or_harmless(made: Path, tmp_path: Path) -> None:
    whole = bytearray((made / "small.sweep.zip").read_bytes())
    for place in range(11, len(whole), len(whole) // 40):
        damaged = bytearray(whole)
        damaged[place] ^= 0x40
        (tmp_path / "flip.zip").write_bytes(damaged)
        try:
            with archive.Archive(tmp_path / "flip.zip") as opened:
                opened.verify()
        except UserError:
            continue  # noticed; else the byte says nothing of any file (a time stamp)


# --- killed on the way --------------------------------------------------------------------------------------


class _Killed(BaseException):
    """Nothing below may catch it and go on."""


@pytest.mark.parametrize("after_study", [False, True])
def test_a_killed_import_shows_nothing_and_the_next_one_finishes_it(
    after_study: bool, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, restore = tmp_path / "b", importing._restore

    def dies(*arguments: Any) -> None:
        if after_study:
            restore(*arguments)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(importing, "_restore", dies)
        patch.setattr(importing.shutil, "rmtree", lambda *_, **__: None)  # a kill cleans nothing up
        with pytest.raises(_Killed):
            bring(made / "small.sweep.zip", home)
    assert opening.sweeps_in(home) == ()
    assert looking.status(None, home) == []

    said = bring(made / "small.sweep.zip", home)

    assert said["already_here"] is False
    assert len(load("small", home).trials) == 4
    assert not (home / "sweeps" / "small" / importing.UNFINISHED).exists()


def test_a_study_without_its_files_is_not_taken_over(made: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(made / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "sweeps" / "small")

    with pytest.raises(UserError, match="has a study 'small") as refused:
        bring(made / "small.sweep.zip", tmp_path / "b")
    assert "--as" in str(refused.value)
    assert nothing_in(tmp_path / "b")


def test_a_home_in_use_is_left_alone(made: Path, tmp_path: Path) -> None:
    from reno_sweeps.search.lease import HomeLock

    with HomeLock(tmp_path / "b") as lock:
        lock.take("another")
        with pytest.raises(UserError, match="is in use"):
            bring(made / "small.sweep.zip", tmp_path / "b")


# --- going on -----------------------------------------------------------------------------------------------


def test_resume_says_that_the_corpus_is_not_here_and_how_to_say_where(made: Path, tmp_path: Path) -> None:
    from reno_sweeps.app import commands
    from reno_sweeps.corpora import folder

    place = folder.miniature(tmp_path / "recordings")
    space = f"name: own\nhead: linear\ncorpus: {place}\nencoders: [mfcc, log-mel]\nsearch:\n"
    space += "  training.weight_decay: {type: float, low: 0.01, high: 3.0, log: true}\n"
    space += "  training.class_weights: {type: categorical, choices: [none, balanced]}\nprotocol: {n_folds: 2}\n"
    make_home(tmp_path / "a", space=space, name="own")
    exporting.export("own", tmp_path / "a", tmp_path / "own.zip")
    moved = place.rename(tmp_path / "elsewhere")
    bring(tmp_path / "own.zip", tmp_path / "b")
    options = {"home": tmp_path / "b", "tracking_uri": "http://127.0.0.1:9"}

    with pytest.raises(UserError, match="is not here") as refused:
        commands.resume("own", options, trials=None, time=None, quiet=True)
    assert "resume own --corpus PATH" in str(refused.value)

    from tracking.errors import TrackingError

    with pytest.raises(TrackingError):  # the corpus is found; MLflow's server is asked next, and is not there
        commands.resume("own", options, trials=None, time=None, places={"corpus": str(moved)}, quiet=True)


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        portable.trials_of([{**plain_trial(), "objective": float("nan")}])


def plain_trial() -> dict[str, Any]:
    return {"number": 0, "cell": 0, "state": "complete", "proposal": {}, "scores": [], "objective": 0.5}


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        archive.pack(tmp_path / name, {"made": 1}, [("x.json", b"{}"), ("folds/y", b"y" * 100)])

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert zipfile.ZipFile(io.BytesIO((tmp_path / "a.zip").read_bytes())).testzip() is None
