"""Whatever lies among the losses keeps the house's promises: finite at extremes, company irrelevant, light."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from reno_sweeps import catalogue, space
from reno_sweeps.training.params import Params

LOSSES = catalogue.names("losses")
MODELS, BATCH, CLASSES, WIDTH = 3, 5, 4, 16


def dials(name: str) -> dict[str, Any]:
    """Another value of every real parameter for each of three models: its default and two fifths of it either side."""
    rooms = (catalogue.load("losses", name).Params, Params)
    found: dict[str, Any] = {"class_weights": None}
    for known in (p for room in rooms for p in space.parameters(room).values() if p.default is not None):
        spread = torch.tensor([0.6, 1.0, 1.4], dtype=torch.float64)
        found[known.name] = known.default * spread if known.kind is float else known.default
    return found


def batch(scale: float = 1.0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
    """Logits, aligned features and labels of three models."""
    source = torch.Generator().manual_seed(0)
    shapes = ((MODELS, BATCH, CLASSES), (MODELS, BATCH, WIDTH), (MODELS, BATCH, WIDTH))
    logits, a, b = (torch.randn(*s, generator=source, dtype=torch.float64).mul(scale).to(dtype) for s in shapes)
    return logits, (a, b), torch.randint(CLASSES, (MODELS, BATCH), generator=source)


def part(value: Any, chosen: slice) -> Any:
    """The chosen models of anything that has a models axis."""
    if isinstance(value, tuple):
        return tuple(v[chosen] for v in value)
    return value[chosen] if isinstance(value, Tensor) else value


@pytest.mark.parametrize("name", LOSSES)
def test_a_models_loss_never_depends_on_its_company(name):
    module, given, inputs = catalogue.load("losses", name), dials(name), batch()
    together = module.of_batch(given, *inputs)
    alone = []
    for m in range(MODELS):
        one = slice(m, m + 1)
        alone.append(module.of_batch({n: part(v, one) for n, v in given.items()}, *(part(x, one) for x in inputs)))

    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_a_spoiled_model_never_reaches_its_neighbours(name):
    module, given = catalogue.load("losses", name), dials(name)
    logits, aligned, labels = batch()
    clean = module.of_batch(given, logits, aligned, labels)
    for x in (logits, *aligned):
        x[1] = float("nan")
    spoiled = module.of_batch(given, logits, aligned, labels)

    assert torch.equal(spoiled[[0, 2]], clean[[0, 2]])
    assert spoiled[1].isnan()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e4])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient_are_finite_at_the_extremes(name, scale, dtype):
    logits, aligned, labels = batch(scale, dtype)
    leaves = [x.requires_grad_() for x in (logits, *aligned)]
    loss = catalogue.load("losses", name).of_batch(dials(name), logits, aligned, labels)
    gradients = torch.autograd.grad(loss.sum(), leaves, allow_unused=True)

    assert loss.shape == (MODELS,)
    assert loss.dtype == dtype
    assert all(x.isfinite().all() for x in (loss, *gradients) if x is not None)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_never_negative(name):
    assert (catalogue.load("losses", name).of_batch(dials(name), *batch()) >= 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_defaults_are_values_that_the_parameters_allow(name):
    known = space.parameters(catalogue.load("losses", name).Params)

    assert [p.name for p in known.values() if p.refuse(p.default)] == []


@pytest.mark.parametrize("name", LOSSES)
def test_every_parameter_says_what_it_does(name):
    known = space.parameters(catalogue.load("losses", name).Params)

    assert all(p.help.endswith(".") and "." in p.name for p in known.values())


def test_listing_losses_and_their_parameters_imports_no_torch():
    program = (
        "import sys; from reno_sweeps import catalogue; "
        "[catalogue.load('losses', n) for n in catalogue.names('losses')]; sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
