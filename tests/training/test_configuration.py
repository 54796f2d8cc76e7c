"""From searched and fixed values to one model's configuration: every parameter of its head, and no other."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from reno_sweeps import catalogue
from reno_sweeps.config.sweep_file import load
from reno_sweeps.records import Cell, Sweep
from reno_sweeps.space import Categorical, Float, Int, Value
from reno_sweeps.training.configuration import (
    cell_of,
    encoders_of,
    heads_of,
    parameters_of,
    parents_first,
    refuse,
    resolve,
    search_of,
    split_pair,
)

SEARCHABLE = (  # interface.md, "Searchable", without head and encoders
    "renyi.beta renyi.delta renyi.symmetric loss.lambda attention.heads attention.fusion_heads trunk.kind "
    "trunk.positions align.width training.lr training.weight_decay training.batch_size training.dropout "
    "training.epochs training.patience training.label_smoothing training.grad_clip training.warmup_epochs "
    "training.standardize training.class_weights"
)
LR = Float(1e-4, 1e-2, log=True)


def sweep(search: dict[str, Float | Int | Categorical], fixed: dict[str, Value] | None = None, *heads: str) -> Sweep:
    cells = tuple(Cell(head, ("a", "b")) for head in heads or ("reno",))
    return Sweep("x", "demo", cells, search, fixed or {})


def test_the_heads_together_have_exactly_the_parameters_of_the_interface() -> None:
    known = {name: p for head in catalogue.names("heads") for name, p in parameters_of(head).items()}

    assert {name for name, p in known.items() if p.searchable} == set(SEARCHABLE.split())
    assert {name for name, p in known.items() if not p.searchable} == {"training.precision"}


@pytest.mark.parametrize("head", catalogue.names("heads"))
def test_the_defaults_of_every_head_are_values_that_go_together(head: str) -> None:
    values = resolve(head, {}, {})

    assert [name for name, p in parameters_of(head).items() if p.refuse(p.default)] == []
    assert refuse(head, values) is None
    assert set(encoders_of(head)) <= {1, 2}


@pytest.mark.parametrize("head", catalogue.names("heads"))
def test_a_configuration_has_every_parameter_of_its_head_and_no_other(head: str) -> None:
    values = resolve(head, {"head": "x", "renyi.beta": 3}, {"trunk.kind": "linear", "training.lr": 1})

    assert list(values) == list(parameters_of(head))
    assert values["training.lr"] == 1.0


def test_what_is_proposed_wins_over_what_is_fixed_over_the_default() -> None:
    values = resolve("reno", {"renyi.beta": 3.0}, {"renyi.beta": 4.0, "renyi.delta": 0.5})

    assert (values["renyi.beta"], values["renyi.delta"], values["loss.lambda"]) == (3.0, 0.5, 0.4)


def test_values_that_do_not_go_together_are_told_in_a_sentence() -> None:
    assert "does not divide" in str(refuse("reno", {"attention.heads": 3}))


@pytest.mark.parametrize(
    ("choice", "encoders"),
    [
        ("mfcc", ("mfcc",)),
        ("mfcc+log-mel", ("mfcc", "log-mel")),
        ("wavlm-base@layer=9+mfcc@x=1", ("wavlm-base@layer=9", "mfcc@x=1")),
        ("file:a.npz+file:b.npz", ("file:a.npz", "file:b.npz")),
        ("file:/c++/a+b.npz+mfcc", ("file:/c++/a+b.npz", "mfcc")),
        ("hf:org/model+hf:/c++/x@layer=2", ("hf:org/model", "hf:/c++/x@layer=2")),
    ],
)
def test_a_pair_is_divided_where_an_encoder_begins(choice: str, encoders: tuple[str, ...]) -> None:
    assert split_pair(choice) == encoders


def test_a_proposal_may_choose_head_and_encoders() -> None:
    cell = Cell("concat", ("a", "b"))

    assert cell_of(cell, {}) == cell
    assert cell_of(cell, {"head": "reno", "encoders": "a+c"}) == Cell("reno", ("a", "c"))


def test_a_cell_may_have_the_heads_that_are_searched() -> None:
    searched = sweep({"head": Categorical(("concat", "reno"))})

    assert heads_of(searched, searched.cells[0]) == ("concat", "reno")
    assert heads_of(sweep({}), Cell("fcn", ("a",))) == ("fcn",)


def test_a_cell_leaves_out_what_its_head_has_not() -> None:
    asked = sweep({"renyi.beta": Float(1.1, 3.0), "training.lr": LR}, None, "concat", "reno")

    assert [list(search_of(asked, cell)) for cell in asked.cells] == [["training.lr"], ["renyi.beta", "training.lr"]]


def test_conditions_on_what_is_settled_disappear_or_take_the_name_with_them() -> None:
    when_linear = Int(4, 8, when=(("trunk.kind", "linear"),))
    when_reno = Float(1.1, 3.0, when=(("head", "reno"),))
    asked = {"trunk.positions": when_linear, "renyi.beta": when_reno}

    assert search_of(sweep(asked, {"trunk.kind": "linear"}), Cell("reno", ("a", "b"))) == {
        "trunk.positions": Int(4, 8),
        "renyi.beta": Float(1.1, 3.0),
    }
    assert search_of(sweep(asked, {"trunk.kind": "conv"}), Cell("concat", ("a", "b"))) == {}


def test_what_depends_on_a_name_that_is_left_out_is_left_out() -> None:
    chain = {
        "training.lr": Float(0.1, 0.2, when=(("attention.heads", 2),)),
        "training.dropout": Float(0.1, 0.2, when=(("training.lr", 0.1),)),
        "attention.heads": Categorical((1, 2)),
    }

    assert list(search_of(sweep(chain), Cell("reno", ("a", "b")))) == [
        "attention.heads",
        "training.lr",
        "training.dropout",
    ]
    assert search_of(sweep(chain), Cell("concat", ("a", "b"))) == {}


def test_conditions_in_a_circle_are_refused() -> None:
    circle = {"a": Int(1, 2, when=(("b", 1),)), "b": Int(1, 2, when=(("a", 1),))}

    with pytest.raises(ValueError, match="a, b"):
        parents_first(circle)


def test_a_configuration_is_made_without_torch() -> None:
    program = (
        "import sys; from reno_sweeps.training.configuration import resolve; resolve('reno', {}, {})\n"
        "print([name for name in ('torch', 'numpy', 'optuna', 'pydantic', 'yaml') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"


def test_the_order_of_a_file_s_search_is_no_part_of_the_question() -> None:
    sweep = load("rd_params")
    turned = replace(sweep, search=dict(reversed(sweep.search.items())))

    assert list(search_of(turned, turned.cells[0])) == list(search_of(sweep, sweep.cells[0]))
