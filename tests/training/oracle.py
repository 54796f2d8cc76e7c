"""The plain reference: one model in torch.nn, autograd and torch.optim, trained as a textbook would, in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from reno_sweeps import catalogue, metrics, space
from reno_sweeps.records import Model, seed_from
from reno_sweeps.training.configuration import resolve
from reno_sweeps.training.data import Data
from reno_sweeps.training.dropout import Masks

Values = Mapping[str, Any]
Answer = tuple[Tensor, tuple[Tensor, Tensor] | None]  # logits [batch, classes]; aligned features of reno


def generator(model: Model, purpose: str) -> torch.Generator:
    """What the house draws a model's numbers from: its initial weights, its order of clips, its masks."""
    return torch.Generator().manual_seed(seed_from(model.seed, purpose))


class Drop:
    """Dropout masks: the trainer's own, by the model's seed and step. The one place that knows how they are made."""

    def __init__(self, model: Model, values: Values) -> None:
        self._masks = Masks([values["training.dropout"]], [seed_from(model.seed, "dropout")])

    def begin(self, steps: int) -> None:
        """A new step, after so many."""
        self._masks.begin(torch.tensor([steps]))

    def __call__(self, x: Tensor, rate: float | None = None) -> Tensor:
        """`x` [batch, …] with entries dropped at `rate`; None: at `training.dropout`."""
        return self._masks(x[None], rate)[0]


def keep(x: Tensor, rate: float | None = None) -> Tensor:
    """Dropout in evaluation."""
    return x


# --- networks: their weights' names are the house's, so that initial weights are simply loaded ----------------


class Classifier(nn.ModuleList):
    """·→512 →128 →C with ReLU and dropout between."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__([nn.Linear(inputs, 512), nn.Linear(512, 128), nn.Linear(128, classes)])

    def forward(self, x: Tensor, drop: Any) -> Tensor:
        for layer in (self[0], self[1]):
            x = drop(functional.relu(layer(x)))
        return cast("Tensor", self[2](x))


class Attention(nn.Module):
    """LN(X + MSA(X)) with dropout of 0.1 on the attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.share = heads, width // heads
        self.inner, self.outer, self.norm = nn.Linear(width, 3 * width), nn.Linear(width, width), nn.LayerNorm(width)

    def forward(self, x: Tensor, drop: Any) -> Tensor:
        query, key, value = self.inner(x).unflatten(-1, (3, self.heads, self.share)).permute(2, 0, 3, 1, 4)
        affinity = (query @ key.mT / math.sqrt(self.share)).softmax(-1)  # [batch, heads, tokens, tokens]
        mixed = (drop(affinity, 0.1) @ value).transpose(1, 2).flatten(2)
        return cast("Tensor", self.norm(x + self.outer(mixed)))


class Branch(nn.Module):
    """One encoder's way: tokens by convolutions or one layer, then attention and projection where a head has them."""

    def __init__(self, dim: int, kind: str, positions: int | None, heads: int = 0, width: int = 0) -> None:
        super().__init__()
        self.kind, self.positions = kind, positions
        if kind == "linear":
            self.tokens = nn.Linear(dim, cast("int", positions) * 64)
        else:
            self.conv1, self.conv2 = nn.Conv1d(1, 32, 3, padding=1), nn.Conv1d(32, 64, 3, padding=1)
        self.attention = Attention(64, heads) if heads else None
        self.flat = 64 * (dim // 4 if positions is None else positions)
        self.align = nn.Linear(self.flat, width) if width else nn.Identity()

    def forward(self, x: Tensor, drop: Any) -> Tensor:
        tokens = self._tokens(x, drop)
        if self.attention is not None:
            tokens = self.attention(tokens, drop)
        return cast("Tensor", self.align(tokens.flatten(1)))

    def _tokens(self, x: Tensor, drop: Any) -> Tensor:
        if self.kind == "linear":
            return functional.relu(self.tokens(drop(x))).view(len(x), self.positions or 0, 64)
        x = functional.max_pool1d(functional.relu(self.conv1(x[:, None])), 2)
        x = functional.max_pool1d(functional.relu(self.conv2(x)), 2)
        return (x if self.positions is None else functional.adaptive_max_pool1d(x, self.positions)).transpose(1, 2)


class Linear(nn.Module):
    """Multinomial logistic regression."""

    def __init__(self, values: Values, dims: Sequence[int], classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(sum(dims), classes)

    def forward(self, inputs: Sequence[Tensor], drop: Any) -> Answer:
        return self.classifier(torch.cat(list(inputs), 1)), None


class Fcn(nn.Module):
    """The classifier alone."""

    def __init__(self, values: Values, dims: Sequence[int], classes: int) -> None:
        super().__init__()
        self.classifier = Classifier(dims[0], classes)

    def forward(self, inputs: Sequence[Tensor], drop: Any) -> Answer:
        return self.classifier(inputs[0], drop), None


class Cnn(nn.Module):
    """The conv trunk and the classifier."""

    def __init__(self, values: Values, dims: Sequence[int], classes: int) -> None:
        super().__init__()
        self.a = Branch(dims[0], "conv", positions(values, 28))
        self.classifier = Classifier(self.a.flat, classes)

    def forward(self, inputs: Sequence[Tensor], drop: Any) -> Answer:
        return self.classifier(self.a(inputs[0], drop), drop), None


class Concat(nn.Module):
    """Two branches side by side; RENO is this with attention."""

    def __init__(self, values: Values, dims: Sequence[int], classes: int) -> None:
        super().__init__()
        kind, width, heads = values["trunk.kind"], values["align.width"], values.get("attention.heads", 0)
        count = positions(values, 8 if kind == "linear" else 24)
        self.a, self.b = (Branch(dim, kind, count, heads, width) for dim in dims)
        self.fusion = Attention(width, values.get("attention.fusion_heads") or heads) if heads else None
        self.classifier = Classifier(2 * width, classes)

    def forward(self, inputs: Sequence[Tensor], drop: Any) -> Answer:
        a = self.a(inputs[0], drop)
        b = self.b(inputs[1], drop)
        if self.fusion is None:
            return self.classifier(torch.cat((a, b), 1), drop), None
        return self.classifier(self.fusion(torch.stack((a, b), 1), drop).flatten(1), drop), (a, b)


NETWORKS: Mapping[str, Any] = {"linear": Linear, "fcn": Fcn, "cnn": Cnn, "concat": Concat, "reno": Concat}


def positions(values: Values, auto: int) -> int | None:
    """`trunk.positions` with 'auto' settled."""
    given = values["trunk.positions"]
    return auto if given == "auto" else given


def network(model: Model, data: Data) -> nn.Module:
    """The model's network with the house's initial weights, float64."""
    values, dims, classes = resolve(model.head, model.values, {}), data.dims(model.encoders), len(data.classes)
    module = catalogue.load("heads", model.head)
    params = space.build(module.Params, values)
    drawn = module.init(params, dims, classes, generator(model, "init"), torch.float64)
    found = cast("nn.Module", NETWORKS[model.head](values, dims, classes).double())
    found.load_state_dict({name: w.permute(*reversed(range(w.dim()))) for name, w in drawn.items()})
    return found


# --- the objective ----------------------------------------------------------------------------------------------


def divergence(za: Tensor, zb: Tensor, beta: float, delta: float) -> Tensor:
    """D_β(p̃‖q̃) of each row, [batch], by its definition: method.md, section 3."""
    p, q = ((z.softmax(-1) + delta) / (1 + z.shape[-1] * delta) for z in (za, zb))
    if beta == 1:
        return (p * (p / q).log()).sum(-1)
    return (p**beta * q ** (1 - beta)).sum(-1).log() / (beta - 1)


def losses(values: Values, answer: Answer, labels: Tensor, weights: Tensor | None) -> dict[str, Tensor]:
    """`loss` and its parts of one batch."""
    logits, aligned = answer
    entropy = functional.cross_entropy(logits, labels, weights, label_smoothing=values["training.label_smoothing"])
    if aligned is None:
        return {"loss": entropy, "cross_entropy": entropy}
    order, smoothing, share = values["renyi.beta"], values["renyi.delta"], values["loss.lambda"]
    apart = divergence(*aligned, order, smoothing).mean()
    if values["renyi.symmetric"]:
        apart = (apart + divergence(*aligned[::-1], order, smoothing).mean()) / 2
    return {"loss": share * entropy + (1 - share) * apart, "cross_entropy": entropy, "divergence": apart}


# --- training ---------------------------------------------------------------------------------------------------


@dataclass
class Trained:
    """What a training left: metrics of every epoch, and what the kept weights say."""

    curves: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    validation: Any = None  # probabilities [clips, classes], float64
    test: Any = None


class Training:
    """One model, its data and its optimizer."""

    def __init__(self, model: Model, data: Data) -> None:
        self.model, self.steps = model, 0
        self.values: Values = resolve(model.head, model.values, {})
        self.network = network(model, data)
        self.inputs = [self._scaled(data.embeddings[encoder]) for encoder in model.encoders]
        self.labels = torch.from_numpy(np.asarray(data.labels, np.int64))
        self.train, self.validation, self.test = (
            torch.tensor(rows, dtype=torch.int64)
            for rows in (model.split.train, model.split.validation, model.split.test)
        )
        self.class_weights = self._balanced(len(data.classes))
        self.order, self.drop = generator(model, "order"), Drop(model, self.values)
        self.optimizer = self._adamw()

    def _scaled(self, embedding: NDArray[np.float32]) -> Tensor:
        wide = torch.from_numpy(embedding.astype(np.float64))
        if self.values["training.standardize"] == "none":
            return wide
        seen = wide[list(self.model.split.train)]
        return ((wide - seen.mean(0)) / seen.std(0, correction=0).clamp(min=1e-6)).clamp(-10, 10)

    def _balanced(self, classes: int) -> Tensor | None:
        if self.values["training.class_weights"] == "none":
            return None
        own = self.labels[self.train].tolist()
        return torch.tensor([len(own) / (classes * own.count(c)) if c in own else 0.0 for c in range(classes)]).double()

    def _adamw(self) -> torch.optim.Optimizer:
        matrices = [p for p in self.network.parameters() if p.dim() > 1]
        vectors = [p for p in self.network.parameters() if p.dim() == 1]  # biases and norms do not decay
        decay = self.values["training.weight_decay"]
        groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=self.values["training.lr"], foreach=False)

    def epoch(self, number: int) -> dict[str, float]:
        """One pass over the training clips (the first is 1): the mean over clips of every loss."""
        warm = min(1.0, number / (self.values["training.warmup_epochs"] + 1))
        for group in self.optimizer.param_groups:
            group["lr"] = warm * self.values["training.lr"]
        sums: dict[str, float] = {}
        shuffled = self.train[torch.randperm(len(self.train), generator=self.order)]
        for rows in torch.split(shuffled, self.values["training.batch_size"]):
            for name, value in self._step(rows).items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(rows) / len(self.train)
        return sums

    def _step(self, rows: Tensor) -> dict[str, Tensor]:
        self.drop.begin(self.steps)
        self.steps += 1
        answer = self.network([x[rows] for x in self.inputs], self.drop)
        parts = losses(self.values, answer, self.labels[rows], self.class_weights)
        self.optimizer.zero_grad()
        parts["loss"].backward()  # type: ignore[no-untyped-call]
        if self.values["training.grad_clip"] is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.values["training.grad_clip"])
        self.optimizer.step()
        return parts

    def logits(self, rows: Tensor) -> NDArray[np.float64]:
        """What the network says of clips, in evaluation."""
        with torch.no_grad():
            return np.asarray(self.network([x[rows] for x in self.inputs], keep)[0].numpy())

    def scores(self) -> dict[str, float]:
        """Validation metrics under the names of an epoch's."""
        found = metrics.score(self.logits(self.validation), self.labels[self.validation].numpy())
        return {f"val_{name}": value for name, value in found.items()}


def train(model: Model, data: Data) -> Trained:
    """One model to its end: early stopping on the validation cross-entropy, or exactly `model.epochs`."""
    torch.manual_seed(0)  # torch.nn draws weights that are then replaced
    training, told, lowest = Training(model, data), Trained(), math.inf
    for epoch in range(1, (model.epochs or training.values["training.epochs"]) + 1):
        found = training.epoch(epoch) | (training.scores() if len(training.validation) else {})
        for name, value in found.items():
            told.curves.setdefault(name, []).append(value)
        if model.epochs is not None or found["val_cross_entropy"] < lowest:
            lowest, told.best_epoch = found.get("val_cross_entropy", 0.0), epoch
            told.weights = copy.deepcopy(training.network.state_dict())
        if model.epochs is None and epoch - told.best_epoch >= training.values["training.patience"]:
            break
    training.network.load_state_dict(told.weights)
    told.validation, told.test = (_softmax(training.logits(rows)) for rows in (training.validation, training.test))
    return told


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(torch.from_numpy(logits).softmax(-1).numpy())
