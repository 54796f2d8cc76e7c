"""Cohorts: of one structure each, nobody lost, folds together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.records import Key, Model, Split
from reno_sweeps.training.cohort import group, structure

SPLIT = Split((0,), (1,), (2,))


def model(owner: str = "trial 0", fold: int = 0, head: str = "reno", **values: object) -> Model:
    return Model(Key(owner, fold=fold), head, ("a", "b"), values, 0, SPLIT)


def with_values(values: dict[str, object]) -> Model:
    return model(**values)


models = st.lists(
    st.builds(
        lambda owner, fold, heads, beta: model(
            f"trial {owner}", fold, **{"attention.heads": heads, "renyi.beta": beta}
        ),
        st.integers(0, 5),
        st.integers(0, 4),
        st.sampled_from([1, 2]),
        st.floats(1, 2),
    ),
    max_size=20,
)


@given(models, st.integers(1, 8))
def test_every_model_is_in_one_cohort_of_its_structure_and_no_cohort_is_too_large(found, size):
    cohorts = group(found, size)

    assert sorted(id(m) for c in cohorts for m in c) == sorted(map(id, found))
    assert all(0 < len(c) <= size for c in cohorts)
    assert all(len({structure(m) for m in c}) == 1 for c in cohorts)


@pytest.mark.parametrize(
    "values",
    [
        {"renyi.beta": 3.0},
        {"training.lr": 1e-4},
        {"training.dropout": 0.5},
        {"training.grad_clip": 1.0},
        {"loss.lambda": 1},  # a real number, however it is written
    ],
)
def test_real_numbers_are_dials(values):
    assert structure(with_values(values)) == structure(model())


@pytest.mark.parametrize(
    "values",
    [
        {"attention.heads": 4},
        {"trunk.kind": "linear"},
        {"trunk.positions": None},
        {"training.batch_size": 16},
        {"renyi.symmetric": True},
        {"training.precision": "float64"},
    ],
)
def test_whole_numbers_and_names_are_structure(values):
    assert structure(with_values(values)) != structure(model())


def test_a_default_said_aloud_is_the_same_structure():
    assert structure(with_values({"attention.heads": 2})) == structure(model())


def test_folds_of_one_owner_stay_together_where_they_fit():
    found = [model(f"trial {t}", fold) for t in range(3) for fold in range(3)]
    owners = [[m.key.owner for m in cohort] for cohort in group(found, 7)]

    assert owners == [["trial 0"] * 3 + ["trial 1"] * 3, ["trial 2"] * 3]


def test_a_cohort_has_at_least_one_model():
    with pytest.raises(ValueError, match="at least one"):
        group([model()], 0)
