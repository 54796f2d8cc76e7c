"""The selective scan: every way of doing it gives what the recurrence says in float64."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import types
from dataclasses import fields, replace

import pytest
import torch

from reno_sweeps.encoders import _mamba_scan
from reno_sweeps.encoders._mamba_scan import LOG2E, Scanned, streamed, way


def problem(
    tokens: int = 40, chunks: int = 2, channels: int = 33, states: int = 24, steepest: float = 4.0, seed: int = 0
) -> Scanned:
    """Random inputs; the decay of a token goes down to about exp(-steepest)."""
    dice = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=dice)

    rates = -torch.rand(states, channels, generator=dice) * steepest * LOG2E
    into, out = draw(tokens, chunks, states), draw(tokens, chunks, states)
    u, v, z = (draw(tokens, chunks, channels) for _ in range(3))
    return Scanned(u, v, draw(channels), rates, into, out, draw(channels), z)


def recurrence(given: Scanned) -> torch.Tensor:
    """The textbook loop in float64: a token at a time, the state [B, E, N]."""
    u, v, bias, rates, b, c, skip, z = (getattr(given, field.name).double() for field in fields(given))
    delta = torch.nn.functional.softplus(v + bias)
    state = torch.zeros(u.shape[1], u.shape[2], rates.shape[0], dtype=torch.float64)
    heard = []
    for t in range(len(u)):
        decay = torch.exp(delta[t, :, :, None] * rates.T / LOG2E)
        state = decay * state + (delta[t] * u[t])[:, :, None] * b[t, :, None, :]
        heard.append((state * c[t, :, None, :]).sum(-1) + skip * u[t])
    return torch.stack(heard) * torch.nn.functional.silu(z)


def error(found: torch.Tensor, given: Scanned) -> float:
    """Largest difference, relative to the largest result."""
    exact = recurrence(given)
    return float((found - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize("steepest", [0.01, 1.0, 20.0, 40.0, 400.0])
def test_streaming_is_the_recurrence_however_steep_the_decay(steepest):
    given = problem(steepest=steepest)

    assert error(streamed(given), given) < 2e-6


def test_streaming_is_the_recurrence_over_thousands_of_tokens():
    given = problem(tokens=4_000, chunks=1, channels=5, steepest=0.01)

    assert error(streamed(given), given) < 1e-5


def test_nothing_overflows_at_extreme_steps_and_gates():
    given = problem(tokens=12)
    given.v.mul_(300.0)
    given.z.mul_(300.0)

    assert torch.isfinite(streamed(given)).all()
    assert error(streamed(given), given) < 2e-6


@pytest.mark.parametrize(("chunks", "channels", "states"), [(1, 1, 1), (3, 7, 5), (2, 64, 24)])
def test_a_chunk_alone_is_scanned_as_in_company(chunks, channels, states):
    given = problem(chunks=chunks, channels=channels, states=states)
    wide = {"u", "v", "b", "c", "z"}
    alone = [
        streamed(replace(given, **{name: getattr(given, name)[:, i : i + 1] for name in wide})) for i in range(chunks)
    ]

    torch.testing.assert_close(torch.cat(alone, dim=1), streamed(given), rtol=1e-5, atol=1e-6)


def test_a_later_token_never_reaches_an_earlier_one():
    given = problem()
    changed = replace(given, u=given.u.clone(), z=given.z)
    changed.u[25:] += 1.0

    torch.testing.assert_close(streamed(changed)[:25], streamed(given)[:25], rtol=0, atol=0)


def test_slices_of_wider_tensors_are_scanned_where_they_lie():
    given = problem(states=24)
    row = torch.cat([torch.zeros(40, 2, 12), given.b, given.c], dim=-1)
    both = torch.cat([given.u, given.z], dim=-1)
    sliced = replace(given, b=row[..., 12:36], c=row[..., 36:], u=both[..., :33], z=both[..., 33:])

    torch.testing.assert_close(streamed(sliced), streamed(given), rtol=1e-6, atol=1e-6)


# --- the kernel, without a GPU --------------------------------------------------------------------------------

INTERPRETED = """
import os, sys, torch
sys.path.insert(0, os.path.dirname({file!r}))
from test_audio_mamba_scan import error, problem
from reno_sweeps.encoders._mamba_triton import fused, _rowed
from dataclasses import replace
cases = [
    problem(tokens=9, chunks=3, channels=33, states=24, steepest=40.0),
    problem(tokens=6, chunks=1, channels=64, states=16),
    problem(tokens=5, chunks=2, channels=7, states=5, steepest=0.001),
    problem(tokens=1, chunks=1, channels=1, states=1),
]
extreme = problem(tokens=5, channels=40)
extreme.v.mul_(30.0); extreme.z.mul_(300.0)
row = torch.cat([torch.zeros(9, 3, 12), cases[0].b, cases[0].c], dim=-1)
turned = cases[0].u.transpose(0, 1).contiguous().transpose(0, 1)
sliced = replace(cases[0], b=row[..., 12:36], c=row[..., 36:], u=turned)
half = replace(cases[0], u=cases[0].u.half(), v=cases[0].v.half(), z=cases[0].z.half(), b=cases[0].b.half())
print(max(error(fused(given), given) for given in (*cases, extreme, sliced, half)))
"""


@pytest.mark.slow
def test_the_kernel_is_the_recurrence_in_tritons_interpreter():
    pytest.importorskip("triton", reason="triton is published for Linux only")
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED.format(file=__file__)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 2e-6


def test_an_axis_of_one_entry_may_have_any_stride():
    pytest.importorskip("triton", reason="triton is published for Linux only")
    from reno_sweeps.encoders._mamba_triton import _rowed

    odd = torch.arange(24.0).as_strided((4, 1, 3), (6, 1, 1))  # one chunk: its stride says nothing
    wide = torch.zeros(1, 1, 3).expand(4, 2, 3)
    rowed = _rowed(odd)

    assert rowed.stride() == (3, 3, 1)
    assert torch.equal(rowed, odd)
    assert _rowed(wide[..., :1].expand(4, 2, 3)).stride(2) == 1
    sliced = torch.zeros(4, 2, 6)[..., 3:]
    assert _rowed(sliced) is sliced


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from reno_sweeps.encoders._mamba_triton import CHANNELS, _scan
fixed = {{"TOKENS": 251, "CHANNELS": CHANNELS, "STATES": 32}}
wide = {{"u", "v", "b", "c", "z"}}
kinds = {{name: "*fp32" if name in {{"bias", "rates", "skip", "y"}} else "i32" for name in _scan.arg_names}}
kinds |= {{name: "*{dtype}" for name in wide}} | dict.fromkeys(fixed, "constexpr")
source = ASTSource(_scan, signature=kinds, constexprs=fixed)
kernel = triton.compile(source, target=GPUTarget("cuda", {target}, 32), options={{"num_warps": 1}})
print(kernel.asm["ptx"].count("shfl"))
"""


@pytest.mark.parametrize(("target", "dtype"), [(75, "fp16"), (80, "fp32"), (90, "bf16")])
def test_the_kernel_compiles_for_gpus_and_adds_up_states_within_a_lane(target, dtype, tmp_path):
    pytest.importorskip("triton", reason="triton is published for Linux only")
    code = COMPILED.format(target=target, dtype=dtype)
    script = tmp_path / "compile.py"
    script.write_text(code)
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) == 0  # no shuffles between lanes


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_kernel_is_the_recurrence_on_a_gpu(dtype):
    from reno_sweeps.encoders._mamba_triton import fused

    given = problem(tokens=251, chunks=5, channels=576)
    given = replace(given, **{name: getattr(given, name).to(dtype) for name in ("u", "v", "b", "c", "z")})
    moved = Scanned(*(getattr(given, field.name).cuda() for field in fields(given)))

    assert error(fused(moved).cpu(), given) < 1e-5


# --- which way is taken -----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _asked_anew():
    way.cache_clear()
    yield
    way.cache_clear()


def test_a_cpu_streams_without_a_word(caplog):
    with caplog.at_level(logging.WARNING):
        assert way("cpu") is streamed
    assert not caplog.records


def test_a_gpu_without_any_kernel_says_once_that_it_is_slow(caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "reno_sweeps.encoders._mamba_triton", None)
    monkeypatch.setitem(sys.modules, "mamba_ssm", None)
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: torch.ones(shape))
    with caplog.at_level(logging.WARNING):
        ways = [way("cuda"), way("cuda")]

    assert ways == [streamed, streamed]
    assert len(caplog.records) == 1
    assert "many times slower than a fused kernel" in caplog.text


def test_mamba_ssm_takes_over_where_triton_cannot_run(monkeypatch):
    """A stand-in does what its function documents: u, delta, z [B, E, S]; A [E, N]; B, C [B, N, S]."""

    def selective_scan_fn(u, delta, a, b, c, d=None, z=None, delta_bias=None, delta_softplus=False):
        assert delta_softplus
        assert all(x.is_contiguous() for x in (u, delta, a, b, c))
        first = lambda x: x.permute(2, 0, 1)  # noqa: E731
        given = Scanned(first(u), first(delta), delta_bias, a.T * LOG2E, first(b), first(c), d, first(z))
        return recurrence(given).permute(1, 2, 0)

    package = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
    package.selective_scan_fn = selective_scan_fn
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setattr(_mamba_scan, "_fused", importless)
    given = problem()

    assert error(way("cuda")(given), given) < 2e-6


def importless() -> None:
    raise ImportError("No module named 'triton'")
