"""The Rényi divergence: its laws, its accuracy against fifty digits, its gradient against the paper's equation (2)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reno_sweeps.losses.renyi import renyi_divergence

ORDERS = [1e-3, 0.5, 1 - 1e-9, 1.0, 1 + 1e-6, 2.0, 50.0]
SMOOTHINGS = [1e-8, 1e-6, 1e-3, 0.2, 1.0]
orders = st.one_of(st.sampled_from(ORDERS), st.floats(1e-3, 50))
smoothings = st.floats(-8, 0).map(lambda exponent: 10.0**exponent)


def logits(seed: int, *shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return (torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale).to(dtype)


def exact(za: Sequence[float], zb: Sequence[float], beta: float, delta: float) -> mpmath.mpf:
    """D_β(p̃‖q̃) of two logit vectors, computed in sixty digits."""
    with mpmath.workdps(60):
        p, q = (_smoothed(z, delta) for z in (za, zb))
        if beta == 1:
            return mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(p, q, strict=True))
        power = mpmath.fsum(a ** mpmath.mpf(beta) * b ** (1 - mpmath.mpf(beta)) for a, b in zip(p, q, strict=True))
        return mpmath.log(power) / (mpmath.mpf(beta) - 1)


def _smoothed(z: Sequence[float], delta: float) -> list[mpmath.mpf]:
    powers = [mpmath.exp(mpmath.mpf(v)) for v in z]
    total, smoothing = mpmath.fsum(powers), mpmath.mpf(delta)
    return [(v / total + smoothing) / (1 + len(powers) * smoothing) for v in powers]


def paper(za: torch.Tensor, zb: torch.Tensor, beta: float, delta: float) -> torch.Tensor:
    """Equation (2) as printed, on softmax features."""
    x, y = za.softmax(-1) + delta, zb.softmax(-1) + delta
    return (x**beta * y ** (1 - beta)).sum(-1).log() / (beta - 1)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    beta=orders,
    delta=smoothings,
    size=st.sampled_from([2, 5, 16]),
    scale=st.floats(-3, 1.5).map(lambda exponent: 10.0**exponent),
    apart=st.floats(-7, 1).map(lambda exponent: 10.0**exponent),
)
def test_value_agrees_with_sixty_digits_also_where_it_is_tiny(seed, beta, delta, size, scale, apart):
    za = logits(seed, size, scale=scale).float()
    zb = (za + logits(seed + 1, size, scale=apart).float()).float()

    assert renyi_divergence(za.double(), zb.double(), beta, delta).item() == pytest.approx(
        float(exact(za.tolist(), zb.tolist(), beta, delta)),
        rel=1e-5,
        abs=1e-30,  # differences of probabilities of 1e-15 are float64's own rounding
    )


@pytest.mark.parametrize("size", [2, 256])
@pytest.mark.parametrize("apart", [1e-5, 1e-12])
def test_divergence_of_nearly_equal_features_keeps_its_digits(apart, size):
    za = logits(0, size)
    zb = za + logits(1, size, scale=apart)
    off = [
        abs(renyi_divergence(za, zb, beta, delta).item() / float(exact(za.tolist(), zb.tolist(), beta, delta)) - 1)
        for beta, delta in itertools.product(ORDERS, SMOOTHINGS)
    ]

    assert max(off) < 1e-4


@pytest.mark.parametrize("delta", SMOOTHINGS)
@pytest.mark.parametrize("beta", ORDERS)
def test_float32_logits_of_real_width_are_within_a_part_in_ten_thousand(beta, delta):
    za, zb = logits(2, 256, dtype=torch.float32), logits(3, 256, dtype=torch.float32)
    expected = float(exact(za.tolist(), zb.tolist(), beta, delta))

    assert renyi_divergence(za, zb, beta, delta).item() == pytest.approx(expected, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), beta=orders, delta=smoothings, scale=st.floats(0, 1e4))
def test_divergence_is_never_negative(seed, beta, delta, scale):
    value = renyi_divergence(logits(seed, 8, 16, scale=scale), logits(seed + 1, 8, 16, scale=scale), beta, delta)

    assert (value >= 0).all()


@pytest.mark.parametrize("beta", ORDERS)
def test_divergence_is_zero_where_distributions_are_equal_and_only_there(beta):
    za = logits(0, 4, 16)
    other = za.clone()
    other[:, 3] += 1e-3

    assert (renyi_divergence(za, za, beta, 0.1) == 0).all()
    assert (renyi_divergence(za, za + 8.0, beta, 0.1) < 1e-28).all()  # a softmax is blind to constants
    assert (renyi_divergence(za, other, beta, 0.1) > 1e-14).all()


@pytest.mark.parametrize("delta", SMOOTHINGS)
def test_divergence_tends_to_kullback_leibler_and_is_it_at_one(delta):
    za, zb = logits(0, 5, 32), logits(1, 5, 32)
    p, q = ((z.softmax(-1) + delta) / (1 + 32 * delta) for z in (za, zb))
    kl = (p * (p / q).log()).sum(-1)
    near = [renyi_divergence(za, zb, 1 + step, delta) for step in (-1e-4, -1e-9, 1e-9, 1e-4)]

    assert renyi_divergence(za, zb, 1.0, delta) == pytest.approx(kl, rel=1e-9)
    assert near[1] == pytest.approx(kl, rel=1e-7)
    assert near[2] == pytest.approx(kl, rel=1e-7)
    assert ((near[0] < kl) & (kl < near[3])).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), pair=st.tuples(orders, orders).map(sorted), delta=smoothings)
def test_divergence_grows_with_its_order(seed, pair, delta):
    za, zb = logits(seed, 4, 16), logits(seed + 1, 4, 16)
    low, high = (renyi_divergence(za, zb, beta, delta) for beta in pair)

    assert (high >= low * (1 - 1e-9)).all()


@pytest.mark.parametrize("delta", [1e-8, 1e-3, 0.2])
@pytest.mark.parametrize("beta", [0.5, 0.9, 1.5, 2.0, 6.0])
def test_gradient_is_that_of_the_papers_equation_two(beta, delta):
    za, zb = logits(0, 6, 12).requires_grad_(), logits(1, 6, 12).requires_grad_()
    ours = torch.autograd.grad(renyi_divergence(za, zb, beta, delta).sum(), (za, zb))
    theirs = torch.autograd.grad(paper(za, zb, beta, delta).sum(), (za, zb))

    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("beta", [1e-3, 0.5, 1.0, 1 + 1e-6, 2.0, 50.0])
def test_gradient_is_the_derivative_of_the_value(beta, symmetric):
    inputs = (logits(0, 3, 5).requires_grad_(), logits(1, 3, 5).requires_grad_())

    assert torch.autograd.gradcheck(lambda a, b: renyi_divergence(a, b, beta, 0.01, symmetric), inputs)


@pytest.mark.parametrize("delta", [1e-8, 0.2])
@pytest.mark.parametrize("beta", [0.5, 1.0, 1 + 1e-6, 2.0, 50.0])
def test_gradient_keeps_its_digits_where_features_nearly_agree(beta, delta):
    za = logits(0, 6)
    zb = za + logits(1, 6, scale=1e-7)
    inputs = za.clone().requires_grad_(), zb.clone().requires_grad_()
    ours = torch.autograd.grad(renyi_divergence(*inputs, beta, delta), inputs)
    theirs = [[_slope(za.tolist(), zb.tolist(), beta, delta, which, j) for j in range(6)] for which in (0, 1)]

    torch.testing.assert_close(torch.stack(ours), torch.tensor(theirs, dtype=torch.float64), rtol=1e-6, atol=1e-20)


def _slope(za: list[float], zb: list[float], beta: float, delta: float, which: int, entry: int) -> float:
    """Central difference in sixty digits."""
    with mpmath.workdps(60):
        ends = []
        for sign in (1, -1):
            moved = [list(za), list(zb)]
            moved[which][entry] += sign * mpmath.mpf("1e-20")
            ends.append(exact(*moved, beta, delta))
        return float((ends[0] - ends[1]) / mpmath.mpf("2e-20"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("delta", [1e-8, 1e-3, 1.0])
@pytest.mark.parametrize("beta", ORDERS)
def test_value_and_gradient_are_finite_at_the_extremes(beta, delta, dtype):
    corner = torch.tensor([[1e4, -1e4, 0.0, 0.0], [-1e4, 1e4, 1e4, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=dtype)
    za, zb = corner.clone().requires_grad_(), corner[[1, 2, 0]].clone().requires_grad_()
    value = renyi_divergence(za, zb, beta, delta)
    gradients = torch.autograd.grad(value.sum(), (za, zb))

    assert all(t.isfinite().all() for t in (value, *gradients))


def test_symmetric_option_is_the_mean_of_both_directions():
    za, zb = logits(0, 5, 16), logits(1, 5, 16)
    both = (renyi_divergence(za, zb, 3.0, 1e-3) + renyi_divergence(zb, za, 3.0, 1e-3)) / 2

    assert torch.equal(renyi_divergence(za, zb, 3.0, 1e-3, symmetric=True), both)


def test_every_row_may_have_an_order_and_a_smoothing_of_its_own():
    za, zb = logits(0, 2, 3, 16), logits(1, 2, 3, 16)
    beta, delta = torch.tensor([[0.5], [7.0]]), torch.tensor([[1e-6], [0.1]])
    together = renyi_divergence(za, zb, beta, delta)
    alone = [renyi_divergence(za[m], zb[m], float(beta[m]), float(delta[m])) for m in range(2)]

    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-14, atol=0)


def test_rows_know_nothing_of_each_other():
    za, zb = logits(0, 4, 16), logits(1, 4, 16)
    noisy = za.clone()
    noisy[2] = float("nan")

    assert torch.equal(
        renyi_divergence(noisy, zb, 2.0, 0.1)[[0, 1, 3]],
        renyi_divergence(za, zb, 2.0, 0.1)[[0, 1, 3]],
    )
