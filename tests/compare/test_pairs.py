"""Contestants are paired by fold or by corpus, corrected together, and never compared on different folds."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from reno_sweeps.compare.corrected_t import corrected_t
from reno_sweeps.compare.holm import holm
from reno_sweeps.compare.pairs import Contestant, across_corpora, against, compare
from reno_sweeps.records import UserError

FOLDS = "3f9c0a1b2c"


def scored(name, lift, *, noise=0.01, shape=(2, 5), folds=FOLDS):
    """A head that is better by `lift`, on folds that are hard or easy for everybody."""
    hard = np.random.default_rng(0).uniform(0.4, 0.6, shape)
    own = np.random.default_rng(sum(map(ord, name))).normal(0, noise, shape)
    return Contestant(name, hard + own + lift, folds)


def test_a_planted_difference_is_found_and_an_absent_one_is_not():
    linear = scored("linear", 0)
    better, same = compare(scored("reno", 0.08), linear), compare(scored("concat", 0), linear)

    assert better.verdict.startswith("reno is better by ")
    assert better.posterior.posterior.right > 0.95
    assert same.verdict.startswith("no evidence of a difference: concat − linear = ")


def test_a_comparison_counts_means_and_folds_won():
    a, b = Contestant("a", [[0.5, 0.7, 0.6]], FOLDS), Contestant("b", [[0.4, 0.7, 0.7]], FOLDS)
    found = compare(a, b)

    assert found.means == pytest.approx((0.6, 0.6))
    assert found.wins == (1, 1, 1)
    assert compare(b, a, metric="cross_entropy").wins == (1, 1, 1)
    assert found.adjusted is None


def test_folds_won_of_a_loss_are_the_lower_ones():
    a, b = Contestant("a", [[0.5, 0.7, 0.6]], FOLDS), Contestant("b", [[0.4, 0.6, 0.7]], FOLDS)

    assert compare(a, b).wins == (2, 0, 1)
    assert compare(a, b, metric="cross_entropy").wins == (1, 0, 2)


def test_swapping_two_contestants_keeps_the_verdicts_meaning():
    a, b = scored("reno", 0.08), scored("linear", 0)

    assert compare(a, b).verdict == compare(b, a).verdict


def test_many_against_a_reference_are_corrected_by_holm():
    reference = scored("linear", 0)
    others = [scored(name, lift) for name, lift in {"fcn": 0.0, "concat": 0.02, "reno": 0.08}.items()]
    found = against(reference, others)
    alone = [corrected_t(other.scores, reference.scores).p for other in others]

    assert [one.a for one in found] == ["fcn", "concat", "reno"]
    assert {one.b for one in found} == {"linear"}
    assert [one.test.p for one in found] == alone
    assert [one.adjusted for one in found] == list(holm(alone))
    assert all("Holm's correction for 3 comparisons" in one.verdict for one in found)


def test_what_is_significant_alone_may_not_be_among_many():
    reference = scored("linear", 0)
    reno = scored("reno", 0.008)
    crowd = [scored(f"head {n}", 0.0) for n in range(8)]
    alone, among = against(reference, [reno])[0], against(reference, [reno, *crowd])[0]

    assert alone.test.p == among.test.p == alone.adjusted
    assert alone.verdict.startswith("reno is better")
    assert among.verdict.startswith("no evidence")


def test_one_that_cannot_be_tested_takes_no_part_in_the_correction():
    reference = scored("linear", 0)
    shifted = Contestant("shifted", reference.scores + 0.02, FOLDS)
    found = against(reference, [shifted, scored("reno", 0.08)])

    assert (found[0].adjusted, found[1].adjusted) == (None, found[1].test.p)
    assert found[0].verdict.startswith("not tested: all 10 folds differ")


def test_corpora_are_paired_by_name():
    corpora = [f"corpus {n}" for n in range(7)]
    linear = {corpus: 0.5 + n / 100 for n, corpus in enumerate(corpora)}
    reno = {corpus: linear[corpus] + (n + 1) / 200 for n, corpus in reversed(list(enumerate(corpora)))}
    [found] = across_corpora("linear", {"linear": linear, "reno": reno})

    assert found.test.p == pytest.approx(2 / 2**7)
    assert found.wins == (7, 0, 0)
    assert found.verdict.startswith("reno is better by 2.0 points, 95 % interval ")
    assert "7 corpora" in found.verdict


def test_several_across_corpora_are_corrected_by_holm():
    corpora = [f"corpus {n}" for n in range(8)]
    table = {name: {c: 0.5 + lift * (n + 1) for n, c in enumerate(corpora)} for name, lift in (("a", 0), ("b", 0.01))}
    table["c"] = {c: 0.5 + (-1) ** n * 0.01 * (n + 1) for n, c in enumerate(corpora)}
    found = across_corpora("a", table)

    assert [one.a for one in found] == ["b", "c"]
    assert [one.adjusted for one in found] == list(holm([one.test.p for one in found]))


def test_few_corpora_are_refused():
    table = {name: {f"corpus {n}": 0.5 + n / 10 for n in range(5)} for name in ("a", "b")}

    with pytest.raises(UserError, match=r"5 pairs can't give p < 0\.0625"):
        across_corpora("a", table)


def test_the_more_contestants_the_more_corpora_are_needed():
    table = {name: {f"corpus {n}": 0.5 + n / 10 * (name == "a") for n in range(6)} for name in ("a", "b", "c")}

    assert across_corpora("a", {name: table[name] for name in ("a", "b")})[0].test.p > 0
    with pytest.raises(UserError, match="times 2 by Holm's correction"):
        across_corpora("a", table)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (scored("reno", 0, folds="another"), r"tested on different folds \(another, 3f9c0a1b\)"),
        (scored("reno", 0, shape=(1, 5)), "repeats × folds differ, reno: 1 × 5 and linear: 2 × 5"),
        (scored("reno", 0, shape=(2, 4)), "reno: 2 × 4"),
    ],
)
def test_other_folds_are_never_paired(other, said):
    with pytest.raises(UserError, match=said):
        compare(other, scored("linear", 0))


def test_a_contestant_with_an_unfinished_fold_is_named():
    with pytest.raises(UserError, match="reno: the score of repeat 0, fold 1 is nan"):
        Contestant("reno", [[0.5, np.nan]], FOLDS)


def test_names_are_unique_and_somebody_is_there_to_compare():
    linear = scored("linear", 0)

    with pytest.raises(UserError, match="linear: named twice"):
        against(linear, [scored("linear", 0.1)])
    with pytest.raises(UserError, match="nothing to compare it with"):
        against(linear, [])
    with pytest.raises(UserError, match="no scores of 'reno'\nscores are at hand of linear"):
        across_corpora("reno", {"linear": {}})
    with pytest.raises(UserError, match="not both scored on jnv, vivae"):
        across_corpora("a", {"a": {"jnv": 0.5, "asvp": 0.4}, "b": {"vivae": 0.5, "asvp": 0.4}})


def test_the_room_is_light_and_knows_no_tracker():
    rooms = "pairs", "bootstrap", "mcnemar"
    asked = f"import sys; from reno_sweeps.compare import {', '.join(rooms)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()

    assert not {"scipy", "sklearn", "torch", "mlflow", "ray", "optuna", "pydantic", "pandas"} & set(loaded)
