"""Bootstrap intervals: scikit-learn's metrics, scipy's intervals, honest under speaker effects, the same twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, recall_score

from reno_sweeps import metrics
from reno_sweeps.compare import _bca, _draws, _shares
from reno_sweeps.compare.bootstrap import metric_difference, metric_interval
from reno_sweeps.records import UserError

SCORES = {
    "accuracy": accuracy_score,
    "macro_f1": lambda truth, said: f1_score(truth, said, labels=sorted({*truth, *said}), average="macro"),
    "uar": lambda truth, said: recall_score(truth, said, labels=sorted({*truth}), average="macro"),
}


def fresh():
    return np.random.default_rng(7)


def heard(clips, right, *, classes=4, seed=0):
    """Truth and predictions [clips], right with the given chance (a number, or one a clip)."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, clips)
    wrong = (truth + generator.integers(1, classes, clips)) % classes
    return truth, np.where(generator.random(clips) < right, truth, wrong)


def by_speakers(speakers, each, spread, seed):
    """Truth, predictions and speakers; a speaker's own accuracy is 0.7 ± spread."""
    generator = np.random.default_rng(seed)
    own = np.clip(0.7 + generator.uniform(-spread, spread, speakers), 0, 1)
    truth, said = heard(speakers * each, np.repeat(own, each), seed=seed)
    return truth, said, [f"speaker {n}" for n in np.repeat(np.arange(speakers), each)]


# --- the statistic ---------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(2, 6))
def test_metrics_of_many_tables_are_those_of_each(seed, classes):
    tables = np.random.default_rng(seed).integers(0, 3, (5, classes, classes)).astype(float)
    tables[:, 0, 0] += 1

    for name, share in _shares.METRICS.items():
        expected = [getattr(metrics, name)(table.astype(np.int64)) for table in tables]

        assert share(tables) == pytest.approx(expected)


@pytest.mark.parametrize("metric", SCORES)
def test_the_estimate_is_scikit_learns(metric):
    truth, said = heard(60, 0.6)
    found = metric_interval(truth, said, classes=4, generator=fresh(), metric=metric, draws=800)

    assert found.estimate == pytest.approx(SCORES[metric](truth, said))
    assert found.interval[0] < found.estimate < found.interval[1]
    assert (found.n, found.unit, found.p, found.effect) == (60, "clips", None, None)


@pytest.mark.parametrize("metric", SCORES)
def test_draws_are_distributed_as_if_clips_were_drawn_one_by_one(metric):
    truth, said = heard(40, 0.6)
    units = _draws.units_of(truth, said[None], 4, None)
    quick = _draws.drawn(units, lambda tables: _shares.METRICS[metric](tables).mean(-1), 20_000, fresh())
    rows = np.random.default_rng(1).integers(0, 40, (600, 40))
    slow = [SCORES[metric](truth[row], said[row]) for row in rows]

    assert stats.ks_2samp(quick, slow).pvalue > 0.01


def test_whole_speakers_are_drawn():
    """Two clips a speaker, both right or both wrong: a draw of n speakers has an even number of hits."""
    truth = np.zeros(20, np.int64)
    said = np.repeat(np.arange(10) % 2, 2)
    units = _draws.units_of(truth, said[None], 2, np.repeat(np.arange(10), 2))
    hits = _draws.drawn(units, lambda tables: tables[..., 0, 0, 0], 500, fresh())

    assert set(hits % 2) == {0}
    assert hits.mean() == pytest.approx(10, abs=0.5)


def test_leaving_each_clip_out_is_the_jackknife():
    truth, said = heard(30, 0.5)
    units = _draws.units_of(truth, said[None], 4, None)
    quick = np.repeat(_draws.left_out(units, lambda t: _shares.macro_f1(t).mean(-1)), units.times)
    slow = [SCORES["macro_f1"](np.delete(truth, i), np.delete(said, i)) for i in range(30)]

    assert sorted(quick) == pytest.approx(sorted(slow))


def test_memory_is_bounded_and_does_not_change_the_draws(monkeypatch):
    truth, said = heard(50, 0.6)
    whole = metric_interval(truth, said, classes=4, generator=fresh(), draws=1000)
    monkeypatch.setattr(_draws, "AT_ONCE", 300)

    assert metric_interval(truth, said, classes=4, generator=fresh(), draws=1000) == whole


# --- the interval ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "theirs"), [("bca", "BCa"), ("percentile", "percentile")])
def test_intervals_are_scipys(kind, theirs):
    truth, said = heard(80, 0.85)
    found = metric_interval(truth, said, classes=4, generator=fresh(), metric="macro_f1", kind=kind, draws=20_000)

    def share(rows, axis):
        cells = truth[rows.astype(int)] * 4 + said[rows.astype(int)]
        one_hot = (cells[..., None] == np.arange(16)).sum(-2).reshape(*cells.shape[:-1], 4, 4)
        return _shares.macro_f1(one_hot)

    clips = np.arange(80)
    expected = stats.bootstrap((clips,), share, n_resamples=20_000, batch=2000, method=theirs, rng=fresh())

    assert found.interval == pytest.approx(tuple(expected.confidence_interval), abs=0.006)


def test_the_same_generator_gives_the_same_interval():
    truth, said = heard(50, 0.6)
    first, second = (metric_interval(truth, said, classes=4, generator=fresh(), draws=1000) for _ in range(2))
    other = metric_interval(truth, said, classes=4, generator=np.random.default_rng(8), draws=1000)

    assert first == second
    assert first.interval != other.interval


def test_the_global_generator_is_left_alone():
    truth, said = heard(50, 0.6)
    np.random.seed(0)  # noqa: NPY002  # whether anybody draws from it is what is asked
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    metric_interval(truth, said, classes=4, generator=fresh(), draws=1000)

    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_more_clips_make_it_narrower():
    widths = [
        np.ptp(metric_interval(*heard(n, 0.7), classes=4, generator=fresh(), draws=2000).interval)
        for n in (100, 400, 1600)
    ]

    assert widths[0] > 1.5 * widths[1] > 2.25 * widths[2]


def test_numbers_of_classes_are_irrelevant():
    truth, said = heard(100, 0.7)
    named = metric_interval(truth, said, classes=4, generator=fresh(), draws=2000)
    turned = metric_interval(3 - truth, 3 - said, classes=6, generator=fresh(), draws=2000)

    assert turned.estimate == pytest.approx(named.estimate)
    assert turned.interval == pytest.approx(named.interval, abs=0.02)


def test_repeats_are_averaged_and_drawn_together():
    truth, said = heard(100, 0.7)
    once = metric_interval(truth, said, classes=4, generator=fresh(), draws=1000)
    twice = metric_interval(truth, [said, said], classes=4, generator=fresh(), draws=1000)

    assert twice.estimate == pytest.approx(once.estimate)
    assert twice.interval == pytest.approx(once.interval)


def test_perfect_predictions_have_no_interval():
    truth, _ = heard(30, 0.5)
    found = metric_interval(truth, truth, classes=4, generator=fresh(), draws=800)

    assert (found.estimate, found.interval) == (1.0, None)
    assert "every draw scores the same" in found.remark


def coverage(speakers, each, spread, *, whole, runs=150):
    """How often the interval of the accuracy holds 0.7, the accuracy over all speakers that could come."""
    held = []
    for run in range(runs):
        truth, said, who = by_speakers(speakers, each, spread, run)
        found = metric_interval(
            truth,
            said,
            classes=4,
            generator=np.random.default_rng(run),
            metric="accuracy",
            speakers=who if whole else None,
            draws=800,
        )
        held.append(found.interval[0] <= 0.7 <= found.interval[1])
    return np.mean(held)


def test_under_speaker_effects_only_whole_speakers_cover():
    by_clip, by_speaker = (coverage(30, 30, 0.3, whole=whole) for whole in (False, True))

    assert by_clip < 0.75
    assert by_speaker > 0.89


def test_without_speaker_effects_both_cover():
    by_clip, by_speaker = (coverage(30, 10, 0.0, whole=whole) for whole in (False, True))

    assert by_clip > 0.9
    assert by_speaker > 0.89


# --- the difference --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", SCORES)
def test_swapping_negates_a_difference(metric):
    truth, a = heard(200, 0.7)
    _, b = heard(200, 0.6, seed=0)
    there = metric_difference(truth, a, b, classes=4, generator=fresh(), metric=metric, kind="percentile")
    back = metric_difference(truth, b, a, classes=4, generator=np.random.default_rng(9), metric=metric)

    assert there.estimate == pytest.approx(SCORES[metric](truth, a) - SCORES[metric](truth, b))
    assert back.estimate == pytest.approx(-there.estimate)
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]), abs=0.01)


def test_pairing_makes_it_narrower_than_two_intervals():
    truth, a = heard(300, 0.6)
    b = a.copy()
    b[:6] = (truth[:6] + 1) % 4
    gap = metric_difference(truth, a, b, classes=4, generator=fresh(), draws=2000)
    alone = metric_interval(truth, a, classes=4, generator=fresh(), draws=2000)

    assert np.ptp(gap.interval) < np.ptp(alone.interval) / 2


@pytest.mark.parametrize("kind", ["bca", "percentile"])
@pytest.mark.parametrize("seed", range(8))
def test_p_and_interval_agree(kind, seed):
    truth, a = heard(150, 0.7, seed=seed)
    b = np.where(np.random.default_rng(seed).random(150) < 0.15, (truth + 1) % 4, a)
    found = metric_difference(truth, a, b, classes=4, generator=fresh(), kind=kind, draws=4000)
    touching = metric_difference(
        truth, a, b, classes=4, generator=fresh(), kind=kind, draws=4000, level=min(1 - found.p, 0.98)
    )

    assert (found.p < 0.05) == (found.interval[0] > 0 or found.interval[1] < 0)
    if found.p > 0.02:
        assert min(map(abs, touching.interval)) < 0.004


@given(st.floats(-0.4, 0.4), st.floats(-0.1, 0.1), st.floats(-2, 2))
def test_p_is_where_a_bent_interval_touches_zero(bias, acceleration, centre):
    draws, by = np.random.default_rng(0).normal(centre, 1, 20_000), _bca.Bend(bias, acceleration)
    p = _bca.p_of_zero(draws, by)
    ends = _bca.interval(draws, 1 - p, by) if p < 1 else (0.0, 0.0)

    assert min(map(abs, ends)) < 0.02 or p < 1e-3


def test_type_one_error_stays_at_its_level():
    rejected = []
    for seed in range(300):
        truth, a = heard(120, 0.65, seed=seed)
        b = np.where(np.random.default_rng(seed + 1000).random(120) < 0.65, truth, (truth + 1) % 4)
        found = metric_difference(truth, a, b, classes=4, generator=fresh(), metric="accuracy", draws=800)
        rejected.append(found.p <= 0.05)

    assert np.mean(rejected) <= 0.08


def test_its_effect_is_the_share_of_errors_that_a_does_without():
    truth = np.arange(100) % 2
    a, b = truth.copy(), truth.copy()
    a[:10], b[:20] = 1 - truth[:10], 1 - truth[:20]
    found = metric_difference(truth, a, b, classes=2, generator=fresh(), metric="accuracy", draws=800)

    assert found.effect == pytest.approx(0.5)
    assert found.effect_name == "relative error reduction"


def test_equal_predictions_are_no_evidence():
    truth, a = heard(50, 0.6)
    found = metric_difference(truth, a, a, classes=4, generator=fresh(), draws=800)

    assert (found.p, found.estimate, found.interval) == (1.0, 0.0, None)
    assert not found.refused


def test_right_against_wrong_everywhere_is_refused():
    truth = np.arange(20) % 2
    found = metric_difference(truth, truth, 1 - truth, classes=2, generator=fresh(), draws=800)

    assert (found.estimate, found.p, found.interval) == (1.0, None, None)
    assert "the same difference" in found.refused


# --- what is refused -------------------------------------------------------------------------------------------


def test_few_speakers_are_said_and_too_few_refused():
    truth, said, who = by_speakers(8, 10, 0.1, 0)
    found = metric_interval(truth, said, classes=4, generator=fresh(), speakers=who, draws=800)

    assert (found.n, found.unit) == (8, "speakers")
    assert found.remark == "8 speakers are few: the interval is rather too narrow"
    with pytest.raises(UserError, match="4 speakers: too few"):
        metric_interval(truth[:40], said[:40], classes=4, generator=fresh(), speakers=who[:40], draws=800)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metric": "cross_entropy"}, "on offer: accuracy, macro_f1, uar"),
        ({"kind": "basic"}, "on offer: bca, percentile"),
        ({"draws": 500}, "500 draws are too few for an interval of level 0.95\nat least 800"),
        ({"level": 95}, "level 95"),
        ({"classes": 3}, "class number 3 among 3 classes"),
        ({"speakers": ["a"] * 49}, "49 speakers for 50 clips"),
        ({"speakers": ["a", None] * 25}, "the speaker of 25 of 50 clips is not known"),
        ({"predicted": [0] * 49}, r"predicted: shape \[49\] for 50 clips"),
        ({"predicted": [0.5] * 50}, "whole numbers"),
    ],
)
def test_what_it_cannot_do_is_refused(changed, said):
    truth = np.arange(50) % 4
    asked = {"predicted": truth, "classes": 4, "generator": fresh(), **changed}

    with pytest.raises(UserError, match=said):
        metric_interval(truth, asked.pop("predicted"), **asked)


def test_one_clip_is_refused():
    with pytest.raises(UserError, match="one clip"):
        metric_interval([0], [0], classes=2, generator=fresh())
