"""Bootstrap intervals of macro-F1, UAR and accuracy, and of paired differences: by clip, or by whole speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reno_sweeps.compare import _bca, _draws
from reno_sweeps.compare._shares import METRICS
from reno_sweeps.compare.clips import Numbers, labels_of, predictions_of, speakers_of
from reno_sweeps.compare.finding import Finding
from reno_sweeps.compare.scores import checked_level
from reno_sweeps.records import UserError

Kind = Literal["bca", "percentile"]
BY_CLIP = (
    "Clips are independent of each other and stand for those to come; predictions are taken as they are, so another "
    "training run is not allowed for."
)
BY_SPEAKER = (
    "Speakers are independent of each other and stand for those to come, however alike one speaker's clips are; "
    "predictions are taken as they are, so another training run is not allowed for."
)
LEAST_SPEAKERS = 5  # 126 different samples; four have 35, too few to know a 2.5 % tail
FEW_SPEAKERS = 20  # below, intervals by whole speakers come out too narrow: Cameron, Gelbach & Miller 2008
EFFECT = "relative error reduction"  # share of b's errors that a does without


def metric_interval(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    classes: int,
    generator: np.random.Generator,
    metric: str = "macro_f1",
    speakers: Sequence[str | None] | None = None,
    kind: Kind = "bca",
    draws: int = 10_000,
    level: float = 0.95,
) -> Finding:
    """A metric of truth [clips] and predictions [clips] or [repeats, clips] with its interval; no p.

    The metric is that of all clips in one confusion matrix (mean over repeats), which is close to, and not the same
    as, the mean over folds. With `speakers`, whole speakers are drawn.
    """
    expected = labels_of(truth, "truth")
    rows = predictions_of(predicted, "predicted", expected)
    share = METRICS[_checked_metric(metric)]
    units, unit = _units(expected, rows, classes, speakers)
    return _found(units, lambda tables: share(tables).mean(-1), unit, kind, draws, level, generator)


def metric_difference(
    truth: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    classes: int,
    generator: np.random.Generator,
    metric: str = "macro_f1",
    speakers: Sequence[str | None] | None = None,
    kind: Kind = "bca",
    draws: int = 10_000,
    level: float = 0.95,
) -> Finding:
    """The difference a − b of a metric on the same clips, paired: each draw scores both. As `metric_interval`.

    p is one minus the level of the interval that just touches zero, so p and interval agree; where no draw reaches
    zero, p is an upper bound.
    """
    expected = labels_of(truth, "truth")
    first, second = predictions_of(a, "a", expected), predictions_of(b, "b", expected)
    share, repeats = METRICS[_checked_metric(metric)], len(first)
    units, unit = _units(expected, np.concatenate((first, second)), classes, speakers)

    def gap(tables: NDArray[np.float64]) -> NDArray[np.float64]:
        scores = share(tables)
        return np.asarray(scores[..., :repeats].mean(-1) - scores[..., repeats:].mean(-1))

    errors = 1 - _draws.observed(units, lambda tables: share(tables)[..., repeats:].mean(-1))
    return _found(units, gap, unit, kind, draws, level, generator, errors)


def _checked_metric(metric: str) -> str:
    if metric not in METRICS:
        raise UserError(f"no bootstrap of {metric!r}\non offer: {', '.join(METRICS)}")
    return metric


def _units(
    truth: Numbers, rows: Numbers, classes: int, speakers: Sequence[str | None] | None
) -> tuple[_draws.Units, str]:
    """What is drawn, and what it is called."""
    if max(truth.max(), rows.max()) >= classes:
        raise UserError(f"class number {max(truth.max(), rows.max())} among {classes} classes\nthey count from 0")
    if speakers is None:
        if len(truth) < 2:
            raise UserError("one clip: there is nothing to draw from\nat least two clips are needed")
        return _draws.units_of(truth, rows, classes, None), "clips"
    who = speakers_of(speakers, len(truth))
    if who.max() + 1 < LEAST_SPEAKERS:
        raise UserError(
            f"{who.max() + 1} speakers: too few to draw whole speakers from, {LEAST_SPEAKERS} are the least\n"
            "leave speakers out: by clip, said to hold for these speakers only"
        )
    return _draws.units_of(truth, rows, classes, who), "speakers"


def _found(
    units: _draws.Units,
    statistic: _draws.Statistic,
    unit: str,
    kind: Kind,
    draws: int,
    level: float,
    generator: np.random.Generator,
    errors: float | None = None,  # 1 − b's score, of a difference
) -> Finding:
    _refuse_settings(kind, draws, checked_level(level))
    estimate, sample = _draws.observed(units, statistic), _draws.drawn(units, statistic, draws, generator)
    by = _bca.Bend()
    if kind == "bca":
        by = _bca.bend(sample, estimate, _draws.left_out(units, statistic), units.times)
    varied, paired = bool(np.ptp(sample) > 0), errors is not None
    n = int(units.times.sum())
    return Finding(
        f"{'paired ' * paired}bootstrap by {unit[:-1]} ({'BCa' if kind == 'bca' else 'percentile'}, {draws} draws)",
        BY_SPEAKER if unit == "speakers" else BY_CLIP,
        estimate,
        n,
        unit,
        level,
        _bca.interval(sample, level, by) if varied else None,
        _p(sample, by, varied=varied) if paired else None,
        effect=estimate / errors if errors else None,
        effect_name=EFFECT if errors else "",
        refused="every draw gives the same difference" if paired and not varied and estimate else "",
        remark=_remark(unit, n, varied=varied),
    )


def _refuse_settings(kind: str, draws: int, level: float) -> None:
    if kind not in {"bca", "percentile"}:
        raise UserError(f"bootstrap {kind!r}\non offer: bca, percentile")
    least = int(np.ceil(40 / (1 - level)))  # twenty draws beyond each end
    if draws < least:
        raise UserError(f"{draws} draws are too few for an interval of level {level:g}\nat least {least}")


def _p(sample: NDArray[np.float64], by: _bca.Bend, *, varied: bool) -> float | None:
    if varied:
        return _bca.p_of_zero(sample, by)
    return 1.0 if sample[0] == 0 else None


def _remark(unit: str, n: int, *, varied: bool) -> str:
    if not varied:
        return "no interval: every draw scores the same"
    if unit == "speakers" and n < FEW_SPEAKERS:
        return f"{n} speakers are few: the interval is rather too narrow"
    return ""
