"""Whatever lies among the heads keeps the house's promises: shapes, gradients everywhere, company irrelevant."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from reno_sweeps import catalogue, space

HEADS = catalogue.names("heads")
CASES = [(head, count) for head in HEADS for count in catalogue.load("heads", head).ENCODERS]
DIMS = (80, 37)
CLASSES = 6


def keep(x: Tensor, rate: float | None = None) -> Tensor:
    """Dropout in evaluation: nothing is dropped."""
    return x


def made(head: str, count: int, models: int = 1, dtype: torch.dtype = torch.float64) -> tuple[Any, Any, dict, tuple]:
    """The head's module, its default parameters, stacked weights of `models` models and a batch of five clips."""
    module = catalogue.load("heads", head)
    params = space.build(module.Params, {})
    generators = [torch.Generator().manual_seed(m) for m in range(models)]
    alone = [module.init(params, DIMS[:count], CLASSES, g, dtype) for g in generators]
    weights = {name: torch.stack([w[name] for w in alone]) for name in alone[0]}
    source = torch.Generator().manual_seed(99)
    inputs = tuple(torch.randn(models, 5, d, generator=source, dtype=torch.float64).to(dtype) for d in DIMS[:count])
    return module, params, weights, inputs


@pytest.mark.parametrize(("head", "count"), CASES)
def test_logits_have_a_row_a_clip_and_a_column_a_class(head, count):
    module, params, weights, inputs = made(head, count, models=3)
    output = module.apply(params, weights, inputs, keep)

    assert output.logits.shape == (3, 5, CLASSES)
    assert (output.aligned is not None) == ("renyi" in module.LOSSES)


@pytest.mark.parametrize(("head", "count"), CASES)
def test_a_models_logits_never_depend_on_its_company(head, count):
    module, params, weights, inputs = made(head, count, models=3)
    together = module.apply(params, weights, inputs, keep).logits
    alone = [
        module.apply(params, {n: w[m : m + 1] for n, w in weights.items()}, tuple(x[m : m + 1] for x in inputs), keep)
        for m in range(3)
    ]

    torch.testing.assert_close(together, torch.cat([a.logits for a in alone]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("head", "count"), CASES)
def test_a_spoiled_model_never_reaches_its_neighbours(head, count):
    module, params, weights, inputs = made(head, count, models=3)
    clean = module.apply(params, weights, inputs, keep).logits
    for weight in weights.values():
        weight[1] = float("nan")
    spoiled = module.apply(params, weights, inputs, keep).logits

    assert torch.equal(spoiled[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize(("head", "count"), CASES)
def test_clips_of_a_batch_know_nothing_of_each_other(head, count):
    module, params, weights, inputs = made(head, count)
    whole = module.apply(params, weights, inputs, keep).logits
    single = module.apply(params, weights, tuple(x[:, 2:3] for x in inputs), keep).logits

    torch.testing.assert_close(whole[:, 2:3], single, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("head", "count"), CASES)
def test_gradients_reach_every_weight_of_every_model(head, count):
    module, params, weights, inputs = made(head, count, models=2)
    leaves = {name: w.requires_grad_() for name, w in weights.items()}
    output = module.apply(params, leaves, inputs, keep)
    gradients = torch.autograd.grad(output.logits.logsumexp(-1).square().sum(), list(leaves.values()))

    still = [n for n, g in zip(leaves, gradients, strict=True) if not (g.flatten(1) != 0).any(1).all()]
    assert still == []


@pytest.mark.parametrize(("head", "count"), CASES)
def test_the_same_generator_gives_the_same_weights_in_every_precision(head, count):
    _, _, single, _ = made(head, count, dtype=torch.float32)
    _, _, double, _ = made(head, count, dtype=torch.float64)

    assert all(torch.equal(single[name].double(), double[name]) for name in single)


@pytest.mark.parametrize(("head", "count"), CASES)
@pytest.mark.parametrize("dims", [(1, 2), (2, 3), (4, 80), (97, 5)])
def test_embeddings_of_any_width_have_a_head(head, count, dims):
    module = catalogue.load("heads", head)
    params = space.build(module.Params, {})
    weights = module.init(params, dims[:count], 2, torch.Generator().manual_seed(0))
    stacked = {name: w[None] for name, w in weights.items()}
    output = module.apply(params, stacked, tuple(torch.randn(1, 1, d) for d in dims[:count]), keep)

    assert output.logits.isfinite().all()


@pytest.mark.parametrize(("head", "count"), CASES)
def test_parameter_count_is_the_number_of_weights_drawn(head, count):
    module, params, weights, _ = made(head, count)

    assert module.parameter_count(params, DIMS[:count], CLASSES) == sum(w.numel() for w in weights.values())


@pytest.mark.parametrize("head", HEADS)
def test_defaults_are_allowed_and_go_together(head):
    module = catalogue.load("heads", head)
    known = space.parameters(module.Params)
    module.check(space.build(module.Params, {}))

    assert [p.name for p in known.values() if p.refuse(p.default)] == []


@pytest.mark.parametrize("head", HEADS)
def test_every_named_loss_exists(head):
    assert set(catalogue.load("heads", head).LOSSES) <= set(catalogue.names("losses"))


def test_listing_heads_and_counting_parameters_imports_no_torch():
    program = (
        "import sys; from reno_sweeps import catalogue, space; import reno_sweeps.training.params\n"
        "for n in catalogue.names('heads'):\n"
        "    m = catalogue.load('heads', n); m.parameter_count(space.build(m.Params, {}), (8,) * m.ENCODERS[-1], 3)\n"
        "sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
