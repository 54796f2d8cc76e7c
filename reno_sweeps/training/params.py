"""How any head is trained: optimiser, regularisation, stopping, precision. Torch-free: the config reads it."""

from __future__ import annotations

from dataclasses import dataclass

from reno_sweeps.space import parameter


@dataclass(frozen=True, slots=True)
class Params:
    """The settings that every head shares; defaults are the paper's where it states them (method.md, section 4)."""

    training_lr: float = parameter(1e-3, "AdamW's learning rate.", above=0.0)
    training_weight_decay: float = parameter(0.0, "Decoupled weight decay, not on biases and norms.", low=0.0)
    training_batch_size: int = parameter(32, "Clips a step; the last short batch is kept.", low=1, high=65536)
    training_dropout: float = parameter(0.3, "Dropout in the classifier and before a linear trunk.", low=0.0, high=0.95)
    training_epochs: int = parameter(20, "Passes over the training clips, at most.", low=1, high=100_000)
    training_patience: int = parameter(
        10, "Epochs without a better validation cross-entropy before training stops.", low=1, high=100_000
    )
    training_label_smoothing: float = parameter(
        0.0, "Share of the truth spread over all classes, in the training loss only.", low=0.0, high=0.9
    )
    training_grad_clip: float | None = parameter(
        None, "Largest norm of a model's gradient; null clips nothing.", above=0.0, also=(None,), kind=float
    )
    training_warmup_epochs: int = parameter(
        0, "Epochs over which the learning rate rises linearly to its value.", low=0, high=100_000
    )
    training_standardize: str = parameter(
        "train", "Embeddings' scale: mean and deviation of the training clips, or none.", choices=("train", "none")
    )
    training_class_weights: str = parameter(
        "none", "Weight of a class in the loss: none, or balanced by the training clips.", choices=("none", "balanced")
    )
    training_precision: str = parameter(
        "float32",
        "Arithmetic of training; tf32 needs a CUDA device.",
        choices=("float32", "float64", "tf32", "bf16"),
        searchable=False,
    )
