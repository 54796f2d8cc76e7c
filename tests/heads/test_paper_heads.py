"""The paper's heads against plain torch.nn, their sizes, and what their parameters refuse."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from reno_sweeps import catalogue, space

WIDTHS = (80, 160, 768, 960, 1280, 1920, 3840)


def keep(x: Tensor, rate: float | None = None) -> Tensor:
    return x


class Classifier(nn.Sequential):
    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__(nn.Linear(inputs, 512), nn.ReLU(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, classes))


class Trunk(nn.Module):
    """Conv1d ReLU MaxPool(2), twice, adaptive max-pool; tokens [batch, positions, 64]."""

    def __init__(self, positions: int | None) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(1, 32, 3, padding=1), nn.Conv1d(32, 64, 3, padding=1)
        self.pool = nn.Identity() if positions is None else nn.AdaptiveMaxPool1d(positions)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool1d(self.conv1(x[:, None]).relu(), 2)
        x = nn.functional.max_pool1d(self.conv2(x).relu(), 2)
        return self.pool(x).transpose(1, 2)


class LinearTrunk(nn.Module):
    def __init__(self, width: int, positions: int) -> None:
        super().__init__()
        self.tokens = nn.Linear(width, positions * 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.tokens(x).relu().unflatten(1, (-1, 64))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.attention(x, x, x, need_weights=False)[0])


class Reference(nn.Module):
    """cnn (one width), concat (heads None) or reno in plain torch.nn."""

    def __init__(self, dims, classes, positions, kind="conv", width=256, heads=None, fusion_heads=None) -> None:
        super().__init__()
        self.trunks = nn.ModuleList([LinearTrunk(d, positions) if kind == "linear" else Trunk(positions) for d in dims])
        tokens = [d // 4 if positions is None else positions for d in dims]
        self.attentions = nn.ModuleList([Attention(64, heads) for _ in dims] if heads else [])
        self.aligns = nn.ModuleList([nn.Linear(64 * n, width) for n in tokens] if len(dims) > 1 else [])
        self.fusion = Attention(width, fusion_heads or heads) if heads else None
        self.classifier = Classifier(2 * width if len(dims) > 1 else 64 * tokens[0], classes)

    def forward(self, *inputs: Tensor) -> Tensor:
        x = [trunk(e) for trunk, e in zip(self.trunks, inputs, strict=True)]
        if self.attentions:
            x = [attention(t) for attention, t in zip(self.attentions, x, strict=True)]
        x = [t.flatten(1) for t in x]
        if self.aligns:
            x = [align(t) for align, t in zip(self.aligns, x, strict=True)]
        if self.fusion:
            return self.classifier(self.fusion(torch.stack(x, 1)).flatten(1))
        return self.classifier(torch.cat(x, 1))


RENAMES = {
    "in_proj_": "inner.",
    "out_proj.": "outer.",
    "trunks.0.": "a.",
    "trunks.1.": "b.",
    "attentions.0.": "a.attention.",
    "attentions.1.": "b.attention.",
    "aligns.0.": "a.align.",
    "aligns.1.": "b.align.",
    "attention.attention.": "attention.",
    "fusion.attention.": "fusion.",
    "classifier.2.": "classifier.1.",
    "classifier.4.": "classifier.2.",
}


def named_as_ours(reference: nn.Module) -> dict[str, Tensor]:
    """The reference's weights under our names, with a models axis of one."""
    ours = {}
    for name, weight in reference.state_dict().items():
        for theirs, own in RENAMES.items():
            name = name.replace(theirs, own)  # noqa: PLW2901
        ours[name] = weight.permute(*reversed(range(weight.dim())))[None].contiguous()  # ours: inputs before outputs
    return ours


CASES = {
    "cnn": ("cnn", (80,), {}, {"positions": 28}),
    "cnn of uneven windows": ("cnn", (203,), {"trunk.positions": 9}, {"positions": 9}),
    "cnn without pool": ("cnn", (83,), {"trunk.positions": None}, {"positions": None}),
    "concat": ("concat", (80, 162), {}, {"positions": 24}),
    "concat on a linear trunk": ("concat", (40, 7), {"trunk.kind": "linear"}, {"positions": 8, "kind": "linear"}),
    "concat without pool": ("concat", (81, 34), {"trunk.positions": None}, {"positions": None}),
    "reno": ("reno", (768, 160), {}, {"positions": 24, "heads": 2}),
    "reno with other heads": (
        "reno",
        (50, 30),
        {"attention.heads": 8, "attention.fusion_heads": 3, "align.width": 96, "trunk.positions": 5},
        {"positions": 5, "heads": 8, "fusion_heads": 3, "width": 96},
    ),
    "reno on a linear trunk": (
        "reno",
        (40, 7),
        {"trunk.kind": "linear", "trunk.positions": 3},
        {"positions": 3, "kind": "linear", "heads": 2},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_same_weights_give_the_logits_and_gradients_of_plain_torch(case):
    head, dims, values, options = CASES[case]
    torch.manual_seed(0)
    reference = Reference(dims, 6, **options).double()
    module = catalogue.load("heads", head)
    params = space.build(module.Params, values)
    weights = {name: w.clone().requires_grad_() for name, w in named_as_ours(reference).items()}
    inputs = [torch.randn(4, d, dtype=torch.float64) for d in dims]
    ours = module.apply(params, weights, tuple(x[None] for x in inputs), keep).logits[0]
    theirs = reference(*inputs)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    gradients = {
        n: p.grad.permute(*reversed(range(p.dim()))) for n, p in zip(weights, reference.parameters(), strict=True)
    }

    assert set(weights) == set(module.layout(params, dims, 6))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close({n: w.grad[0] for n, w in weights.items()}, gradients, rtol=1e-8, atol=1e-12)


def test_fcn_is_its_two_dense_layers():
    torch.manual_seed(0)
    reference = Classifier(33, 6).double()
    names = ["classifier.0.", "classifier.1.", "classifier.2."]
    weights = {
        names[int(n[0]) // 2] + n[2:]: (w.T if w.dim() == 2 else w)[None] for n, w in reference.state_dict().items()
    }
    module = catalogue.load("heads", "fcn")
    x = torch.randn(4, 33, dtype=torch.float64)

    torch.testing.assert_close(module.apply(module.Params(), weights, (x[None],), keep).logits[0], reference(x))


@pytest.mark.parametrize("classes", [6, 13])
@pytest.mark.parametrize("width", WIDTHS)
def test_cnn_has_the_papers_size_whatever_the_width(width, classes):
    module = catalogue.load("heads", "cnn")

    assert 0.9e6 <= module.parameter_count(module.Params(), (width,), classes) <= 1.1e6


@pytest.mark.parametrize("classes", [6, 13])
@pytest.mark.parametrize("widths", list(itertools.product(WIDTHS, WIDTHS)))
def test_reno_has_the_papers_size_whatever_the_pair(widths, classes):
    module = catalogue.load("heads", "reno")

    assert 1.3e6 <= module.parameter_count(module.Params(), widths, classes) <= 1.5e6


def test_initial_weights_are_drawn_as_torch_draws_its_layers():
    torch.manual_seed(0)
    reference = named_as_ours(Reference((80, 160), 6, 24, heads=2))
    module = catalogue.load("heads", "reno")
    ours = module.init(module.Params(), (80, 160), 6, torch.Generator().manual_seed(0))
    large = [n for n, w in ours.items() if w.numel() > 1000]

    assert {n: w.shape for n, w in ours.items()} == {n: w.shape[1:] for n, w in reference.items()}
    assert all(ours[n].abs().max().item() == pytest.approx(reference[n].abs().max().item(), rel=0.02) for n in large)
    assert all(ours[n].std().item() == pytest.approx(reference[n].std().item(), rel=0.05) for n in large)
    assert all(
        torch.equal(ours[n], reference[n][0]) for n in ours if "norm" in n or n.endswith(("inner.bias", "outer.bias"))
    )


@pytest.mark.parametrize(
    ("head", "values", "says"),
    [
        ("reno", {"attention.heads": 3}, "attention.heads 3 does not divide the trunk's channels 64"),
        ("reno", {"attention.fusion_heads": 3}, "attention.fusion_heads 3 does not divide align.width 256"),
        ("reno", {"attention.heads": 4, "align.width": 66}, "attention.heads 4 does not divide align.width 66"),
        ("reno", {"trunk.kind": "linear", "trunk.positions": None}, "trunk.positions null needs trunk.kind conv"),
        ("concat", {"trunk.kind": "linear", "trunk.positions": None}, "trunk.positions null needs trunk.kind conv"),
    ],
)
def test_values_that_do_not_go_together_are_refused_in_a_sentence(head, values, says):
    module = catalogue.load("heads", head)

    with pytest.raises(ValueError, match=says):
        module.check(space.build(module.Params, values))


def test_dropout_is_asked_for_where_the_method_has_it():
    module = catalogue.load("heads", "reno")
    asked = []

    def note(x: Tensor, rate: float | None = None) -> Tensor:
        asked.append((tuple(x.shape), rate))
        return x

    params = space.build(module.Params, {"trunk.kind": "linear"})
    weights = {n: w[None] for n, w in module.init(params, (9, 7), 6, torch.Generator().manual_seed(0)).items()}
    module.apply(params, weights, (torch.randn(1, 5, 9), torch.randn(1, 5, 7)), note)

    assert asked == [
        ((1, 5, 9), None),
        ((1, 5, 2, 8, 8), 0.1),
        ((1, 5, 7), None),
        ((1, 5, 2, 8, 8), 0.1),
        ((1, 5, 2, 2, 2), 0.1),
        ((1, 5, 512), None),
        ((1, 5, 128), None),
    ]
