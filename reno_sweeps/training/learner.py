"""One model in training: its weights, its generators, what it has seen; one epoch at a time."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reno_sweeps import catalogue, metrics, space
from reno_sweeps.records import FoldResult, Model, seed_from
from reno_sweeps.training import optimizer, predict
from reno_sweeps.training.data import Data, Scale, measure
from reno_sweeps.training.dropout import Masks
from reno_sweeps.training.early_stop import EarlyStop
from reno_sweeps.training.objective import Objective, balanced
from reno_sweeps.training.params import Params


class DivergedError(Exception):
    """Numbers are no longer finite: the model cannot be trained, its neighbours can."""


class Learner:
    """The state of one model between epochs. Every random number comes from the model's own seed."""

    def __init__(self, model: Model, data: Data, tensors: tuple[dict[str, Tensor], Tensor], device: str) -> None:
        self.model, self.epoch, self.seconds = model, 0, 0.0
        self.settings = space.build(Params, model.values)
        self._device, self._classes = device, len(data.classes)
        self._build_head(data)
        self._dtype = torch.float64 if self.settings.training_precision == "float64" else torch.float32
        self._order, dropout = self._generator("order"), self._generator("dropout")
        self._drop = Masks([self.settings.training_dropout], [dropout])
        self._weights = {name: w.requires_grad_() for name, w in self._initial().items()}
        self._optimizer = optimizer.AdamW(self._weights, [self.settings.training_weight_decay])
        self._stop = EarlyStop(self._weights, [self.settings.training_patience])
        self._embeddings, self._labels = [tensors[0][e] for e in model.encoders], tensors[1]
        self._scales = [self._measure(data, encoder) for encoder in model.encoders]
        self._rows = {part: self._numbers(getattr(model.split, part)) for part in ("train", "validation", "test")}
        self._objective = Objective(self._head.LOSSES, [model.values], self._class_weights(), device)
        self._curves: dict[str, list[float]] = {}
        self._exhausted = False

    # --- setting up -------------------------------------------------------------------------------------------

    def _build_head(self, data: Data) -> None:
        self._head = catalogue.load("heads", self.model.head)
        self._params = space.build(self._head.Params, self.model.values)
        self._head.check(self._params)
        self._dims = data.dims(self.model.encoders)
        if self.model.epochs is None and not self.model.split.validation:
            raise ValueError(f"{self.model.key} has no validation clips to stop on and no number of epochs")

    def _generator(self, purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(seed_from(self.model.seed, purpose))

    def _initial(self) -> dict[str, Tensor]:
        drawn = self._head.init(self._params, self._dims, self._classes, self._generator("init"), self._dtype)
        return {name: w[None].to(self._device) for name, w in drawn.items()}

    def _measure(self, data: Data, encoder: str) -> Scale | None:
        if self.settings.training_standardize == "none":
            return None
        return measure(data.embeddings[encoder], self.model.split.train, self._device)

    def _numbers(self, rows: tuple[int, ...]) -> Tensor:
        return torch.tensor(rows, dtype=torch.int64, device=self._device)

    def _class_weights(self) -> Tensor | None:
        if self.settings.training_class_weights == "none":
            return None
        return balanced(self._labels[self._rows["train"]], self._classes)[None].to(self._dtype)

    # --- an epoch ---------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether the last epoch is trained."""
        if self.model.epochs is not None:
            return self.epoch >= self.model.epochs
        return self._exhausted or self.epoch >= self.settings.training_epochs

    def advance(self) -> dict[str, float]:
        """Train one more epoch; its metrics. Raises DivergedError."""
        start = time.perf_counter()
        self.epoch += 1
        with _precision(self.settings.training_precision):
            found = self._train()
        if len(self._rows["validation"]):
            found |= {f"val_{name}": value for name, value in self._score("validation", self._weights)[0].items()}
        for name, value in found.items():
            self._curves.setdefault(name, []).append(value)
        if self.model.epochs is None:
            waited = self._stop.observe(self.epoch, [found["val_cross_entropy"]], self._weights)
            self._exhausted = bool(waited.all())
        self.seconds += time.perf_counter() - start
        return found

    def _train(self) -> dict[str, float]:
        """One pass over the training clips; the mean over clips of every part of the objective."""
        rows = self._rows["train"]
        order = torch.randperm(len(rows), generator=self._order).to(self._device)
        sums: dict[str, Tensor] = {}
        for batch in torch.split(rows[order], self.settings.training_batch_size):
            for name, value in self._step(batch).items():
                sums[name] = sums.get(name, torch.zeros((), device=self._device)) + value[0].double() * len(batch)
        found = {name: float(total) / len(rows) for name, total in sums.items()}
        if not math.isfinite(found["loss"]):
            raise self._diverged(f"the training loss became {found['loss']}")
        if not all(bool(w.isfinite().all()) for w in self._weights.values()):
            raise self._diverged("the weights are no longer finite")
        return found

    def _step(self, rows: Tensor) -> dict[str, Tensor]:
        """One batch forward, back, and a step of the optimizer."""
        bf16 = self.settings.training_precision == "bf16"
        with torch.autocast(torch.device(self._device).type, torch.bfloat16, enabled=bf16):
            output = self._head.apply(self._params, self._weights, self._batch(rows), self._drop)
        output = type(output)(*(_widened(part, self._dtype) for part in output))
        parts = self._objective(output.logits, output.aligned, self._labels[rows][None])
        gradients = torch.autograd.grad(parts["loss"].sum(), list(self._weights.values()))
        optimizer.clip(gradients, [self.settings.training_grad_clip])
        rate = optimizer.warmed(self.settings.training_lr, self.epoch, self.settings.training_warmup_epochs)
        self._optimizer.step(gradients, [rate])
        return {name: value.detach() for name, value in parts.items()}

    def _batch(self, rows: Tensor) -> tuple[Tensor, ...]:
        return predict.standardised(self._embeddings, self._scales, rows, self._dtype)

    # --- judging ----------------------------------------------------------------------------------------------

    def _score(self, part: str, weights: Mapping[str, Tensor]) -> tuple[dict[str, float], NDArray[Any]]:
        """Metrics and logits [rows, classes] of a part of the split that has clips."""
        rows = self._rows[part]
        logits = predict.logits(self._head, self._params, weights, self._batch, rows)
        if not np.isfinite(logits).all():
            raise self._diverged(f"the model's answers to its {part} clips are no longer finite")
        return metrics.score(logits, self._labels[rows].cpu().numpy()), logits

    def _diverged(self, what: str) -> DivergedError:
        rate = self.settings.training_lr
        hint = "a lower training.lr or a training.grad_clip may help; check that the embeddings are finite"
        return DivergedError(f"epoch {self.epoch}: {what} at training.lr {rate:g}; {hint}")

    def result(self) -> FoldResult:
        """What the fold leaves: the kept weights, judged. Raises DivergedError."""
        start = time.perf_counter()
        early = self.model.epochs is None
        weights = self._stop.weights if early else {name: w.detach() for name, w in self._weights.items()}
        validation, test = (self._judged(part, weights) for part in ("validation", "test"))
        counts = test.pop("confusion")
        return FoldResult(
            best_epoch=int(self._stop.best_epoch[0]) if early else self.epoch,
            epochs=self.epoch,
            seed=self.model.seed,
            sizes={part: len(rows) for part, rows in self._rows.items()},
            validation=validation["scores"],
            test=test["scores"],
            test_f1=metrics.f1_by_class(counts) if counts.size else (),
            test_confusion=tuple(tuple(int(n) for n in row) for row in counts),
            curves={name: tuple(values) for name, values in self._curves.items()},
            parameters=self._head.parameter_count(self._params, self._dims, self._classes),
            seconds=self.seconds + time.perf_counter() - start,
            finished=time.time(),
            validation_probabilities=validation["probabilities"],
            test_probabilities=test["probabilities"],
            weights=self._exported(weights),
        )

    def _judged(self, part: str, weights: Mapping[str, Tensor]) -> dict[str, Any]:
        """Scores, probabilities and confusion of a part of the split; all empty where it has no clips."""
        if not len(self._rows[part]):
            nobody = np.zeros((0, self._classes), np.float32)
            return {"scores": {}, "probabilities": nobody, "confusion": np.zeros((0, 0), np.int64)}
        scores, logits = self._score(part, weights)
        labels = self._labels[self._rows[part]].cpu().numpy()
        counts = metrics.confusion(logits.argmax(-1), labels, self._classes)
        return {"scores": scores, "probabilities": predict.probabilities(logits), "confusion": counts}

    def _exported(self, weights: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
        """Weights without their models axis, with the standardisation: everything that `export` needs."""
        plain = {name: w[0].cpu().numpy().copy() for name, w in weights.items()}
        for position, scale in enumerate(self._scales):
            if scale is not None:
                plain[f"standardize.{position}.mean"] = scale.mean.cpu().numpy()
                plain[f"standardize.{position}.std"] = scale.std.cpu().numpy()
        return plain


def _widened(part: Any, dtype: torch.dtype) -> Any:
    """What autocast left in bfloat16, as the losses expect it."""
    if part is None:
        return None
    return part.to(dtype) if isinstance(part, Tensor) else tuple(p.to(dtype) for p in part)


@contextlib.contextmanager
def _precision(name: str) -> Iterator[None]:
    """TF32 on CUDA for as long as a model that asks for it trains."""
    if name != "tf32":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
