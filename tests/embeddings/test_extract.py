"""From a corpus to arrays: row by row, computed once ever, broken recordings named."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from reno_sweeps import audio
from reno_sweeps.corpora import demo, folder, manifest
from reno_sweeps.embeddings import _load
from reno_sweeps.embeddings import extract as extracting
from reno_sweeps.embeddings.extract import extract
from reno_sweeps.encoders import encoder_facts, load_encoder
from reno_sweeps.records import UserError

BOTH = ("mfcc", "log-mel")


@pytest.fixture
def corpus(tmp_path):
    return folder.read(folder.miniature(tmp_path / "voices"))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def no_decoding(monkeypatch):
    monkeypatch.setattr("reno_sweeps.audio.decode", lambda file: pytest.fail(f"{file} was decoded"))


def no_encoder(monkeypatch):
    monkeypatch.setattr(_load, "load_encoder", lambda *_, **__: pytest.fail("an encoder was loaded"))


def test_rows_are_the_clips_in_their_order(corpus, cache):
    arrays = extract(corpus, BOTH, cache).arrays

    for name in BOTH:
        alone = [load_encoder(name).embed([audio.decode(corpus.root / clip.path)])[0] for clip in corpus.clips]
        np.testing.assert_allclose(arrays[name], alone, rtol=1e-5, atol=1e-5)
        assert arrays[name].dtype == np.float32


def test_a_second_run_decodes_and_computes_nothing(corpus, cache, monkeypatch):
    first = extract(corpus, BOTH, cache)
    no_decoding(monkeypatch)
    no_encoder(monkeypatch)

    second = extract(corpus, BOTH, cache)

    assert first.computed == {"mfcc": 8, "log-mel": 8}
    assert second.computed == {"mfcc": 0, "log-mel": 0}
    assert all((first.arrays[name] == second.arrays[name]).all() for name in BOTH)


def test_a_full_cache_needs_no_torch(corpus, cache):
    extract(corpus, ["mfcc"], cache)
    program = (
        "import sys; from pathlib import Path; from reno_sweeps.corpora import folder;"
        "from reno_sweeps.embeddings.extract import extract;"
        f"extract(folder.read(Path({str(corpus.root)!r})), ['mfcc'], Path({str(cache)!r}));"
        "print('torch' in sys.modules, 'soundfile' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False False"


def test_a_new_encoder_or_clip_computes_itself_alone(corpus, cache):
    extract(corpus, ["mfcc"], cache)
    assert extract(corpus, BOTH, cache).computed == {"mfcc": 0, "log-mel": 8}

    (corpus.root / "joy/new.wav").write_bytes(b"")
    shutil.copy(corpus.root / "joy/s1_1.wav", corpus.root / "joy/new.wav")
    samples = bytearray((corpus.root / "joy/new.wav").read_bytes())
    samples[1_000] ^= 1
    (corpus.root / "joy/new.wav").write_bytes(samples)

    assert extract(folder.read(corpus.root), BOTH, cache).computed == {"mfcc": 1, "log-mel": 1}


def test_the_same_sound_under_another_name_is_known(corpus, cache, tmp_path):
    extract(corpus, ["mfcc"], cache)
    moved = folder.read(shutil.copytree(corpus.root, tmp_path / "elsewhere"))

    assert extract(moved, ["mfcc"], cache).computed == {"mfcc": 0}


def test_two_clips_of_one_sound_are_encoded_once(corpus, cache):
    shutil.copy(corpus.root / "joy/s1_1.wav", corpus.root / "joy/copy.wav")
    doubled = folder.read(corpus.root)

    extraction = extract(doubled, ["mfcc"], cache)

    assert extraction.computed == {"mfcc": 8}
    assert (extraction.arrays["mfcc"][0] == extraction.arrays["mfcc"][1]).all()
    assert [clip.path for clip in doubled.clips][:2] == ["joy/copy.wav", "joy/s1_1.wav"]


def test_a_damaged_entry_is_computed_again(corpus, cache):
    first = extract(corpus, ["mfcc"], cache)
    damaged = next(cache.rglob("*.safetensors"))
    damaged.write_bytes(b"cut")

    second = extract(corpus, ["mfcc"], cache)

    assert second.computed == {"mfcc": 1}
    assert (first.arrays["mfcc"] == second.arrays["mfcc"]).all()


def break_two(corpus) -> None:
    (corpus.root / "joy/s1_2.wav").write_text("no sound")
    (corpus.root / "sadness/s2_1.wav").unlink()


def test_broken_recordings_are_all_named_and_what_could_be_encoded_is_kept(corpus, cache):
    break_two(corpus)

    with pytest.raises(UserError, match="2 of 8 recordings are broken") as refusal:
        extract(corpus, ["mfcc"], cache)

    message = str(refusal.value)
    assert "joy/s1_2.wav: not readable as audio" in message
    assert "sadness/s2_1.wav: No such file" in message
    assert "--skip-broken" in message
    assert len(message.splitlines()) <= 3
    assert len(list(cache.rglob("*.safetensors"))) == 6


def test_broken_recordings_may_be_left_out_and_are_listed(corpus, cache, tmp_path):
    ids = np.array([clip.path for clip in corpus.clips])
    np.savez(tmp_path / "x.npz", ids=ids, X=np.arange(8.0)[:, None])
    break_two(corpus)
    names = ["mfcc", f"file:{tmp_path}/x.npz"]

    extraction = extract(corpus, names, cache, skip_broken=True)

    assert [left.path for left in extraction.corpus.skipped] == ["joy/s1_2.wav", "sadness/s2_1.wav"]
    assert len(extraction.corpus.clips) == len(extraction.arrays["mfcc"]) == 6
    assert extraction.arrays[names[1]].ravel().tolist() == [0, 2, 3, 4, 5, 7]


def test_a_corpus_that_is_broken_down_to_one_emotion_is_refused(corpus, cache):
    for clip in corpus.clips[:4]:
        (corpus.root / clip.path).unlink()

    with pytest.raises(UserError, match="all 4 clips are labelled 'sadness'"):
        extract(corpus, ["mfcc"], cache, skip_broken=True)


def test_precomputed_embeddings_need_no_recordings(cache, tmp_path, monkeypatch):
    corpus = manifest.read(manifest.miniature(tmp_path / "listed"))
    shutil.rmtree(corpus.root / "audio")
    ids = np.array([clip.path for clip in corpus.clips])
    np.savez(tmp_path / "x.npz", ids=ids[::-1], X=np.arange(8.0)[::-1, None])
    no_decoding(monkeypatch)

    extraction = extract(corpus, [f"file:{tmp_path}/x.npz"], cache)

    assert extraction.arrays[f"file:{tmp_path}/x.npz"].ravel().tolist() == list(range(8))
    assert list(extraction.computed.values()) == [0]
    assert extraction.corpus == corpus


def test_the_demo_is_made_on_the_way(cache, monkeypatch):
    monkeypatch.setattr(demo, "SPEAKERS", ("s1",))
    monkeypatch.setattr(demo, "TAKES", 1)

    extraction = extract(demo.read(cache / demo.FOLDER), ["mfcc"], cache)

    assert extraction.arrays["mfcc"].shape == (6, 80)


def test_progress_ends_with_every_clip(corpus, cache, listener):
    heard = listener()
    extract(corpus, BOTH, cache, progress=heard)
    last = heard.standings[-1]

    assert (last.done, last.total, last.computed, last.what) == (8, 8, 8, "mfcc, log-mel")
    assert last.rate > 0
    assert last.left is None
    assert heard.lines == []


def test_what_the_cache_holds_is_done_but_not_computed(corpus, cache, listener):
    extract(corpus, BOTH, cache)
    heard = listener()
    extraction = extract(corpus, BOTH, cache, progress=heard)

    assert (heard.standings[-1].done, heard.standings[-1].computed) == (8, 0)
    assert (extraction.workers, extraction.clips_per_second) == (0, None)


def test_broken_recordings_are_said_at_once_the_first_few_and_the_others_at_the_end(voices, cache, listener, tmp_path):
    corpus = folder.read(shutil.copytree(voices, tmp_path / "copy"))
    for clip in corpus.clips[10:17]:
        (corpus.root / clip.path).write_text("no sound")
    heard = listener()
    with pytest.raises(UserError, match="7 of 60"):
        extract(corpus, ["mfcc"], cache, progress=heard)

    said = [line.split(": ")[1] for line in heard.lines if line.startswith("broken: ")]
    assert said == [clip.path for clip in corpus.clips[10:17]]
    assert len(list(cache.rglob("*.safetensors"))) == 53


class Faulty:
    """An encoder whose embedding of some clips is no number; it remembers what it heard."""

    def __init__(self, facts, faulty=lambda samples: False):
        self.facts, self.dim, self.id = facts, 2, "faulty"
        self.heard, self._faulty = [], faulty

    def embed(self, clips):
        self.heard.append([clip.size for clip in clips])
        return np.array([[np.nan if self._faulty(clip) else clip.size, 1] for clip in clips], np.float32)


def put_in_place(monkeypatch, faulty=lambda samples: False):
    encoder = Faulty(encoder_facts("mfcc"), faulty)
    monkeypatch.setattr(_load, "load_encoder", lambda *_, **__: encoder)
    return encoder


def test_an_embedding_that_is_no_number_names_clip_and_encoder(corpus, cache, monkeypatch):
    put_in_place(monkeypatch, faulty=lambda samples: True)

    with pytest.raises(UserError, match=r"encoder mfcc: its embedding of joy/s1_1\.wav holds NaN"):
        extract(corpus, ["mfcc"], cache)
    assert not list(cache.rglob("*.safetensors"))


def test_the_others_of_a_batch_with_a_strange_embedding_are_kept(voices, cache, monkeypatch):
    corpus = folder.read(voices)
    lengths = [audio.decode(voices / clip.path).size for clip in corpus.clips]
    encoder = put_in_place(monkeypatch, faulty=lambda samples: samples.size == lengths[7])
    with pytest.raises(UserError, match=rf"{corpus.clips[7].path} holds NaN or infinity \(1 of"):
        extract(corpus, ["mfcc"], cache)

    assert len(list(cache.rglob("*.safetensors"))) == sum(map(len, encoder.heard)) - 1


def test_the_same_batches_are_made_whatever_the_order_of_threads(voices, tmp_path, monkeypatch):
    heard = []
    for threads in (1, 2, 8):
        monkeypatch.setattr("reno_sweeps.embeddings._clips._threads", lambda threads=threads: threads)
        encoder = put_in_place(monkeypatch)
        extract(folder.read(voices), ["mfcc"], tmp_path / str(threads))
        heard.append(encoder.heard)

    assert heard[0] == heard[1] == heard[2]
    assert [len(batch) for batch in heard[0]] == [32, 28]


def test_clips_in_another_order_have_the_same_vectors(voices, tmp_path):
    corpus = folder.read(voices)
    turned = type(corpus)(corpus.id, corpus.root, corpus.clips[::-1])
    one, other = (extract(c, ["mfcc"], tmp_path / name).arrays["mfcc"] for c, name in ((corpus, "a"), (turned, "b")))

    np.testing.assert_array_equal(one, other[::-1])


def test_a_small_job_stays_in_this_process(voices, cache, monkeypatch):
    monkeypatch.setattr("reno_sweeps.cluster.Ray", lambda *_: pytest.fail("Ray was started"))
    extraction = extract(folder.read(voices), ["mfcc"], cache)

    assert extraction.workers == 1
    assert extraction.clips_per_second > 1


class Crewlike:
    """Workers that are this process."""

    def __init__(self, loads, device, workers, gpus, address, listener):
        self.size, self.device = 3, device
        self._encoders = {load.id: load.open(device) for load in loads}
        self.jobs = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, jobs, obey):
        for job in jobs:
            self.jobs.append(job)
            yield job, self._encoders[job.encoder].embed(job.clips)


@pytest.fixture
def soon(monkeypatch):
    """Two cores, and every wait is long enough to call workers."""
    monkeypatch.setattr(extracting, "WORTH", 0.0)
    monkeypatch.setattr("reno_sweeps.embeddings._room.here", lambda *_: 2)


def test_a_long_job_begins_here_and_goes_on_with_workers(voices, cache, listener, tmp_path, monkeypatch, soon):
    monkeypatch.setattr("reno_sweeps.embeddings.extract_ray.Crew", Crewlike)
    heard = listener()
    spread = extract(folder.read(voices), ["mfcc"], cache, progress=heard)

    assert heard.lines == ["3 workers encode on cpu"]
    assert spread.workers == 3
    assert (spread.arrays["mfcc"] == extract(folder.read(voices), ["mfcc"], tmp_path, workers=1).arrays["mfcc"]).all()


def test_where_ray_cannot_start_this_process_goes_on_alone(voices, cache, listener, monkeypatch, soon):
    def refused(*_):
        raise UserError("Ray runs in this process already\ncall ray.shutdown() before the sweep")

    monkeypatch.setattr("reno_sweeps.cluster.Ray", refused)
    heard = listener()
    alone = extract(folder.read(voices), ["mfcc"], cache, progress=heard)

    assert heard.lines == ["no workers, this process goes on alone: Ray runs in this process already"]
    assert (alone.workers, alone.computed["mfcc"]) == (1, 60)
    with pytest.raises(UserError, match="Ray runs in this process already"):
        extract(folder.read(voices), ["log-mel"], cache, workers=2)


def test_odd_recordings_have_embeddings(cache, tmp_path):
    rng = np.random.default_rng(0)
    sounds = {
        "joy/silence.wav": (np.zeros(16_000), 16_000),
        "joy/ten_ms.wav": (0.1 * rng.standard_normal(160), 16_000),
        "joy/one_sample.wav": (np.full(1, 0.5), 16_000),
        "anger/eight_channels.wav": (0.1 * rng.standard_normal((16_000, 8)), 16_000),
        "anger/192_khz.wav": (0.1 * rng.standard_normal(96_000), 192_000),
    }
    for name, (samples, rate) in sounds.items():
        (tmp_path / "odd" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "odd" / name, samples, rate)
    arrays = extract(folder.read(tmp_path / "odd"), BOTH, cache).arrays

    assert [arrays[name].shape for name in BOTH] == [(5, 80), (5, 160)]
    assert all(np.isfinite(arrays[name]).all() for name in BOTH)


def test_samples_that_are_no_numbers_are_a_broken_recording(corpus, cache):
    soundfile.write(corpus.root / "joy/s1_1.wav", np.full(800, np.nan), 16_000, subtype="FLOAT")

    with pytest.raises(UserError, match=r"joy/s1_1\.wav: 800 of 800 samples are not finite"):
        extract(corpus, ["mfcc"], cache)


def test_a_cache_that_cannot_be_written_is_an_error_and_no_broken_clip(corpus, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder belongs")

    with pytest.raises(OSError, match=r"Not a directory|exists"):
        extract(corpus, ["mfcc"], tmp_path / "cache")


def test_missing_weights_are_said_before_any_recording_is_touched(corpus, cache, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    no_decoding(monkeypatch)

    with pytest.raises(UserError, match="--download"):
        extract(corpus, ["mfcc", "hubert-base"], cache)


def test_real_recordings_take_no_second_look(shared_data, cache, monkeypatch):
    whole = manifest.read(shared_data / "emogator6" / "manifest.csv")
    corpus = type(whole)(whole.id, whole.root, whole.clips[::30])
    first = extract(corpus, BOTH, cache)
    no_decoding(monkeypatch)

    assert extract(corpus, BOTH, cache).computed == dict.fromkeys(BOTH, 0)
    assert first.arrays["mfcc"].shape == (51, 80)
