"""What every corpus of the catalogue promises, whichever it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reno_sweeps import audio, catalogue
from reno_sweeps.corpora import content_digest, open_corpus, prepare
from reno_sweeps.corpora._checks import checked
from reno_sweeps.records import Clip, Corpus, UserError


@pytest.fixture(params=catalogue.names("corpora"))
def module(request):
    return catalogue.load("corpora", request.param)


def test_its_file_is_its_id_and_its_facts_are_told(module):
    assert catalogue.load("corpora", module.ID) is module
    assert all([module.FACTS.title, module.FACTS.licence, module.FACTS.source, module.FACTS.how])


def test_its_miniature_reads_into_clips_in_the_order_of_their_paths(module, tmp_path):
    corpus = module.read(module.miniature(tmp_path / "mini"))

    paths = [clip.path for clip in corpus.clips]
    assert paths == sorted(set(paths))
    assert len(corpus.classes) >= 2
    assert corpus.synthetic == module.FACTS.synthetic


def test_every_clip_of_its_miniature_decodes(module, tmp_path):
    corpus = module.read(module.miniature(tmp_path / "mini"))

    prepare(corpus)

    assert all(audio.decode(corpus.root / clip.path).size > 1_000 for clip in corpus.clips[::17])


def test_it_is_the_same_corpus_wherever_it_lies(module, tmp_path):
    here, there = (module.read(module.miniature(tmp_path / place / "mini")) for place in ("here", "there"))

    assert here.clips == there.clips
    assert content_digest(here, with_audio=True) == content_digest(there, with_audio=True)


def test_it_is_opened_by_its_id(module, tmp_path):
    place = module.miniature(tmp_path / "mini")

    assert open_corpus(module.ID, str(place), tmp_path).clips == module.read(place).clips


def test_listing_corpora_imports_nothing_heavy():
    heavy = ["numpy", "torch", "pandas", "soundfile", "soxr", "scipy", "sklearn", "pyarrow"]
    program = (
        "import sys; from pathlib import Path; from reno_sweeps.corpora import open_corpus, content_digest;"
        "corpus = open_corpus('demo', None, Path('nowhere')); content_digest(corpus, True);"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_path_names_one_clip(tmp_path):
    clips = (Clip("a.wav", "joy"), Clip("b.wav", "fear"), Clip("a.wav", "fear"))

    with pytest.raises(UserError, match=r"two clips are named a\.wav"):
        checked(Corpus("toy", tmp_path, clips))
