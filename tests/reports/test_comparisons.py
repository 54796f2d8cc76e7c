"""How sure a sweep's differences are: paired by fold, corrected for their number, said in words."""

from __future__ import annotations

from typing import Any

import pytest

from reno_sweeps.records import Cell
from reno_sweeps.reports import comparisons


def over(*folds: float | None) -> dict[str, Any]:
    return {"test": {"macro_f1": {"mean": 0.5, "std": 0.1, "folds": list(folds)}}}


def summary_of(best: dict[str, Any], n_folds: int = 5, **baselines: dict[str, Any]) -> dict[str, Any]:
    return {"head": "reno", "folds": n_folds, "best": {"number": 3, **best}, "baselines": baselines}


FOLDS = (0.60, 0.62, 0.61, 0.63, 0.60)


def test_a_clear_difference_is_found_and_named() -> None:
    found = comparisons.of_sweep(summary_of(over(*FOLDS), linear=over(0.40, 0.43, 0.40, 0.43, 0.41)))

    assert comparisons.shown(found)[0]["verdict"] == "reno (trial 3) is better"
    assert comparisons.rows(found)[0]["difference"] == pytest.approx(-0.198)
    assert comparisons.shown(found)[0]["a − b, points"] == "−19.8"


def test_noise_is_no_evidence() -> None:
    found = comparisons.of_sweep(summary_of(over(*FOLDS), linear=over(0.62, 0.60, 0.63, 0.60, 0.61)))

    assert comparisons.shown(found)[0]["verdict"] == "no evidence of a difference"
    assert comparisons.rows(found)[0]["low"] < 0 < comparisons.rows(found)[0]["high"]  # type: ignore[operator]


def test_two_baselines_are_two_comparisons_by_holm() -> None:
    one = comparisons.of_sweep(summary_of(over(*FOLDS), linear=over(0.55, 0.58, 0.54, 0.6, 0.58)))
    two = comparisons.of_sweep(
        summary_of(over(*FOLDS), linear=over(0.55, 0.58, 0.54, 0.6, 0.58), majority=over(0.6, 0.6, 0.63, 0.61, 0.62))
    )

    assert one[0].adjusted == one[0].test.p
    assert two[0].adjusted == pytest.approx(2 * (two[0].test.p or 0))


def test_repeats_are_rows_of_the_same_folds() -> None:
    found = comparisons.of_sweep(summary_of(over(*FOLDS * 3), linear=over(*(0.4, 0.43, 0.4, 0.43, 0.41) * 3)))

    assert found[0].test.n == 15


def test_the_best_of_every_other_cell_takes_part(hand: Any) -> None:
    cells = (Cell("reno", ("a", "b")), Cell("concat", ("a", "b")), Cell("fcn", ("a",)))
    sweep = hand.sweep(cells=cells)
    found = comparisons.of_sweep(hand.summary(sweep, [hand.trial(0, 0.6), hand.trial(1, 0.5, cell=1)]))

    assert [one.a for one in found] == ["linear (baseline)", "majority (baseline)", "concat on a + b (trial 1)"]


@pytest.mark.parametrize("folds", [(), (0.5,), (0.5, None, 0.5, 0.5, 0.5), (0.5,) * 7])
def test_what_lacks_folds_is_not_compared(folds: tuple[float | None, ...]) -> None:
    assert comparisons.of_sweep(summary_of(over(*FOLDS), linear=over(*folds))) == ()
    assert comparisons.of_sweep({**summary_of(over(*FOLDS)), "best": None}) == ()


def test_equal_scores_are_told_as_such() -> None:
    found = comparisons.of_sweep(summary_of(over(*FOLDS), linear=over(*FOLDS)))

    assert comparisons.shown(found)[0]["95 % interval"] == "–"
    assert comparisons.shown(found)[0]["verdict"] == "no evidence of a difference"
