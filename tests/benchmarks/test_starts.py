"""Both sides of a benchmark begin with the same networks, and see the clips in the same order."""

from __future__ import annotations

import material
import naive
import numpy as np
import pytest
import starts
import torch

from reno_sweeps import catalogue, space
from reno_sweeps.records import Key, Model, seed_from
from reno_sweeps.training.configuration import resolve
from reno_sweeps.training.data import Tensors
from reno_sweeps.training.dropout import keep
from reno_sweeps.training.member import Member, generator


@pytest.fixture(scope="module")
def given() -> material.Material:
    return material.clusters(60, widths=(48, 60), n_folds=3)


@pytest.mark.parametrize("heads", [1, 4])
def test_the_peers_network_answers_as_ours_before_the_first_step(given, heads) -> None:
    found = starts.starts(given, seed=3, epochs=1)
    values = resolve("reno", {"attention.heads": heads}, {})
    head = catalogue.load("heads", "reno")
    params = space.build(head.Params, values)
    x, y = (torch.from_numpy(v) for v in given.vectors.values())
    for fold, split in enumerate(given.splits()):
        model = Model(Key("start", 0, fold), "reno", ("a", "b"), values, seed_from(3, 0, fold), split)
        drawn = head.init(params, (48, 60), 6, generator(model, "init"), torch.float32)
        ours = head.apply(params, {n: w[None] for n, w in drawn.items()}, (x[None], y[None]), keep)

        theirs = naive.Reno(6, heads=heads).eval()
        mine = {n.partition("/")[2]: w for n, w in found.items() if n.startswith(f"{fold}/")}
        theirs.load_state_dict({n: torch.from_numpy(w) for n, w in mine.items() if n != "order"})
        logits, za, _ = theirs(x, y)

        assert torch.allclose(logits, ours.logits[0], atol=1e-5)
        assert ours.aligned is not None
        assert torch.allclose(za, ours.aligned[0][0], atol=1e-5)


def test_the_order_of_the_clips_is_that_of_our_trainer(given) -> None:
    found = starts.starts(given, seed=3, epochs=3)
    data = given.data()
    for fold, split in enumerate(given.splits()):
        model = Model(Key("start", 0, fold), "reno", ("a", "b"), resolve("reno", {}, {}), seed_from(3, 0, fold), split)
        member = Member.of(model, Tensors(data, "cpu"))
        for order in found[f"{fold}/order"]:
            assert member.shuffled() == np.array(split.train)[order].tolist()


def test_another_seed_begins_elsewhere(given) -> None:
    one, other = (starts.starts(given, seed, 1)["0/a.project.weight"] for seed in (0, 1))

    assert not np.allclose(one, other)
