"""Every wrong space file is answered with its line, what is on offer and what to do, in at most three lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from reno_sweeps.config.sweep_file import Overrides, load
from reno_sweeps.records import UserError

LR = "training.lr: {type: float, low: 1e-4, high: 1e-2, log: true}"

WRONG = {  # claim: (text, line, words that the answer has)
    "an unknown key": ("name: x\nserach: {}", 2, ["'serach'", "did you mean search?"]),
    "an unknown key inside": ("budget:\n  trials: 3\n  sampl: tpe", 3, ["'sampl'", "did you mean sampler?"]),
    "a key given twice": ("name: x\nhead: reno\nname: y", 3, ["'name' is given twice", "line 1"]),
    "a parameter given twice": (f"search:\n  {LR}\n  {LR}", 3, ["given twice", "line 2"]),
    "text for a number": ("budget:\n  trials: many", 2, ["a whole number", "'many'"]),
    "a quoted number": ("fixed:\n  training.epochs: '20'", 2, ["training.epochs", "a whole number", "the text '20'"]),
    "text for low": ("search:\n  training.lr: {type: float, low: a, high: 1}", 2, ["low is a number", "'a'"]),
    "a fraction for a whole number": ("fixed: {training.epochs: 2.5}", 1, ["a whole number", "2.5"]),
    "yes, which is text": ("fixed: {renyi.symmetric: yes}", 1, ["it is true or false", "yes"]),
    "low above high": ("search:\n  training.lr: {type: float, low: 2.0, high: 1.0}", 2, ["low=2.0 is above high=1.0"]),
    "low above high over lines": ("search:\n  training.lr:\n    type: float\n    low: 2\n    high: 1", 4, ["above"]),
    "a log range from 0": ("search: {training.dropout: {type: float, low: 0, high: 0.5, log: true}}", 1, ["above 0"]),
    "log with a step": ("search: {align.width: {type: int, low: 2, high: 64, step: 2, log: true}}", 1, ["no step"]),
    "a step of 0": ("search: {training.lr: {type: float, low: 0.1, high: 1, step: 0}}", 1, ["a finite number above 0"]),
    "infinity": ("search: {training.lr: {type: float, low: 0.1, high: .inf}}", 1, ["a finite number", "inf"]),
    "not a number": ("fixed: {renyi.beta: .nan}", 1, ["renyi.beta", "a finite number"]),
    "beyond a limit": ("search: {training.dropout: {type: float, low: 0, high: 1.5}}", 1, ["at most 0.95", "1.5"]),
    "a learning rate of 0": ("fixed: {training.lr: 0}", 1, ["training.lr", "above 0"]),
    "no type": ("search:\n  training.lr: {low: 1, high: 2}", 2, ["type is missing", "float, int, categorical"]),
    "a wrong type": ("search: {training.lr: {type: flaot, low: 1, high: 2}}", 1, ["did you mean float?"]),
    "no high": ("search:\n  training.lr: {type: float, low: 1}", 2, ["high is missing"]),
    "choices in a range": ("search: {training.lr: {type: float, low: 1, high: 2, choices: [1]}}", 1, ["'choices'"]),
    "no choices": ("search: {training.lr: {type: categorical, choices: []}}", 1, ["choices"]),
    "a choice twice": ("search: {attention.heads: {type: categorical, choices: [2, 2]}}", 1, ["twice"]),
    "a choice that is none": ("search: {trunk.kind: {type: categorical, choices: [convo]}}", 1, ["did you mean conv?"]),
    "a list as choice": ("search: {trunk.kind: {type: categorical, choices: [[conv]]}}", 1, ["one value"]),
    "a range for text": ("search: {trunk.kind: {type: int, low: 1, high: 2}}", 1, ["choices: [conv, linear]"]),
    "a real range for whole numbers": ("search: {align.width: {type: float, low: 2, high: 4}}", 1, ["type: int"]),
    "an unknown parameter": (f"search:\n  {LR}\n  renyi.betta: {{}}", 3, ["'renyi.betta'", "did you mean renyi.beta?"]),
    "a parameter without its room": ("fixed: {lr: 1e-3}", 1, ["did you mean training.lr?"]),
    "a parameter of another head": (
        "head: concat\nfixed:\n  renyi.beta: 2",
        3,
        ["concat has no renyi.beta", "reno has"],
    ),
    "a fixed-only parameter": (
        "search:\n  training.precision: {type: categorical, choices: [float32]}",
        2,
        ["cannot be searched", "fixed"],
    ),
    "fixed and searched": (f"search:\n  {LR}\nfixed:\n  training.lr: 1e-3", 4, ["both fixed and searched", ":2"]),
    "a fixed list": ("fixed: {training.lr: [1, 2]}", 1, ["one value", "a list"]),
    "a fixed head": ("fixed: {head: reno}", 1, ["at the top of the file"]),
    "heads that do not divide": ("fixed:\n  attention.heads: 3", 2, ["attention.heads 3", "64"]),
    "searched heads that do not divide": (
        "search:\n  attention.heads: {type: categorical, choices: [2, 3]}",
        2,
        ["attention.heads 3 does not divide"],
    ),
    "heads that do not divide a width": (
        "search:\n  attention.heads: {type: categorical, choices: [4, 8]}\nfixed: {align.width: 100}",
        2,
        ["attention.heads 8", "align.width 100"],
    ),
    "sizes that do not fit together": (
        "search:\n  trunk.kind: {type: categorical, choices: [conv, linear]}\nfixed: {trunk.positions: null}",
        2,
        ["trunk.positions"],
    ),
    "an unknown head": ("head: rneo", 1, ["no head 'rneo'", "did you mean reno?", "Heads: "]),
    "an unknown head in a list": ("head: [reno, cnnn]", 1, ["did you mean cnn?"]),
    "no head": ("head: []", 1, ["empty list"]),
    "a number as head": ("head: 3", 1, ["a list of names"]),
    "one encoder for a fusion head": (
        "head: reno\nencoders: [mfcc]",
        1,
        ["reno takes two encoders", "1 given", "mfcc"],
    ),
    "two encoders for one": ("head: fcn\nencoders: [mfcc, log-mel]", 1, ["fcn takes one encoder", "head: [fcn]"]),
    "three encoders": ("encoders: [a, b, c]", 1, ["3 given: a, b, c", "At most two"]),
    "no encoders": ("encoders: []", 1, ["empty list", "[mfcc, log-mel]"]),
    "text for encoders": ("encoders: mfcc", 1, ["a list"]),
    "a file without a path": ("encoders: ['file:', mfcc]", 1, ["lacks its path"]),
    "an encoder with a blank": ("encoders: ['a b', mfcc]", 1, ["no encoder id"]),
    "cells and head": ("head: reno\ncells:\n  - {head: reno}", 2, ["both given"]),
    "no cells": ("cells: []", 1, ["empty list"]),
    "a cell without head": ("cells:\n  - {encoders: [mfcc]}", 2, ["head is missing"]),
    "a cell with a typo": ("cells:\n  - {head: reno}\n  - {haed: fcn, head: fcn}", 3, ["'haed'", "did you mean head?"]),
    "a cell twice": ("cells:\n  - {head: reno}\n  - {head: reno}", 3, ["given twice"]),
    "a cell that does not fit": ("cells:\n  - {head: reno, encoders: [mfcc]}", 2, ["reno takes two encoders"]),
    "a searched head beside cells": (
        "cells: [{head: fcn}]\nsearch:\n  head: {type: categorical, choices: [fcn]}",
        3,
        ["every cell names its own"],
    ),
    "a searched head beside a head": (
        "head: reno\nsearch:\n  head: {type: categorical, choices: [reno]}",
        1,
        ["searched too", ":3"],
    ),
    "a searched head without when": (
        "search:\n  head: {type: categorical, choices: [concat, reno]}\n  renyi.beta: {type: float, low: 1.1, high: 3}",
        3,
        ["concat has no renyi.beta", "when: {head: reno}"],
    ),
    "a searched head of another kind": (
        "search:\n  head: {type: categorical, choices: [fcn, reno]}\n",
        2,
        ["fcn takes one encoder"],
    ),
    "a searched pair with one encoder": (
        "search:\n  encoders: {type: categorical, choices: [a+b, c]}",
        2,
        ["reno takes two encoders", "c"],
    ),
    "a condition on itself": (
        "search:\n  trunk.positions: {type: int, low: 4, high: 8, when: {trunk.positions: 4}}",
        2,
        ["itself"],
    ),
    "a condition on nothing": (
        "search:\n  trunk.positions:\n    {type: int, low: 4, high: 8, when: {trunk.kind: conv}}",
        3,
        ["neither searched nor fixed"],
    ),
    "a condition on an unknown name": (
        "search:\n  trunk.positions: {type: int, low: 4, high: 8, when: {trunk.knid: conv}}",
        2,
        ["did you mean trunk.kind?"],
    ),
    "a condition that never holds": (
        "fixed: {trunk.kind: linear}\nsearch:\n  align.width: {type: int, low: 4, high: 8, when: {trunk.kind: conv}}",
        3,
        ["never conv", "fixed to linear"],
    ),
    "a condition on a value not searched": (
        (
            "search:\n  attention.heads: {type: categorical, choices: [1, 2]}\n"
            "  attention.fusion_heads: {type: categorical, choices: [1], when: {attention.heads: 4}}"
        ),
        3,
        ["never 4"],
    ),
    "a condition on a continuum": (
        f"search:\n  {LR}\n  align.width: {{type: int, low: 4, high: 8, when: {{training.lr: 1e-3}}}}",
        3,
        ["training.lr is never 0.001"],
    ),
    "a condition between two steps": (
        (
            "search:\n  align.width: {type: int, low: 4, high: 8, step: 4}\n"
            "  training.lr: {type: float, low: 0.1, high: 1, when: {align.width: 6}}"
        ),
        3,
        ["align.width is never 6"],
    ),
    "a condition on no value": (
        "search:\n  align.width: {type: int, low: 4, high: 8, when: {trunk.kind: []}}",
        2,
        ["a value or a list of values"],
    ),
    "a condition on another head": (
        "search:\n  renyi.beta: {type: float, low: 2, high: 3, when: {head: concat}}",
        2,
        ["head is never concat", "reno"],
    ),
    "conditions in a circle": (
        (
            "search:\n"
            "  trunk.kind: {type: categorical, choices: [conv], when: {trunk.positions: 8}}\n"
            "  trunk.positions: {type: int, low: 4, high: 8, when: {trunk.kind: conv}}"
        ),
        2,
        ["circle"],
    ),
    "a test metric": ("objective:\n  metric: test_macro_f1", 2, ["must not see the test fold", "macro_f1"]),
    "an unknown metric": ("objective: {metric: f1_macro}", 1, ["objective.metric is one of"]),
    "a wrong direction": ("objective: {metric: cross_entropy, direction: maximize}", 1, ["direction is minimize"]),
    "nested on two folds": ("protocol:\n  selection: nested\n  n_folds: 2", 3, ["at least 3 folds", "n_folds: 5"]),
    "given folds, repeated": ("protocol:\n  folds: given\n  repeats: 2", 3, ["repeats is 1"]),
    "one fold": ("protocol: {n_folds: 1}", 1, ["protocol.n_folds is at least 2"]),
    "a negative seed": ("protocol: {seed: -1}", 1, ["protocol.seed is at least 0"]),
    "an unknown sampler": ("budget: {sampler: tpa}", 1, ["did you mean tpe?"]),
    "no trials": ("budget: {trials: 0}", 1, ["at least 1"]),
    "trials of one thing": ("fixed: {training.lr: 1e-3}\nbudget: {trials: 8}", 2, ["nothing is searched"]),
    "a wrong duration": ("budget: {time: 30 minutes}", 1, ["30 minutes", "90s, 30m, 2h"]),
    "ahead of 0": ("budget: {ahead: 0}", 1, ["budget.ahead is auto or at least 1"]),
    "ahead as a word": ("budget: {ahead: far}", 1, ["auto or a whole number"]),
    "a grid on a continuum": (f"search:\n  {LR}\nbudget: {{sampler: grid}}", 2, ["training.lr", "step"]),
    "an endless grid": (
        (
            "search:\n  training.epochs: {type: int, low: 1, high: 100000}\n"
            "  training.patience: {type: int, low: 1, high: 100000}\nbudget: {sampler: grid}"
        ),
        4,
        ["points"],
    ),
    "weights of nobody": ("weights:\n  mfc: x.bin", 2, ["did you mean mfcc?"]),
    "a name with a slash": ("name: a/b", 1, ["cannot begin a folder's name"]),
    "an empty corpus": ("corpus: ''", 1, ["corpus is empty"]),
    "a list at the top": ("- head: reno", 1, ["keys are expected"]),
    "an empty file": ("# nothing\n", 1, ["empty"]),
    "an open bracket": ("search: {\nhead: reno", 2, ["no YAML"]),
    "a tab": ("search:\n\ttraining.lr: 1", 2, ["no YAML", "not tabs"]),
    "two documents": ("name: x\n---\nname: y", 2, ["another document"]),
    "a class": ("name: !!python/object/apply:os.system [ls]", 1, ["the tag"]),
    "an endless anchor": ("search: &a\n  training.lr: *a", 1, ["anchors"]),
    "a very deep file": ("name: " + "[" * 2000, 1, ["nested too deep"]),
    "a huge number": ("budget: {trials: 99999999999999999999}", 1, ["too large"]),
    "half a character": ('name: "\\ud800"', 1, ["surrogate"]),
    "a zero byte": ("name: a\nhead: \0", 2, ["does not allow"]),
}


@pytest.mark.parametrize("claim", WRONG)
def test_a_wrong_file_is_answered_with_its_line_and_what_to_do(claim: str, tmp_path: Path) -> None:
    text, line, words = WRONG[claim]
    file = tmp_path / "wrong.yaml"
    file.write_text(text)

    with pytest.raises(UserError) as refusal:
        load(str(file))

    said = str(refusal.value)
    assert said.startswith(f"{file}:{line}: ")
    assert [word for word in words if word not in said] == []
    assert len(said.splitlines()) <= 3


OPTIONS = {  # claim: (options, words)
    "an encoder missing": ({"encoders": "mfcc"}, ["--encoders: reno takes two encoders, 1 given: mfcc"]),
    "an empty encoder": ({"encoders": "mfcc,"}, ["--encoders 'mfcc,'"]),
    "an unknown head": ({"head": "rno"}, ["--head: no head 'rno'", "did you mean reno?"]),
    "a head without the parameters": ({"head": "concat"}, ["concat has no renyi.beta"]),
    "no trials": ({"trials": 0}, ["--trials: budget.trials is at least 1, not 0"]),
    "no time": ({"time": "0s"}, ["--time: time is above 0 seconds"]),
    "a wrong time": ({"time": "soon"}, ["--time: ", "'soon'", "30m"]),
    "one fold": ({"folds": 1}, ["--folds: protocol.n_folds is at least 2, not 1"]),
    "a negative seed": ({"seed": -1}, ["--seed: budget.seed is at least 0"]),
    "a negative fold seed": ({"fold_seed": -1}, ["--fold-seed: protocol.seed is at least 0"]),
    "an unknown selection": ({"selection": "test"}, ["--selection: protocol.selection is one of validation"]),
    "nested on two folds": ({"selection": "nested", "folds": 2}, ["at least 3 folds are needed"]),
    "weights without a path": ({"weights": ["mfcc"]}, ["--weights 'mfcc'", "ID=PATH"]),
    "weights of another": ({"weights": ["wavlm=x"]}, ["--weights: weights of 'wavlm'", "mfcc"]),
    "an empty corpus": ({"corpus": " "}, ["--corpus: corpus is empty"]),
}


@pytest.mark.parametrize("claim", OPTIONS)
def test_a_wrong_option_is_named(claim: str) -> None:
    options, words = OPTIONS[claim]

    with pytest.raises(UserError) as refusal:
        load("rd_params", Overrides.from_options(**options))

    said = str(refusal.value)
    assert [word for word in words if word not in said] == []
    assert len(said.splitlines()) <= 3


@pytest.mark.parametrize("space", ["rd_pams", "rd_pams.yaml", "", ".", "x" * 5000, "a\0b", "nowhere/rd_params.yaml"])
def test_an_unknown_space_is_answered_with_the_shipped_ones(space: str) -> None:
    with pytest.raises(UserError) as refusal:
        load(space)

    said = str(refusal.value)
    assert "Shipped: baselines, paper_table1, paper_table2, rd_params, reno" in said
    assert ("did you mean rd_params?" in said) == ("rd_pa" in space)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_bytes(b"name: x\n\xff\xfe")

    with pytest.raises(UserError, match=r"space\.yaml:2: no UTF-8"):
        load(str(file))
