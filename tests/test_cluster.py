"""Ray of our own: prepared before it is imported, private, one at a time, and gone when it is closed."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from reno_sweeps import cluster
from reno_sweeps.cluster import TEMPORARY, prepare
from reno_sweeps.records import UserError


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """No word of Ray's, and a home without a token."""
    monkeypatch.setattr(cluster, "_LATE", [])
    for name in [name for name in os.environ if name.startswith("RAY_AUTH")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_MODE", "")
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return monkeypatch


def test_our_own_ray_takes_a_token(environment):
    prepare()

    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_a_cluster_is_joined_without_a_token_where_none_is_at_hand(environment):
    prepare("head:6379")

    assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_a_cluster_is_joined_with_the_token_that_is_at_hand(environment, tmp_path):
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("token")
    prepare("head:6379")

    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_what_the_user_has_set_stays(environment):
    environment.setenv("RAY_AUTH_MODE", "disabled")
    environment.setenv("TUNE_WARN_THRESHOLD_S", "7")
    prepare()

    assert (os.environ["RAY_AUTH_MODE"], os.environ["TUNE_WARN_THRESHOLD_S"]) == ("disabled", "7")


def test_nothing_phones_home(environment):
    environment.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    prepare()

    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_ray_that_was_imported_too_early_to_want_a_token_is_not_run_without_one():
    program = (
        "import ray\nfrom reno_sweeps import cluster, records\n"
        "try:\n    cluster.Ray()\nexcept records.UserError as error:\n    print(error)"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=clean)

    assert "set RAY_AUTH_MODE=token" in done.stdout


def test_importing_this_imports_no_ray():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, reno_sweeps.cluster; print('ray' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "False"


def only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary folders lie here and nowhere else."""
    monkeypatch.setattr(cluster, "_base", lambda: folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def test_what_a_killed_driver_left_is_removed_and_what_a_living_one_has_is_not(tmp_path, monkeypatch):
    only(tmp_path, monkeypatch)
    dead, alive, foreign = (tmp_path / name for name in (f"{TEMPORARY}4194304-x", f"{TEMPORARY}1-x", "other-4194304-x"))
    for folder in (dead, alive, foreign):
        folder.mkdir()
    cluster.sweep_temporary()

    assert sorted(tmp_path.iterdir()) == sorted([alive, foreign])


def test_what_lives_of_a_dead_drivers_ray_ends_with_its_folder(tmp_path, monkeypatch):
    only(tmp_path, monkeypatch)
    folders = [tmp_path / f"{TEMPORARY}{pid}-x" for pid in (4194304, 1)]
    agents = []
    for folder in folders:
        folder.mkdir()
        told = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
        for title in ("ray::Agent", "mine"):
            line = [title, "-c", "import time; time.sleep(60)"]
            agents.append(subprocess.Popen(line, executable=sys.executable, env=told))
    try:
        cluster.sweep_temporary()

        assert not psutil.pid_exists(agents[0].pid)
        assert [agent.poll() for agent in agents[1:]] == [None] * 3
        assert [folder.exists() for folder in folders] == [False, True]
    finally:
        for agent in agents:
            agent.kill()
            agent.wait()


def test_a_users_own_program_below_a_folder_named_ray_is_left_alone(tmp_path, monkeypatch):
    only(tmp_path, monkeypatch)
    folder, script = tmp_path / f"{TEMPORARY}4194304-x", tmp_path / "ray" / "study.py"
    for place in (folder, script.parent):
        place.mkdir()
    script.write_text("import sys, time; file = open(sys.argv[1], 'w'); print(flush=True); time.sleep(60)")
    line = [sys.executable, str(script), str(folder / "log")]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout.readline()
            cluster.sweep_temporary()

            assert program.poll() is None
            assert not folder.exists()
        finally:
            program.kill()


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{TEMPORARY}{os.getpid()}-*"))


def test_a_private_ray_is_private_alone_and_gone_when_it_is_closed():
    with cluster.Ray() as ours:
        import ray  # by now it was told to want a token

        (folder,) = folders()
        token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])

        assert ours.folder == folder == token.parent
        assert (folder.stat().st_mode & 0o777, token.stat().st_mode & 0o777) == (0o700, 0o600)
        assert ours.resources["CPU"] >= 1
        with pytest.raises(UserError, match="Ray runs in this process already"):
            cluster.Ray()
        assert ray.is_initialized()
    ours.close()

    assert not ray.is_initialized()
    assert folders() == set()
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ


def test_a_private_ray_listens_on_this_machine_alone_and_a_later_cluster_is_joined_as_ever():
    with cluster.Ray():
        from ray._private import ray_constants

        me = psutil.Process()
        listening = {
            socket_.laddr.ip
            for process in (me, *me.children(recursive=True))
            for socket_ in process.net_connections()
            if socket_.status == psutil.CONN_LISTEN
        }
        assert listening
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
        assert not ray_constants.ENABLE_RAY_CLUSTER

    assert ray_constants.ENABLE_RAY_CLUSTER or sys.platform != "linux"
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in os.environ


class Litter:
    """A cycle, which only the collector frees; it notes whether Ray still was there."""

    def __init__(self, noted: list[bool], is_there) -> None:
        self.noted, self.is_there, self.me = noted, is_there, self

    def __del__(self) -> None:
        self.noted.append(self.is_there())


def test_what_the_collector_frees_is_freed_before_ray_shuts_down_not_meanwhile():
    noted: list[bool] = []
    with cluster.Ray():
        import ray

        Litter(noted, ray.is_initialized)

    assert noted == [True]
    assert gc.isenabled()


def nobody() -> str:
    """An address of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("asked", ["auto", "auto, recorded", "auto, of the environment", "an address"])
def test_a_cluster_that_is_not_there_is_refused_at_once_and_leaves_nothing(asked, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where `ray start` notes its address
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if asked == "auto, recorded":
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(nobody())
    if asked == "auto, of the environment":
        monkeypatch.setenv("RAY_ADDRESS", nobody())
    address = nobody() if asked == "an address" else "auto"
    reason = "nothing was begun with ray start" if asked == "auto" else "Connection refused"
    with pytest.raises(UserError, match=f"--ray-address {address}: no cluster answers\n.*{reason}"):
        cluster.Ray(address)

    assert folders() == set()
