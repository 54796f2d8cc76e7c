"""Workers on a real Ray: the results of one process, whoever dies, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from reno_sweeps.cluster import TEMPORARY
from reno_sweeps.corpora import folder
from reno_sweeps.embeddings import _jobs
from reno_sweeps.embeddings.extract import extract
from reno_sweeps.records import UserError
from tests.backends.postgres import free_port


@pytest.fixture
def corpus(voices):
    return folder.read(voices)


@pytest.fixture
def small_jobs(monkeypatch):
    """Four clips a job: many jobs from few clips."""
    monkeypatch.setattr(_jobs, "CLIPS", 4)


def folders(pid):
    """Ray's folders of one process: others may run theirs at the same time."""
    return set(Path(tempfile.gettempdir()).glob(f"{TEMPORARY}{pid}-*"))


def test_two_workers_give_the_bits_of_one_process_and_leave_nothing(
    corpus, wavlm, tmp_path, listener, small_jobs, ray_processes
):
    corpus = folder.read(shutil.copytree(corpus.root, tmp_path / "copy"))
    broken = [corpus.clips[row].path for row in (0, 31, 59)]  # anywhere
    for path in broken:
        (corpus.root / path).write_text("no sound")
    names, heard = ["mfcc", f"hf:{wavlm}"], listener()
    here = extract(corpus, names, tmp_path / "one", workers=1, skip_broken=True)
    away = extract(corpus, names, tmp_path / "two", workers=2, skip_broken=True, progress=heard)

    assert all((here.arrays[name] == away.arrays[name]).all() for name in names)  # one thread each: OMP_NUM_THREADS
    assert here.corpus == away.corpus
    assert [left.path for left in away.corpus.skipped] == broken
    assert (here.workers, away.workers) == (1, 2)
    assert away.computed == dict.fromkeys(names, 57)
    assert "2 workers encode on cpu" in heard.lines
    assert ray_processes() == {}
    assert folders(os.getpid()) == set()


@pytest.mark.rough
def test_a_killed_worker_is_replaced_and_nothing_is_lost(corpus, wavlm, tmp_path, listener, small_jobs, ray_processes):
    def kill() -> None:
        workers = [pid for pid, title in ray_processes().items() if "Worker.embed" in title or "ray::Worker" in title]
        os.kill(workers[0], signal.SIGKILL)

    heard = listener(at=4, do=kill)
    found = extract(corpus, [f"hf:{wavlm}"], tmp_path / "two", workers=2, progress=heard)

    assert (
        found.arrays[f"hf:{wavlm}"] == extract(corpus, [f"hf:{wavlm}"], tmp_path / "one").arrays[f"hf:{wavlm}"]
    ).all()
    assert [line for line in heard.lines if line.startswith("a worker died; attempt 2 of 3 for ")]
    assert found.computed == {f"hf:{wavlm}": 60}


@pytest.mark.rough
def test_when_all_of_ray_is_killed_it_ends_soon_with_the_reason_and_the_next_run_goes_on(
    corpus, wavlm, tmp_path, listener, small_jobs, ray_processes
):
    def kill() -> None:
        for pid in ray_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    began = time.monotonic()
    with pytest.raises(UserError, match="Ray has ended: its processes were killed"):
        extract(corpus, [f"hf:{wavlm}"], tmp_path / "cache", workers=2, progress=listener(at=4, do=kill))

    assert time.monotonic() - began < 50  # Ray itself ends the process after 60
    assert folders(os.getpid()) == set()
    again = extract(corpus, [f"hf:{wavlm}"], tmp_path / "cache")
    assert 0 < again.computed[f"hf:{wavlm}"] < 60


@pytest.mark.rough
def test_clips_that_kill_every_worker_end_it_with_their_name_and_keep_the_others(
    corpus, tmp_path, listener, small_jobs, monkeypatch, ray_processes
):
    from reno_sweeps.embeddings import extract_ray

    lengths = {clip.path: (corpus.root / clip.path).stat().st_size for clip in corpus.clips}
    deadly = max(lengths, key=lambda path: lengths[path])  # the first of the first job
    samples = (lengths[deadly] - 44) // 2

    class Mortal:
        def __init__(self, orders, device):
            pass

        def hello(self):
            from importlib import metadata

            return "here", metadata.version("reno-sweeps"), 0

        def embed(self, encoder, clips):
            if any(clip.size == samples for clip in clips):
                os.kill(os.getpid(), signal.SIGKILL)
            return np.ones((len(clips), 80), np.float32)

    monkeypatch.setattr(extract_ray, "Worker", Mortal)
    heard = listener()
    with pytest.raises(UserError, match=r"its worker died 3 times at 4 clips") as refusal:
        extract(corpus, ["mfcc"], tmp_path / "cache", workers=2, progress=heard)

    assert f"the first {deadly}" in str(refusal.value)
    assert len(str(refusal.value).splitlines()) <= 3
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 56
    assert ray_processes() == {}


def test_what_a_worker_cannot_load_is_said_as_it_would_be_here(corpus, wavlm, tmp_path, ray_processes, monkeypatch):
    names, copy = [], shutil.copytree(wavlm, tmp_path / "weights")
    from reno_sweeps.embeddings import extract_ray

    order = extract_ray._order

    def damaged(load, *, parcel):
        (copy / "model.safetensors").write_bytes(b"cut")
        return order(load, parcel=parcel)

    monkeypatch.setattr(extract_ray, "_order", damaged)
    names.append(f"hf:{copy}")
    with pytest.raises(UserError, match="weights"):
        extract(corpus, names, tmp_path / "cache", workers=2)

    assert ray_processes() == {}


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != "zombie"
    except psutil.NoSuchProcess:
        return False


def living(processes: dict[int, str], patience: float = 5.0) -> dict[int, str]:
    """Those that go on; a process that was told to end may take a moment."""
    end = time.monotonic() + patience
    while True:
        left = {pid: title for pid, title in processes.items() if lives(pid)}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)


@pytest.mark.rough
@pytest.mark.parametrize("wait", [0.5, 3.0])  # while Ray starts, and while workers encode
def test_an_interrupt_ends_promptly_leaves_nobody_and_the_next_run_goes_on(
    embed, embed_here, tmp_path, ray_processes, wait
):
    store = tmp_path / "cache" / "embeddings"
    begun = embed("--workers", "2")
    group = psutil.Process(begun.pid)
    end = time.monotonic() + 120
    while not (processes := ray_processes(group)) and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(wait)
    processes |= ray_processes(group)
    os.killpg(begun.pid, signal.SIGINT)
    interrupted = time.monotonic()
    said = begun.communicate(timeout=60)[1]

    assert begun.returncode == 130
    assert "interrupted; what had finished is stored" in said
    assert time.monotonic() - interrupted < 30
    assert living(processes) == {}
    assert folders(begun.pid) == set()
    kept = len(list(store.rglob("*.safetensors")))
    assert f'": {60 - kept}\n' in embed_here("--workers", "1")[0]


JOINED = """
import shutil, sys
from pathlib import Path
from reno_sweeps.corpora import folder
from reno_sweeps.embeddings.extract import extract
from reno_sweeps.embeddings import _parcel

corpus, weights, cache, address = sys.argv[1:]
pack = _parcel.pack

def pack_and_lose(place, put):
    packed = pack(place, put)
    shutil.rmtree(place)  # as on a machine that never had it
    return packed

_parcel.pack = pack_and_lose
found = extract(
    folder.read(Path(corpus)), [f"hf:{weights}"], Path(cache), workers=2, ray_address=address, device="auto"
)
print(found.computed, found.workers)
"""


@pytest.fixture
def head(tmp_path_factory):
    """The environment and address of a cluster of its own. `ray stop` would end every Ray of this machine."""
    base = Path(tempfile.mkdtemp(prefix="rj", dir="/tmp"))
    clean = {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
    environment = {**clean, "RAY_AUTH_MODE": "disabled", "TMPDIR": str(base), "PYTHONUNBUFFERED": "1"}
    port = free_port()
    ray = str(Path(sys.executable).parent / "ray")
    options = ["--port", str(port), "--num-cpus", "2", "--include-dashboard=false", f"--temp-dir={base}/r"]
    log = tmp_path_factory.mktemp("head") / "log"
    with log.open("w") as out:
        begun = subprocess.Popen([ray, "start", "--head", "--block", *options], env=environment, stdout=out, stderr=out)
    try:
        end = time.monotonic() + 120
        while "Ray runtime started" not in log.read_text() and time.monotonic() < end:
            time.sleep(0.2)
        yield environment, f"127.0.0.1:{port}", base
    finally:
        everyone = [*psutil.Process(begun.pid).children(recursive=True), begun]
        for process in everyone:
            with contextlib.suppress(psutil.Error):
                process.kill()
        begun.wait(timeout=30)
        shutil.rmtree(base, ignore_errors=True)


def test_weights_travel_to_a_cluster_that_has_not_got_them(corpus, wavlm, tmp_path, head):
    environment, address, base = head
    weights = shutil.copytree(wavlm, tmp_path / "wavlm")
    done = subprocess.run(
        [sys.executable, "-c", JOINED, corpus.root, weights, tmp_path / "cache", address],
        env=environment, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    left = list(base.glob("reno-*"))

    assert f"{{'hf:{weights}': 60}} 2" in done.stdout, done.stderr
    assert left == []
    one = extract(corpus, [f"hf:{wavlm}"], tmp_path / "one").arrays[f"hf:{wavlm}"]
    two = extract(corpus, [f"hf:{wavlm}"], tmp_path / "cache")
    assert two.computed == {f"hf:{wavlm}": 0}
    np.testing.assert_array_equal(one, two.arrays[f"hf:{wavlm}"])
