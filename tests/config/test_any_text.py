"""Whatever stands in a file, the answer is a sweep or a UserError of three lines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reno_sweeps.config import _places, _yaml
from reno_sweeps.config._shape import SpaceShape
from reno_sweeps.config.sweep_file import load
from reno_sweeps.records import Sweep, UserError
from reno_sweeps.training.configuration import parameters_of

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MARKS = st.text(alphabet="ab:- \n\t[]{}#&*!|>'\"%@`?,.0123456789eE+~<=\\xu\u00e9\u2028\ud83d", max_size=60)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["reno", "a+b", "30m"])
)
WORDS = st.sampled_from(
    [*SpaceShape.model_fields, *parameters_of("reno"), "type", "low", "high", "step", "log", "choices", "when", "seed"]
)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["float", "int", "categorical", "conv", "linear", "auto"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
DISTRIBUTIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(["float", "int", "categorical"])},
    optional={
        "low": SCALARS,
        "high": SCALARS,
        "step": SCALARS,
        "log": st.booleans(),
        "choices": st.lists(SCALARS, max_size=3),
        "when": st.dictionaries(st.sampled_from([*parameters_of("reno"), "head", "encoders"]), SCALARS, max_size=2),
    },
)
SPACES = st.fixed_dictionaries(
    {
        "search": st.dictionaries(
            st.sampled_from([*parameters_of("reno"), "head", "encoders"]), DISTRIBUTIONS, max_size=3
        )
    },
    optional={name: VALUES for name in SpaceShape.model_fields if name != "search"},
)


def answer(text: str, folder: Path) -> Sweep | UserError:
    file = folder / "any.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    try:
        return load(str(file))
    except UserError as refusal:
        return refusal


def told(found: Sweep | UserError) -> bool:
    if isinstance(found, Sweep):
        return Sweep.from_dict(found.to_dict()) == found
    return 1 <= len(str(found).splitlines()) <= 3 and "any.yaml:" in str(found)


@QUICK
@given(text=MARKS)
def test_any_text_is_answered(text: str, tmp_path: Path) -> None:
    assert told(answer(text, tmp_path))


@QUICK
@given(content=st.dictionaries(WORDS, VALUES, max_size=5))
def test_any_mapping_is_answered(content: dict[str, Any], tmp_path: Path) -> None:
    assert told(answer(yaml.safe_dump(content, allow_unicode=True), tmp_path))


@QUICK
@given(content=SPACES)
def test_any_search_is_answered(content: dict[str, Any], tmp_path: Path) -> None:
    assert told(answer(yaml.safe_dump(content, allow_unicode=True), tmp_path))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-1.", -1.0),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("+3", 3),
        ("-.inf", float("-inf")),
        ("~", None),
        ("", None),
        ("Null", None),
        ("TRUE", True),
        ("false", False),
        ("no", "no"),
        ("on", "on"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        ("<<", "<<"),
        ("'1'", "1"),
        ("1e", "1e"),
        ("nan", "nan"),
    ],
)
def test_plain_scalars_are_those_of_the_core_schema(text: str, value: object) -> None:
    found = _yaml.read("x.yaml", f"a: {text}").content["a"]

    assert (found, type(found)) == (value, type(value))


def test_every_value_knows_its_line() -> None:
    document = _yaml.read("x.yaml", "a:\n  b: 1\n  c:\n    - 2\n    - {d: 3}\n")

    assert [document.lines[path] for path in [("a",), ("a", "b"), ("a", "c", 1), ("a", "c", 1, "d")]] == [1, 2, 5, 5]


def test_an_anchor_may_be_used_twice() -> None:
    assert _yaml.read("x.yaml", "a: &x [1]\nb: *x").content == {"a": [1], "b": [1]}


def test_anchors_that_multiply_are_refused() -> None:
    text = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))

    with pytest.raises(UserError, match="anchors"):
        _yaml.read("x.yaml", text)


ENDLESS = {
    "options": "encoders: ['hf:" + "@a=" * 300_000 + "A', mfcc]",
    "values": "- a\n" * 200_000,
    "keys": "".join(f"k{i}: a\n" for i in range(100_000)),
    "a word": "corpus: " + "a/" * 300_000,
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_large_file_is_answered_in_seconds(kind: str, tmp_path: Path) -> None:
    """Of processor time; a megabyte of values took PyYAML half a minute, one of options hours."""
    before = time.process_time()

    assert told(answer(ENDLESS[kind], tmp_path))
    assert time.process_time() - before < 10


def test_options_behind_a_folder_stay_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "m@x").mkdir()

    for options in ("", "@layer=9", "@layer=9@normalize=yes", "@nothing"):
        found = _places.encoder_place(f"hf:m@x{options}", (tmp_path,))
        assert found == (f"hf:m@x{options}" if options == "@nothing" else f"hf:{tmp_path / 'm@x'}{options}")
