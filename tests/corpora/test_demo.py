"""The demo corpus: always the same sound, hard but not hopeless."""

from __future__ import annotations

import hashlib
import wave
from collections import Counter

import numpy as np
import pytest

from reno_sweeps import audio
from reno_sweeps.corpora import _voice, demo


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    demo.synthesise(root)
    return demo.read(root)


def pcm(corpus, clip) -> bytes:
    with wave.open(str(corpus.root / clip.path)) as file:
        return file.readframes(file.getnframes())


def test_it_lists_240_clips_before_any_is_made(tmp_path):
    corpus = demo.read(tmp_path / "nowhere")

    assert Counter(clip.label for clip in corpus.clips) == dict.fromkeys(demo.EMOTIONS, 40)
    assert Counter(clip.speaker for clip in corpus.clips) == dict.fromkeys(demo.SPEAKERS, 30)
    assert corpus.synthetic
    assert not (tmp_path / "nowhere").exists()


def test_the_sound_is_the_same_on_every_machine(corpus):
    """The digest was taken once from all 240 clips; another machine, NumPy or SciPy must give the same bytes."""
    sound = hashlib.sha256(b"".join(pcm(corpus, clip) for clip in corpus.clips)).hexdigest()

    assert sound == "b654f3816f112e489927c8a69fa63e81b63ec222c59487f48830db43a8bd1f53"


def test_clips_last_between_0_4_and_2_seconds_and_never_clip(corpus):
    clips = [audio.decode(corpus.root / clip.path) for clip in corpus.clips]

    assert all(0.4 <= len(samples) / audio.RATE <= 2.0 for samples in clips)
    assert all(0.003 < np.abs(samples).max() < 1.0 for samples in clips)


def test_no_two_clips_sound_the_same(corpus):
    assert len({pcm(corpus, clip) for clip in corpus.clips}) == 240


def test_only_what_is_missing_is_made_again(corpus):
    gone = corpus.root / corpus.clips[7].path
    before = gone.read_bytes()
    gone.unlink()

    assert demo.synthesise(corpus.root) == 1
    assert gone.read_bytes() == before
    assert demo.synthesise(corpus.root) == 0


def test_it_is_hard_but_not_hopeless(corpus):
    """Logistic regression on mfcc and log-mel: well above chance (0.17), with room left for a better head."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from reno_sweeps.encoders import mfcc

    clips = [audio.decode(corpus.root / clip.path) for clip in corpus.clips]
    vectors = np.hstack([mfcc.load(name).embed(clips) for name in ("mfcc", "log-mel")])
    labels = np.array([clip.label for clip in corpus.clips])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1_000))
    guesses = cross_val_predict(model, vectors, labels, cv=StratifiedKFold(5, shuffle=True, random_state=0))

    assert 0.55 < f1_score(labels, guesses, average="macro") < 0.75


def test_dice_follow_their_facts_alone():
    first, again, other = _voice.Dice(1, "a"), _voice.Dice(1, "a"), _voice.Dice(1, "b")

    numbers = first.uniform(1_000)

    np.testing.assert_array_equal(numbers, again.uniform(1_000))
    assert not np.array_equal(numbers, other.uniform(1_000))
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0


def test_normal_dice_have_mean_0_and_deviation_1():
    numbers = _voice.Dice(3).normal(100_000)

    assert abs(numbers.mean()) < 0.02  # six standard errors
    assert numbers.std() == pytest.approx(1.0, abs=0.02)
