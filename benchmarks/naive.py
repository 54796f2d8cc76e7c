"""RENO as a competent user would write it today: torch.nn modules, autograd, AdamW, one model at a time."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

BATCH = 32
FLOOR, LIMIT = 1e-6, 10.0  # of a deviation; of a standardised value


class Encoder(nn.Module):
    """Conv trunk, self-attention and projection of one encoder's embedding."""

    def __init__(self, positions: int, heads: int, width: int, dropout: float) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv1d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2),
            nn.AdaptiveMaxPool1d(positions),
        )  # fmt: skip
        self.attend = nn.MultiheadAttention(64, heads, dropout=dropout, batch_first=True)
        self.norm = nn.LayerNorm(64)
        self.project = nn.Linear(64 * positions, width)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, D] → [batch, width]."""
        tokens = self.trunk(x.unsqueeze(1)).transpose(1, 2)
        tokens = self.norm(tokens + self.attend(tokens, tokens, tokens, need_weights=False)[0])
        aligned: Tensor = self.project(tokens.flatten(1))
        return aligned


class Reno(nn.Module):
    """Two encoders, aligned and fused (the paper's sizes)."""

    def __init__(
        self, classes: int, positions: int = 24, heads: int = 2, width: int = 256, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.a = Encoder(positions, heads, width, 0.1)
        self.b = Encoder(positions, heads, width, 0.1)
        self.attend = nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Sequential(
            nn.Linear(2 * width, 512), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(512, 128), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(128, classes),
        )  # fmt: skip

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits and the two aligned vectors."""
        za, zb = self.a(x), self.b(y)
        tokens = torch.stack([za, zb], dim=1)
        tokens = self.norm(tokens + self.attend(tokens, tokens, tokens, need_weights=False)[0])
        return self.classify(tokens.flatten(1)), za, zb


def divergence(za: Tensor, zb: Tensor, beta: float, delta: float) -> Tensor:
    """The paper's equation (2) on smoothed softmax inputs, less its constant; in logarithms: β = 10 overflows else."""
    total = 1 + za.shape[-1] * delta
    p, q = ((z.float().softmax(-1) + delta).div(total).log() for z in (za, zb))
    each: Tensor = torch.logsumexp(beta * p + (1 - beta) * q, -1) / (beta - 1)
    return each.mean()


def objective(model: Reno, x: Tensor, y: Tensor, labels: Tensor, config: Mapping[str, Any]) -> Tensor:
    """λ·cross-entropy + (1−λ)·divergence of a batch."""
    logits, za, zb = model(x, y)
    entropy = nn.functional.cross_entropy(logits.float(), labels)
    apart = divergence(za, zb, config["renyi.beta"], config["renyi.delta"])
    return config["loss.lambda"] * entropy + (1 - config["loss.lambda"]) * apart


def train(x: Tensor, y: Tensor, labels: Tensor, *, steps: int, batch: int, seed: int = 0) -> None:
    """So many steps of Adam on random batches, at the paper's values."""
    torch.manual_seed(seed)
    model = Reno(int(labels.max()) + 1).to(x.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    config = {"renyi.beta": 2.0, "renyi.delta": 0.2, "loss.lambda": 0.4}
    for _ in range(steps):
        rows = torch.randint(len(labels), (batch,), device=x.device)
        loss = objective(model, x[rows], y[rows], labels[rows], config)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# --- a whole training: one configuration on one fold -----------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """What a training learns from: embeddings [n, D] and labels [n] on their device, and how long."""

    x: Tensor
    y: Tensor
    labels: Tensor
    classes: int
    epochs: int
    patience: int
    precision: str = "float32"  # tf32, bf16: on CUDA


@dataclass
class Fitted:
    """What one training leaves: validation scores of the best epoch, and the seconds of training alone."""

    scores: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    epochs: int = 0
    clips: int = 0
    seconds: float = 0.0


Told = Callable[[int, Mapping[str, float]], None]  # epoch (the first is 1), its metrics


def fit(
    task: Task,
    train: Sequence[int],
    validation: Sequence[int],
    config: Mapping[str, Any],
    seed: int,
    told: Told = lambda _epoch, _metrics: None,
    start: Mapping[str, np.ndarray] | None = None,
) -> Fitted:
    """Train with early stopping on the validation cross-entropy; the best epoch's weights are judged.

    `told` hears every epoch's metrics; what it costs is not counted as training. `start`: initial weights by name, and
    `order`, the clips' places [epochs, clips]; None: both from the seed.
    """
    torch.manual_seed(seed)
    learn, judge = (torch.tensor(rows, device=task.x.device) for rows in (train, validation))
    x, y = (standardised(vectors, learn) for vectors in (task.x, task.y))
    model, orders = Reno(task.classes, heads=config["attention.heads"]).to(x.device), None
    if start is not None:
        model.load_state_dict({name: torch.from_numpy(w) for name, w in start.items() if name != "order"})
        orders = torch.from_numpy(start["order"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["training.lr"], weight_decay=0.0)
    lowest, best, found = float("inf"), copy.deepcopy(model.state_dict()), Fitted(clips=len(train))
    began = time.perf_counter()  # now: a process's first optimizer imports torch's compiler, for seconds
    for epoch in range(1, task.epochs + 1):
        with precision(task.precision):
            order = torch.randperm(len(learn)) if orders is None else orders[epoch - 1]
            loss = one_epoch(model, optimizer, (x, y, task.labels), learn[order.to(learn.device)], config)
        metrics = {"loss": loss, **validated(model, (x, y, task.labels), judge)}
        found.epochs = epoch
        if metrics["val_cross_entropy"] < lowest:
            lowest, found.best_epoch = metrics["val_cross_entropy"], epoch
            best = copy.deepcopy(model.state_dict())
        found.seconds += time.perf_counter() - began
        told(epoch, metrics)
        began = time.perf_counter()
        if epoch - found.best_epoch >= task.patience:
            break
    model.load_state_dict(best)
    found.scores = validated(model, (x, y, task.labels), judge)
    found.seconds += time.perf_counter() - began
    return found


def standardised(vectors: Tensor, rows: Tensor) -> Tensor:
    """Every clip on the scale of the training clips: [n, D]."""
    seen = vectors[rows]
    scaled = (vectors - seen.mean(0)) / seen.std(0, correction=0).clamp(min=FLOOR)
    return scaled.clamp(-LIMIT, LIMIT)


def one_epoch(
    model: Reno, optimizer: torch.optim.Optimizer, data: tuple[Tensor, ...], order: Tensor, config: Mapping[str, Any]
) -> float:
    """One pass over the training clips in their order; the mean loss. It is read once an epoch, not every step."""
    model.train()
    x, y, labels = data
    total = torch.zeros((), device=x.device)
    for batch in torch.split(order, BATCH):
        loss = objective(model, x[batch], y[batch], labels[batch], config)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(batch)
    return float(total) / len(order)


@torch.no_grad()
def validated(model: Reno, data: tuple[Tensor, ...], rows: Tensor) -> dict[str, float]:
    """Cross-entropy, macro-F1 and accuracy of the validation clips."""
    model.eval()
    x, y, labels = data
    logits, _, _ = model(x[rows], y[rows])
    truth, said = labels[rows].cpu().numpy(), logits.argmax(-1).cpu().numpy()
    return {
        "val_cross_entropy": float(nn.functional.cross_entropy(logits, labels[rows])),
        "val_macro_f1": macro_f1(truth, said, logits.shape[-1]),
        "val_accuracy": float((truth == said).mean()),
    }


def macro_f1(truth: np.ndarray, said: np.ndarray, classes: int) -> float:
    """Mean F1 over the classes that occur in truth or prediction."""
    hits = np.bincount(truth[truth == said], minlength=classes)
    either = np.bincount(truth, minlength=classes) + np.bincount(said, minlength=classes)
    return float(np.mean(2 * hits[either > 0] / either[either > 0]))


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """TF32 or bf16 on CUDA for as long as a model trains."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if name == "tf32" else before)
    try:
        with torch.autocast("cuda" if torch.cuda.is_available() else "cpu", torch.bfloat16, enabled=name == "bf16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
