"""Search-space files: shipped ones bent as trees, spoilt as bytes, and tricks of YAML."""

from __future__ import annotations

import functools
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.kind import Kind, written
from tests.fuzz.mutations import ODD_TEXT, PATHS, bent, spoilt

DISTRIBUTIONS: tuple[Any, ...] = (
    {"type": "int", "low": 1, "high": 2**53},
    {"type": "int", "low": 1, "high": 4096},
    {"type": "int", "low": -(2**53), "high": 2**53, "step": 1},
    {"type": "float", "low": 1e-300, "high": 1e300, "log": True},
    {"type": "float", "low": 0, "high": 1, "step": 1e-300},
    {"type": "float", "low": 0.1, "high": 0.9, "step": 1e-12},
    {"type": "float", "low": -0.0, "high": 0.0},
    {"type": "categorical", "choices": list(range(1, 2_000))},
    {"type": "categorical", "choices": [True, 1, 1.0, "1", None]},
    {"type": "categorical", "choices": [1, 2, 4], "when": {"head": ["reno", "concat", 3]}},
    {"type": "int", "low": 1, "high": 8, "when": {"attention.heads": {"a": 1}}},
)
TRICKS: tuple[str, ...] = (
    "a: &a [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else '*a'] * 9)}]\n" for i in range(9)),
    "x: &x {y: *x}",
    "&r\nname: *r",
    "<<: {name: a}",
    "name: !!python/object/apply:os.system ['true']",
    "name: !!python/name:os.system",
    "name: !!binary aGVsbG8=",
    "name: !<tag:yaml.org,2002:python/object/new:os.system> [x]",
    "%YAML 9.9\n---\nname: a",
    "%TAG ! tag:example.org,2000:\n---\n!x a: b",
    "--- a\n--- b",
    "name: a\n...\nname: b",
    "? [a, b]\n: c",
    "? {a: b}\n: c",
    'name: "\\ud800"',
    'name: "\\U00110000"',
    'name: "\\x00"',
    "name: |\n" + "  a\n" * 50_000,
    "name: >-\n" + "  a b\n" * 50_000,
    "search:\n" + "".join(f"  k{i}: {{}}\n" for i in range(40_000)),
    "- a\n" * 200_000,
    "a: b\n" * 150_000,
    "#\n" * 400_000,
    "name: " + "a" * 900_000,
    "name: '" + "''" * 400_000 + "'",
    "name: " + "9" * 900_000,
    "seed: " + "0." + "1" * 900_000 + "e",
    "{" * 100_000,
    "[" * 100_000 + "]" * 100_000,
    "{a: " * 300 + "}" * 300,
    "- " * 100_000,
    "? " * 50_000,
    "a:\n" + "".join(f"{' ' * i}a:\n" for i in range(1, 600)),
    "&" + "a" * 500_000 + " b: c",
    "!" + "a" * 500_000 + " b: c",
    "\ufeff\ufeffname: a",
    "\tname: a",
    "name: a\r\rhead: b",
    "encoders: ['hf:" + "@a=" * 300_000 + "/', mfcc]",
    "encoders: ['hf:" + "@layer=1" * 100_000 + "', mfcc]",
    "encoders: ['" + "a+" * 300_000 + "', mfcc]",
    "search: {encoders: {type: categorical, choices: ['" + "file:a+" * 100_000 + "']}}",
    "search: {encoders: {type: categorical, choices: [" + ", ".join(f"a{i}+b" for i in range(3_000)) + "]}}",
    "corpus: " + "a/" * 300_000,
    "corpus: /dev/stdin@speaker=(a+)+$",
    "cells: [" + "{head: reno}, " * 5_000 + "]",
    "cells: [" + ", ".join(f"{{head: reno, encoders: [a{i}, b]}}" for i in range(2_000)) + "]",
    "weights: {" + ", ".join(f"e{i}: /" for i in range(4_000)) + "}",
    "budget: {time: " + "9" * 300_000 + "h}",
    "budget: {time: '" + "1h" * 100_000 + "'}",
    "budget: {time: 1e400}",
    "protocol: {repeats: 1000, n_folds: 1000, seeds: 1000}",
)  # fmt: skip


@functools.cache
def _whole() -> tuple[str, ...]:
    from reno_sweeps.config._places import shipped_folder

    return tuple(file.read_text() for file in sorted(shipped_folder().glob("*.yaml")))


@functools.cache
def _words() -> list[str]:
    from reno_sweeps.config._shape import SpaceShape
    from reno_sweeps.training.configuration import parameters_of

    return [*SpaceShape.model_fields, *parameters_of("reno"), "type", "low", "high", "step", "log", "choices", "when"]


def _make(dice: Random | None, folder: Path) -> Path:
    return written(folder, "space.yaml", _content(dice) if dice else _whole()[0].encode())


def _content(dice: Random) -> bytes:
    import yaml

    roll = dice.random()
    if roll < 0.3:
        return spoilt(dice, dice.choice(_whole()).encode(), [text.encode() for text in _whole()])
    if roll < 0.5:
        text = dice.choice(TRICKS)
        text = text if dice.random() < 0.6 else dice.choice(_whole()) + text
        content = text.encode("utf-8", "surrogatepass")
        return content if dice.random() < 0.7 else spoilt(dice, content)
    tree = yaml.safe_load(dice.choice(_whole()))
    for _ in range(dice.randrange(3)):
        name = dice.choice([*_words(), *ODD_TEXT, *PATHS])
        tree.setdefault("search", {})[name] = dice.choice(DISTRIBUTIONS)
    tree = bent(dice, tree, _words())
    text = yaml.safe_dump(tree, allow_unicode=dice.random() < 0.5, default_flow_style=dice.choice((True, False, None)))
    return text.encode("utf-8", "surrogatepass")


def _read(file: Path) -> object:
    from reno_sweeps.config.sweep_file import cost, describe, load
    from reno_sweeps.records import Sweep, digest

    sweep = load(str(file))
    digest(sweep.to_dict())
    if repr(Sweep.from_dict(sweep.to_dict())) != repr(sweep):
        raise AssertionError("a sweep does not come back from its plain form")
    return describe(sweep), cost(sweep)


KINDS = (Kind("space file", _make, _read),)
