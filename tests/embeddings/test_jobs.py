"""Batches: every recording once, bounded, of like length, the same whatever the order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.embeddings._jobs import CLIPS, SOUND, WINDOW_CLIPS, WINDOW_SOUND, Job, Recording, cut, is_full


def recordings(lengths):
    samples = np.broadcast_to(np.float32(0), max(lengths, default=0))
    return [Recording(f"{n}.wav", f"sound {n}", samples[:length]) for n, length in enumerate(lengths)]


lengths = st.lists(st.integers(1, 2 * SOUND), max_size=WINDOW_CLIPS)


@given(lengths)
def test_every_recording_is_in_one_job(found):
    window = recordings(found)
    jobs = list(cut("mfcc", window))

    assert sorted(r.path for job in jobs for r in job.recordings) == sorted(r.path for r in window)
    assert all(job.encoder == "mfcc" for job in jobs)


@given(lengths)
def test_no_job_holds_too_much_but_a_clip_that_is_long_by_itself(found):
    for job in cut("mfcc", recordings(found)):
        assert len(job.recordings) <= CLIPS
        assert job.sound <= SOUND or len(job.recordings) == 1


@given(lengths, st.randoms())
def test_the_order_of_the_window_changes_nothing(found, random):
    window = recordings(found)
    mixed = random.sample(window, len(window))

    assert list(cut("mfcc", mixed)) == list(cut("mfcc", window))


@given(lengths)
def test_lengths_never_grow(found):
    sizes = [r.samples.size for job in cut("mfcc", recordings(found)) for r in job.recordings]

    assert sizes == sorted(sizes, reverse=True)


def test_a_window_is_full_by_clips_or_by_sound():
    assert not is_full(recordings([1] * (WINDOW_CLIPS - 1)))
    assert is_full(recordings([1] * WINDOW_CLIPS))
    assert is_full(recordings([WINDOW_SOUND]))


def test_a_job_counts_its_samples():
    job = Job("mfcc", tuple(recordings([3, 5])))

    assert job.sound == 8
    assert [clip.size for clip in job.clips] == [3, 5]
