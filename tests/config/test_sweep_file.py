"""A space file and the command line become one sweep: defaults, short forms, conditions, paths, options that win."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reno_sweeps.config.sweep_file import Overrides, cost, describe, load, open_space, shipped
from reno_sweeps.records import Budget, Cell, Objective, Protocol, Sweep, UserError
from reno_sweeps.space import Categorical, Float, Int
from reno_sweeps.training.configuration import resolve, search_of

LR = "training.lr: {type: float, low: 1e-4, high: 1e-2, log: true}"


def space(folder: Path, text: str, **options: Any) -> Sweep:
    file = folder / "my_space.yaml"
    file.write_text(text)
    return load(str(file), Overrides.from_options(**options))


def test_the_users_own_space_is_what_the_interface_says() -> None:
    sweep = load("rd_params.yaml")

    assert sweep == Sweep(
        name="rd-params",
        corpus="demo",
        cells=(Cell("reno", ("mfcc", "log-mel")),),
        search={
            "renyi.beta": Float(1.05, 10.0, log=True),
            "renyi.delta": Float(1e-6, 1.0, log=True),
            "loss.lambda": Float(0.05, 1.0),
            "attention.heads": Categorical((1, 2, 4, 8)),
            "training.lr": Float(1e-4, 2e-3, log=True),
        },
        fixed={"training.epochs": 20},
        protocol=Protocol("auto", 5, "validation", 0, 1),
        objective=Objective("macro_f1", "maximize"),
        budget=Budget(64, None, "tpe", "none", None, 0),
    )


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_space_is_valid_and_survives_storage(name: str) -> None:
    sweep = load(name)

    assert Sweep.from_dict(sweep.to_dict()) == sweep
    assert load(f"{name}.yaml") == sweep
    assert {"trainings", "trials", "remarks"} <= set(cost(sweep))
    assert all(row.help for row in describe(sweep))


def test_a_file_that_says_nothing_but_a_search_has_every_default(tmp_path: Path) -> None:
    sweep = space(tmp_path, f"search: {{{LR}}}")

    assert (sweep.name, sweep.corpus, sweep.cells) == ("my-space", "demo", (Cell("reno", ("mfcc", "log-mel")),))
    assert (sweep.protocol, sweep.objective, sweep.budget) == (Protocol(), Objective(), Budget())


def test_empty_sections_are_as_good_as_absent(tmp_path: Path) -> None:
    assert space(tmp_path, "search:\nfixed:\nbudget:\nrun:\n").budget.trials == 1


def test_scalars_follow_the_core_schema(tmp_path: Path) -> None:
    sweep = space(tmp_path, "name: no\nfixed: {training.lr: 1e-3, renyi.beta: 2, training.epochs: 0x10}")

    assert sweep.name == "no"
    assert sweep.fixed == {"training.lr": 0.001, "renyi.beta": 2.0, "training.epochs": 16}
    assert [type(value) for value in sweep.fixed.values()] == [float, float, int]


def test_one_and_one_point_zero_are_the_same_question(tmp_path: Path) -> None:
    whole = space(tmp_path, "search: {renyi.beta: {type: float, low: 1, high: 2}}\nfixed: {training.epochs: 20}")
    real = space(tmp_path, "search: {renyi.beta: {type: float, low: 1.0, high: 2.0}}\nfixed: {training.epochs: 20.0}")

    assert whole.to_dict() == real.to_dict()
    assert str(whole.to_dict()) == str(real.to_dict())


def test_a_range_ends_at_its_last_step(tmp_path: Path) -> None:
    dropout = "training.dropout: {type: float, low: 0, high: 0.5, step: 0.2}"
    text = f"search: {{{dropout}, align.width: {{type: int, low: 64, high: 200, step: 64}}}}"
    search = space(tmp_path, text).search

    assert search["training.dropout"].choices() == pytest.approx((0.0, 0.2, 0.4))
    assert (search["training.dropout"].high, search["align.width"]) == (0.4, Int(64, 192, 64))  # type: ignore[union-attr]


def test_whole_steps_of_a_real_parameter_stay_whole(tmp_path: Path) -> None:
    search = space(tmp_path, "search: {renyi.beta: {type: int, low: 2, high: 5}}").search

    assert search["renyi.beta"] == Float(2.0, 5.0, step=1.0)
    with pytest.raises(UserError, match="a logarithmic range takes no step"):
        space(tmp_path, "search: {renyi.beta: {type: int, low: 2, high: 5, log: true}}")


def test_a_list_of_heads_is_short_for_cells(tmp_path: Path) -> None:
    sweep = space(tmp_path, "head: [linear, fcn, concat]\nencoders: [a, b]")

    assert sweep.cells == (
        Cell("linear", ("a", "b")),
        Cell("fcn", ("a",)),
        Cell("fcn", ("b",)),
        Cell("concat", ("a", "b")),
    )


def test_heads_of_one_encoder_may_have_any_number(tmp_path: Path) -> None:
    sweep = space(tmp_path, "head: [fcn]\nencoders: [a, b, c]")

    assert [cell.encoders for cell in sweep.cells] == [("a",), ("b",), ("c",)]


def test_cells_keep_their_own_encoders_or_share_the_files(tmp_path: Path) -> None:
    sweep = space(tmp_path, "encoders: [a, b]\ncells: [{head: reno}, {head: fcn, encoders: [c]}]")

    assert sweep.cells == (Cell("reno", ("a", "b")), Cell("fcn", ("c",)))


def test_a_cell_searches_what_its_head_has(tmp_path: Path) -> None:
    sweep = space(tmp_path, f"head: [fcn, reno]\nsearch: {{{LR}, renyi.beta: {{type: float, low: 1.1, high: 3}}}}")

    assert [list(search_of(sweep, cell)) for cell in sweep.cells] == [
        ["training.lr"],
        ["training.lr"],
        ["renyi.beta", "training.lr"],
    ]


def test_a_searched_head_has_one_cell_and_conditions(tmp_path: Path) -> None:
    sweep = space(
        tmp_path,
        "search:\n  renyi.beta: {type: float, low: 1.1, high: 3, when: {head: reno}}\n"
        "  head: {type: categorical, choices: [concat, reno]}",
    )

    assert sweep.cells == (Cell("concat", ("mfcc", "log-mel")),)
    assert list(sweep.search) == ["head", "renyi.beta"]
    assert sweep.search["renyi.beta"].when == (("head", "reno"),)


def test_searched_encoders_begin_with_the_first_pair(tmp_path: Path) -> None:
    sweep = space(tmp_path, "search: {encoders: {type: categorical, choices: [a+b, a+c]}}")

    assert sweep.cells == (Cell("reno", ("a", "b")),)


def test_parents_come_before_what_depends_on_them(tmp_path: Path) -> None:
    sweep = space(
        tmp_path,
        f"search:\n  trunk.positions: {{type: int, low: 4, high: 8, when: {{trunk.kind: linear}}}}\n  {LR}\n"
        "  trunk.kind: {type: categorical, choices: [conv, linear]}",
    )

    assert list(sweep.search) == ["training.lr", "trunk.kind", "trunk.positions"]


def test_the_direction_follows_the_metric(tmp_path: Path) -> None:
    assert space(tmp_path, "objective: {metric: cross_entropy}").objective == Objective("cross_entropy", "minimize")


def test_every_option_replaces_the_files_word(tmp_path: Path) -> None:
    text = f"corpus: demo\nsearch: {{{LR}}}\nbudget: {{trials: 3, time: 2h, seed: 1}}\nprotocol: {{seed: 2}}"
    options = {"trials": 9, "time": "1h30m", "seed": 4, "fold_seed": 5, "folds": 3, "selection": "paper"}
    sweep = space(tmp_path, text, corpus="vivae", encoders="a,b", weights=["a=w"], root="r", head="concat", **options)

    assert (sweep.corpus, sweep.root, dict(sweep.weights)) == ("vivae", "r", {"a": "w"})
    assert sweep.cells == (Cell("concat", ("a", "b")),)
    assert sweep.protocol == Protocol("auto", 3, "paper", 5, 1)
    assert sweep.budget == Budget(9, 5400.0, "tpe", "none", None, 4)


def test_options_that_are_not_given_change_nothing(tmp_path: Path) -> None:
    assert load("reno", Overrides.from_options()) == load("reno")


def test_an_option_for_a_broken_section_leaves_the_files_fault_to_be_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"my_space\.yaml:2: budget is made of keys"):
        space(tmp_path, "name: x\nbudget: 3", trials=4)


def test_encoders_of_the_command_line_end_the_search_over_them(tmp_path: Path) -> None:
    text = f"search: {{encoders: {{type: categorical, choices: [a+b, a+c]}}, {LR}}}"
    sweep = space(tmp_path, text, encoders="x,y")

    assert sweep.cells == (Cell("reno", ("x", "y")),)
    assert list(sweep.search) == ["training.lr"]


def test_encoders_of_the_command_line_make_cells_anew() -> None:
    sweep = load("paper_table2", Overrides.from_options(encoders="mfcc,log-mel"))

    assert sweep.cells == (Cell("concat", ("mfcc", "log-mel")), Cell("reno", ("mfcc", "log-mel")))


@pytest.mark.parametrize(
    "heads",
    [
        "head: [concat, reno]",
        "cells: [{head: concat}, {head: reno}]",
        "",
    ],
)
def test_a_head_of_the_command_line_chooses_among_the_files(heads: str, tmp_path: Path) -> None:
    searched = "" if heads else "head: {type: categorical, choices: [concat, reno]}, "
    beta = "renyi.beta: {type: float, low: 1.1, high: 3, when: {head: reno}}"
    text = f"{heads}\nsearch: {{{searched}{LR}, {beta}}}\nfixed: {{renyi.delta: 0.1}}"
    both, concat = space(tmp_path, text), space(tmp_path, text, head="concat")

    assert "renyi.beta" in both.search
    assert concat.cells == (Cell("concat", ("mfcc", "log-mel")),)
    assert (list(concat.search), dict(concat.fixed)) == (["training.lr"], {})


def test_a_head_that_no_cell_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"--head linear.*\n.*concat, reno\nAdd --encoders"):
        load("paper_table2", Overrides.from_options(head="linear"))


def test_time_is_spelled_in_units_or_seconds() -> None:
    times = {"90s": 90.0, "30m": 1800.0, "2h": 7200.0, "1h30m": 5400.0, "1.5h": 5400.0, "1d": 86400.0, 45: 45.0}

    assert {given: Overrides.from_options(time=given).seconds for given in times} == times


def test_weights_are_split_behind_the_encoders_options() -> None:
    given = ["hf:x@layer=9=/w/a=b", "wavlm-base=c"]

    assert Overrides.from_options(weights=given).weights == {"hf:x@layer=9": "/w/a=b", "wavlm-base": "c"}


def test_paths_become_absolute_where_they_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, beside = tmp_path / "here", tmp_path / "beside"
    for folder, files in {here: ("a.npz", "clips.csv"), beside: ("b.npz", "w.bin", "clips.csv")}.items():
        folder.mkdir()
        for file in files:
            (folder / file).touch()
    monkeypatch.chdir(here)
    sweep = space(
        beside,
        "corpus: clips.csv\nencoders: ['file:a.npz', 'file:b.npz']\nweights: {'file:b.npz': w.bin}",
    )

    assert sweep.corpus == str(here / "clips.csv")
    assert sweep.cells[0].encoders == (f"file:{here}/a.npz", f"file:{beside}/b.npz")
    assert sweep.weights == {f"file:{beside}/b.npz": str(beside / "w.bin")}


def test_paths_of_the_command_line_are_not_looked_for_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "b.npz").touch()

    assert space(tmp_path, "name: x", encoders="file:b.npz,mfcc").cells[0].encoders == ("file:b.npz", "mfcc")


def test_options_of_an_encoder_are_not_part_of_its_path(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    sweep = space(tmp_path, "encoders: ['hf:model@layer=9@normalize=no', 'hf:org/model@layer=2']")

    assert sweep.cells[0].encoders == (f"hf:{tmp_path}/model@layer=9@normalize=no", "hf:org/model@layer=2")


def test_a_path_of_a_searched_pair_becomes_absolute(tmp_path: Path) -> None:
    (tmp_path / "c++").mkdir()
    (tmp_path / "c++/x.npz").touch()
    sweep = space(tmp_path, "search: {encoders: {type: categorical, choices: ['file:c++/x.npz+mfcc']}}")

    assert sweep.cells[0].encoders == (f"file:{tmp_path}/c++/x.npz", "mfcc")
    assert sweep.search["encoders"].choices() == (f"file:{tmp_path}/c++/x.npz+mfcc",)


def test_a_named_corpus_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)

    assert (space(tmp_path, "name: x").corpus, space(tmp_path, "corpus: ./demo").corpus) == (
        "demo",
        str(tmp_path / "demo"),
    )


def test_a_folder_keeps_its_speaker_pattern(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()

    assert space(tmp_path, r"corpus: clips@speaker=([^/]+)/").corpus == rf"{tmp_path}/clips@speaker=([^/]+)/"


def test_a_path_wins_over_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rd_params.yaml").write_text("name: mine")
    (tmp_path / "reno").mkdir()
    monkeypatch.chdir(tmp_path)

    assert (load("rd_params.yaml").name, load("rd_params").name, load("reno").name) == ("mine", "rd-params", "reno")


def test_the_run_section_and_the_text_come_along(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("run: {max_failed: 2, device: cpu}")
    found = open_space(str(file))

    assert (dict(found.run), found.path, found.text) == (
        {"max_failed": 2, "device": "cpu"},
        file,
        "run: {max_failed: 2, device: cpu}",
    )


def test_the_paper_s_table_two_is_its_values_exactly() -> None:
    sweep = load("paper_table2")
    values = resolve("reno", {}, sweep.fixed)

    assert len(sweep.cells) == 36
    assert [values[n] for n in ("renyi.beta", "renyi.delta", "loss.lambda", "training.lr")] == [2.0, 0.2, 0.4, 1e-3]
    assert set(resolve("concat", {}, sweep.fixed)) & {"renyi.beta", "loss.lambda"} == set()


@pytest.mark.parametrize(("table", "encoders"), [(1, ["encoder"]), (2, ["encoder_a", "encoder_b"])])
def test_the_paper_s_cells_are_those_of_its_tables(table: int, encoders: list[str], shared_data: Path) -> None:
    import csv

    rows = csv.DictReader((shared_data.parent / f"reference/paper_table{table}.csv").open())
    published = {Cell(row["head"], tuple(row[name] for name in encoders)) for row in rows}

    assert set(load(f"paper_table{table}").cells) == published


def test_the_cost_counts_models(tmp_path: Path) -> None:
    text = f"head: [fcn, reno]\nsearch: {{{LR}}}\nbudget: {{trials: 4, pruner: wilcoxon}}\nprotocol: {{repeats: 2}}"
    found = cost(space(tmp_path, text))

    assert {name: found[name] for name in ("cells", "trials", "trainings")} == {
        "cells": 3,
        "trials": 12,
        "trainings": 120,
    }
    assert "at most 6 in 10" in found["remarks"][0]


def test_a_grid_costs_no_more_than_its_points(tmp_path: Path) -> None:
    text = "search: {attention.heads: {type: categorical, choices: [1, 2]}}\nbudget: {sampler: grid}"

    assert cost(space(tmp_path, text))["trials"] == 2


def test_the_description_says_what_is_searched_fixed_and_default(tmp_path: Path) -> None:
    text = f"search: {{{LR}}}\nfixed: {{training.epochs: 7}}"
    rows = {row.name: row for row in describe(space(tmp_path, text))}

    assert (rows["training.lr"].here, rows["training.lr"].searched) == ("0.0001 … 0.01, log", True)
    assert (rows["training.epochs"].here, rows["training.epochs"].default) == ("7", "20")
    assert (rows["renyi.beta"].here, rows["renyi.beta"].default, rows["renyi.beta"].heads) == ("", "2.0", "reno")
    assert {"protocol.seed", "budget.ahead", "objective.metric", "corpus", "name"} <= set(rows)


def test_reading_a_space_imports_nothing_heavy() -> None:
    heavy = "('torch', 'numpy', 'optuna', 'ray', 'mlflow', 'pandas', 'sklearn', 'transformers')"
    program = (
        "import sys; from reno_sweeps.config.settings import gather; from reno_sweeps.config.sweep_file import load\n"
        f"load('rd_params'); gather(); print([name for name in {heavy} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "[]"
