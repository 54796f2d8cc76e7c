"""RENO as a competent user would write it today: torch.nn modules, autograd, Adam, one model at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
        return self.project(tokens.flatten(1))


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
    """The paper's equation (2) on smoothed softmax inputs, as it stands."""
    p, q = za.softmax(-1) + delta, zb.softmax(-1) + delta
    return (torch.log((p**beta * q ** (1 - beta)).sum(-1)) / (beta - 1)).mean()


def train(x: Tensor, y: Tensor, labels: Tensor, *, steps: int, batch: int, seed: int = 0) -> None:
    """So many steps of Adam on random batches."""
    torch.manual_seed(seed)
    model = Reno(int(labels.max()) + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        rows = torch.randint(len(labels), (batch,))
        logits, za, zb = model(x[rows], y[rows])
        loss = 0.4 * nn.functional.cross_entropy(logits, labels[rows]) + 0.6 * divergence(za, zb, 2.0, 0.2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
